"""A registration as Event Grid tells of it: both schemas, every casing, numbers and text as version, and what breaks a rule."""

from __future__ import annotations

import copy
import datetime
import itertools
import json
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tidegate.errors import MalformedEvent
from tidegate.events import NotForUs, Registration, envelope, is_model_registered, model_order, model_registered
from tidegate.flows.models.model_facts import COPY_TAG
from tidegate.references import ModelRef

VECTORS = pathlib.Path(__file__).parent / "vectors"
NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)
TOPIC = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/vision"


def vector(schema: str) -> dict[str, Any]:
    """A published body, with the workspace's name put in."""
    text = (VECTORS / f"ml_modelregistered.docs2021.{schema}.json").read_text("utf-8")
    body: dict[str, Any] = json.loads(text.replace("{workspace-name}", "vision"))[0]
    return body


def changed(**fields: Any) -> dict[str, Any]:
    """The event in Event Grid's schema with other fields; `data__x` goes into the data; `...` removes."""
    body = copy.deepcopy(vector("eventgrid"))
    for path, value in fields.items():
        *parents, name = path.split("__")
        place = body["data"] if parents else body
        if value is ...:
            del place[name]
        else:
            place[name] = value
    return body


def understood(body: Any, workspaces: tuple[str, ...] = ("vision",)) -> Registration | NotForUs:
    assert is_model_registered(envelope(body))
    return model_registered(envelope(body), workspaces=workspaces, now=NOW)


def registered(body: Any) -> Registration:
    found = understood(body)
    assert isinstance(found, Registration)
    return found


@pytest.mark.parametrize("schema", ["eventgrid", "cloudevents"])
def test_a_published_registration_is_one(schema: str) -> None:
    assert registered(vector(schema)) == Registration(
        ModelRef("vision", "sklearn_regression_model", "20"),
        "000000000000000000000000000020/20",
        {"area": "diabetes", "type": "regression"},
        "831e1650-001e-001b-66ab-eeb76e069631",
        NOW,
    )


CAMEL = {
    "modelName": "sklearn_regression_model",
    "modelVersion": "20",
    "modelTags": {"area": "diabetes", "type": "regression"},
    "modelProperties": {"type": "test"},
}
SAME: dict[str, dict[str, Any]] = {
    "camel case and a version in text, as in the specification": {"data": CAMEL},
    "data as JSON text": {"data": json.dumps(CAMEL)},
    "odd casing": {"data": {name.upper(): value for name, value in CAMEL.items()}},
    "the short type": {"eventType": "ModelRegistered"},
    "the type in odd casing": {"eventType": "microsoft.machinelearningservices.MODELREGISTERED"},
    "the topic in upper case": {"topic": TOPIC.upper()},
    "the topic in lower case": {"topic": TOPIC.lower()},
    "no subject": {"subject": ...},
    "a subject of another model": {"subject": "models/other:7"},
    "no time": {"eventTime": None},
    "a time that is none": {"eventTime": "019-03-12T22:42:08Z"},
    "unknown fields": {"data__more": [1], "extra": None},
    "tags that are no text beside those that are": {
        "data__ModelTags": {"area": "diabetes", "type": "regression", "n": 7, "none": None}
    },
}


@pytest.mark.parametrize("fields", SAME.values(), ids=SAME.keys())
def test_casing_and_omissions_change_nothing(fields: dict[str, Any]) -> None:
    assert registered(changed(**fields)) == registered(changed())


@pytest.mark.parametrize("tags", [None, ..., [], "task", 7])
def test_a_version_without_tags_has_none(tags: Any) -> None:
    assert registered(changed(data__ModelTags=tags, data__ModelProperties=None)).tags == {}


def test_a_property_counts_where_no_tag_has_its_name() -> None:
    found = registered(changed(data__ModelTags={"a": "tag"}, data__ModelProperties={"a": "property", "b": "property"}))
    assert found.tags == {"a": "tag", "b": "property"}


def test_what_a_delivery_copied_starts_no_delivery() -> None:
    copied = changed(data__ModelTags={COPY_TAG: "vision/digits:3"})
    assert isinstance(understood(copied), NotForUs)
    assert isinstance(understood(copied, workspaces=("another",)), NotForUs), "it lies where a stage serves"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"data__ModelName": ...}, "data.modelName: missing"),
        ({"data__ModelName": "a/b"}, "is not the name of a model"),
        ({"data__ModelName": "../x"}, "is not the name of a model"),
        ({"data__ModelName": 7}, "data.modelName: must be text"),
        ({"data__ModelVersion": None}, "data.modelVersion: missing"),
        ({"data__ModelVersion": ""}, "is not a version"),
        ({"data__ModelVersion": True}, "data.modelVersion: must be text"),
        ({"data__ModelVersion": 1.5}, "data.modelVersion: must be text"),
        ({"data__ModelVersion": "1:2"}, "is not a version"),
        ({"data__ModelVersion": "v" * 31}, "is not a version"),
        ({"data": None}, "data: must be an object"),
        ({"id": None}, "id: missing"),
        ({"topic": None}, "topic: must be the resource id of a machine learning workspace"),
        ({"topic": f"{TOPIC}/models/x"}, "topic: must be the resource id of a machine learning workspace"),
        ({"topic": TOPIC.replace("vision", "other")}, "topic: workspace other is none of this installation"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_name(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedEvent, match=reason):
        understood(changed(**fields))


def test_another_event_is_none() -> None:
    for kind in ("Microsoft.MachineLearningServices.ModelDeployed", None, 7):
        assert not is_model_registered(envelope(changed(eventType=kind)))


# The order of versions ---------------------------------------------------------------------------------------------


def test_numbers_are_in_the_order_of_numbers_whenever_they_were_registered() -> None:
    orders = [model_order(version, NOW - datetime.timedelta(days=int(version))) for version in ("2", "10", "9000")]
    assert orders == sorted(orders)


def test_other_versions_are_in_the_order_of_their_registration() -> None:
    moments = [NOW + datetime.timedelta(microseconds=number) for number in range(3)]
    orders = [model_order(version, moment) for version, moment in zip(("v9", "v10", "a"), moments, strict=True)]
    assert orders == sorted(orders)


@given(some.lists(some.from_regex(r"[0-9]{1,30}|[A-Za-z][A-Za-z0-9._-]{0,29}", fullmatch=True), unique=True))
def test_no_two_versions_have_the_same_place(versions: list[str]) -> None:
    for one, other in itertools.combinations(versions, 2):
        assert model_order(one, NOW) != model_order(other, NOW)
