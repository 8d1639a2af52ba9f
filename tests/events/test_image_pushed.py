"""A push as Event Grid tells of it: both schemas, every casing and omission, hostile names, and whatever else may come."""

from __future__ import annotations

import copy
import datetime
import json
import pathlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tidegate.errors import MalformedEvent
from tidegate.events import ImagePush, NotForUs, envelope, image_pushed, order_of
from tidegate.references import ImageRef

VECTORS = pathlib.Path(__file__).parent / "vectors"
STAGING, HEALTHY = "tidegatestaging", "tidegatehealthy"
NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)
DIGEST = "sha256:213bbc182920ab41e18edc2001e06abcca6735d87782d9cef68abd83941cf0e5"
TOPIC = f"/subscriptions/0/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/{STAGING}"


def vector(name: str, registry: str = STAGING) -> Any:
    """A published body, with the registry's name put in."""
    text = (VECTORS / f"acr_{name}.json").read_text("utf-8").replace("<name>", registry)
    body = json.loads(text)
    return body[0] if isinstance(body, list) else body


def understood(body: Any) -> ImagePush | NotForUs:
    return image_pushed(envelope(body), staging=STAGING, healthy=HEALTHY, now=NOW)


def pushed(body: Any) -> ImagePush:
    push = understood(body)
    assert isinstance(push, ImagePush)
    return push


def changed(**fields: Any) -> dict[str, Any]:
    """A push in Event Grid's schema with other fields; `data__target__tag=...` goes down; `...` removes."""
    body: dict[str, Any] = copy.deepcopy(vector("imagepushed.docs2021.eventgrid"))
    for path, value in fields.items():
        *parents, name = path.split("__")
        place = body
        for parent in parents:
            place = place[parent]
        if value is ...:
            del place[name]
        else:
            place[name] = value
    return body


# What was published ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "imagepushed.docs2021.eventgrid",
        "imagepushed.docs2021.cloudevents",
        "imagepushed_data_as_json_string.constructed.eventgrid",
    ],
)
def test_a_published_push_is_a_push(name: str) -> None:
    push = pushed(vector(name))
    assert push == ImagePush(
        ImageRef(STAGING, "aci-helloworld", DIGEST),
        "v1",
        "2018-04-25T21:39:47.276585742Z/831e1650-001e-001b-66ab-eeb76e069631",
        "831e1650-001e-001b-66ab-eeb76e069631",
        NOW,
        "a push to staging",
    )


@pytest.mark.parametrize(
    "name",
    [
        f"{what}.docs2021.{schema}"
        for what in ("imagedeleted", "chartpushed", "chartdeleted")
        for schema in ("eventgrid", "cloudevents")
    ],
)
def test_other_events_of_a_registry_ask_for_nothing(name: str) -> None:
    assert isinstance(understood(vector(name)), NotForUs)


def test_data_of_the_specification_is_understood() -> None:
    push = pushed(changed(data=vector("imagepushed.rest-specs-tsp.dataonly")))
    assert (push.image.repository, push.tag) == ("samples/nginx", "latest")


def test_a_registrys_own_webhook_is_no_event() -> None:
    with pytest.raises(MalformedEvent, match="eventType: missing"):
        understood(vector("push.docs.acrwebhook"))


# Casing and omissions ----------------------------------------------------------------------------------------------

CASINGS: dict[str, dict[str, Any]] = {
    "full type": {"eventType": "Microsoft.ContainerRegistry.ImagePushed"},
    "type in odd casing": {"eventType": "microsoft.containerREGISTRY.imagepushed"},
    "topic in upper case": {"topic": TOPIC.upper()},
    "topic in lower case": {"topic": TOPIC.lower()},
    "topic with a slash at its end": {"topic": f"{TOPIC}/"},
    "topic unreadable, host instead": {"topic": "tidegate", "data__request__host": f"{STAGING}.azurecr.io"},
    "topic missing, host instead": {"topic": ..., "data__request__host": f"{STAGING}.azurecr.io:443"},
    "no request": {"data__request": ...},
    "no action": {"data__action": ...},
    "no data id": {"data__id": ...},
    "no size": {"data__target__size": ...},
    "no media type": {"data__target__mediaType": ...},
    "no subject": {"subject": ...},
    "nulls": {"data__request": None, "data__actor": None, "data__source": None, "metadataVersion": None},
    "unknown fields": {"data__location": "westus", "extra": [1], "data__target__references": [{"digest": "x"}]},
    "field names in other casing": {
        "data": {
            "Timestamp": "2018-04-25T21:39:47.276585742Z",
            "TARGET": {"Digest": DIGEST, "Repository": "aci-helloworld", "TAG": "v1"},
        }
    },
    "an index": {"data__target__mediaType": "application/vnd.oci.image.index.v1+json"},
    "no metadata version": {"metadataVersion": ...},
}


@pytest.mark.parametrize("fields", CASINGS.values(), ids=CASINGS.keys())
def test_casing_and_omissions_change_nothing(fields: dict[str, Any]) -> None:
    assert pushed(changed(**fields)) == pushed(changed())


def test_whoever_pushed_is_named_in_one_short_line() -> None:
    assert pushed(changed(data__actor={"name": "ci@contoso"})).who == "ci@contoso"
    assert pushed(changed(data__actor={"Name": "a\r\nBcc: b\u202e" + "x" * 500})).who == "a  Bcc: b " + "x" * 118
    assert pushed(changed(data__actor={"name": 7})).who == "a push to staging"
    assert pushed(changed(data__actor="ci")).who == "a push to staging"


NOTHING: dict[str, tuple[dict[str, Any], str]] = {
    "our own write": ({"topic": TOPIC.replace(STAGING, HEALTHY)}, "healthy registry"),
    "no tag": ({"data__target__tag": ...}, "without a tag"),
    "null tag": ({"data__target__tag": None}, "without a tag"),
    "a cosign signature": ({"data__target__tag": f"sha256-{'a' * 64}.sig"}, "signatures"),
    "a referrers index": ({"data__target__tag": f"sha256-{'a' * 64}"}, "signatures"),
    "another type": ({"eventType": "Microsoft.Storage.BlobCreated"}, "Microsoft.Storage.BlobCreated"),
    "another type, nothing in it": ({"eventType": "x", "data": None, "topic": None}, "of type x"),
}


@pytest.mark.parametrize(("fields", "reason"), NOTHING.values(), ids=NOTHING.keys())
def test_what_asks_for_nothing_says_why(fields: dict[str, Any], reason: str) -> None:
    nothing = understood(changed(**fields))
    assert isinstance(nothing, NotForUs)
    assert reason in nothing.reason


# Malformed ---------------------------------------------------------------------------------------------------------

MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "no type": ({"eventType": ...}, "eventType: missing"),
    "type no text": ({"eventType": 7}, "eventType: must be text"),
    "no data": ({"data": ...}, "data: must be an object"),
    "data a list": ({"data": []}, "data: must be an object"),
    "data text, not JSON": ({"data": "{"}, "data: text that is not JSON"),
    "data JSON text, no object": ({"data": "[1]"}, "data: must be an object"),
    "data nested without end": ({"data": "[" * 200_000}, "data: text that is not JSON"),
    "no target": ({"data__target": ...}, "data.target: missing"),
    "target no object": ({"data__target": "x"}, "data.target: must be an object"),
    "no repository": ({"data__target__repository": ...}, "data.target.repository: missing"),
    "no digest": ({"data__target__digest": ...}, "data.target.digest: missing"),
    "digest of another kind": ({"data__target__digest": "sha512:" + "a" * 128}, "is not a digest"),
    "digest in upper case": ({"data__target__digest": DIGEST.upper()}, "is not a digest"),
    "digest and more": ({"data__target__digest": f"{DIGEST}\n"}, "is not a digest"),
    "another registry": ({"topic": TOPIC.replace(STAGING, "contoso")}, "is not the staging registry"),
    "no registry": ({"topic": "/subscriptions/0", "data__request": ...}, "topic: must be the resource id"),
    "registry's name no name": ({"topic": TOPIC.replace(STAGING, "a_b")}, "topic: 'a_b' is not the name"),
    "a webhook below the registry": ({"topic": f"{TOPIC}/webhooks/x", "data__request": ...}, "topic: must be"),
    "no id": ({"id": ...}, "id: missing"),
    "id empty": ({"id": ""}, "id: must be 1 to 256"),
    "id too long": ({"id": "x" * 257}, "id: must be 1 to 256"),
    "id with a control character": ({"id": "a\nb"}, "id: must be 1 to 256"),
    "id half a character": ({"id": "\ud800"}, "id: must be 1 to 256"),
}


@pytest.mark.parametrize(("fields", "reason"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_breaks_a_rule_says_which(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedEvent) as raised:
        understood(changed(**fields))
    assert reason in str(raised.value)
    assert len(str(raised.value)) < 300


HOSTILE = (
    "..",
    "../x",
    "a/../b",
    "a/./b",
    "/a",
    "a/",
    "a//b",
    "a%2fb",
    "a b",
    "a\tb",
    "a\x00b",
    "a\nb",
    "Upper",
    "ü",
    "а",  # a Cyrillic letter
    "a\u202eb",
    "a\\b",
    "a?b",
    "a#b",
    "a@sha256:x",
    "<img>",
    "-a",
    "a" * 300,
    "",
    "\ud800",
    7,
    ["a"],
)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_repository_is_malformed_and_shown_escaped(name: Any) -> None:
    with pytest.raises(MalformedEvent) as raised:
        understood(changed(data__target__repository=name))
    assert "data.target.repository" in str(raised.value)
    assert str(raised.value).isascii()
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("name", [each for each in HOSTILE if each not in ("Upper", "")] + ["a/b", ".a", "", "a" * 129])
def test_a_hostile_tag_is_malformed_and_shown_escaped(name: Any) -> None:
    with pytest.raises(MalformedEvent) as raised:
        understood(changed(data__target__tag=name))
    assert "data.target.tag" in str(raised.value)
    assert str(raised.value).isascii()


@pytest.mark.parametrize("name", ["a", "a/b", "a.b_c__d-e--f/g1", "0", "a" * 255])
def test_a_name_in_the_grammar_passes(name: str) -> None:
    assert pushed(changed(data__target__repository=name)).image.repository == name


# Time and order ----------------------------------------------------------------------------------------------------

STAMPS: dict[str, tuple[Any, str]] = {
    "nine digits": ("2018-04-25T21:39:47.276585742Z", "2018-04-25T21:39:47.276585742Z"),
    "seven digits": ("2018-04-25T21:39:47.2765857Z", "2018-04-25T21:39:47.276585700Z"),
    "more than nine": ("2018-04-25T21:39:47.2765857421Z", "2018-04-25T21:39:47.276585742Z"),
    "none": ("2018-04-25T21:39:47Z", "2018-04-25T21:39:47.000000000Z"),
    "an offset": ("2018-04-25T23:39:47.1+02:00", "2018-04-25T21:39:47.100000000Z"),
    "an offset without a colon": ("2018-04-25T23:39:47+0200", "2018-04-25T21:39:47.000000000Z"),
    "no zone": ("2018-04-25T21:39:47", "2018-04-25T21:39:47.000000000Z"),
    "a space": ("2018-04-25 21:39:47Z", "2018-04-25T21:39:47.000000000Z"),
    "lower case": ("2018-04-25t21:39:47z", "2018-04-25T21:39:47.000000000Z"),
}
UNREADABLE: tuple[Any, ...] = (
    "019-03-12T22:42:08.7034064Z",
    "2018-13-25T21:39:47Z",
    "2018-04-25T25:39:47Z",
    "0001-01-01T00:00:00+14:00",
    "yesterday",
    "",
    None,
    7,
    [],
    "2018-04-25T21:39:47Z\n",
)


@pytest.mark.parametrize(("stamp", "order"), STAMPS.values(), ids=STAMPS.keys())
def test_the_registrys_time_orders_pushes(stamp: Any, order: str) -> None:
    assert pushed(changed(data__timestamp=stamp, id="e1")).order == f"{order}/e1"


@pytest.mark.parametrize("stamp", UNREADABLE, ids=repr)
def test_an_unreadable_time_is_made_up_for_by_the_events_then_by_the_clock(stamp: Any) -> None:
    by_event = changed(data__timestamp=stamp, id="e1")
    by_clock = changed(data__timestamp=stamp, eventTime=stamp, id="e1")
    assert pushed(by_event).order == "2018-04-25T21:39:47.654961400Z/e1"
    assert pushed(by_clock).order == "2026-03-02T08:00:00.000000000Z/e1"


def test_requests_by_hand_take_their_place_among_pushes() -> None:
    assert order_of(NOW, "r1") == "2026-03-02T08:00:00.000000000Z/r1"
    assert pushed(changed()).order < order_of(NOW, "r1")


@given(
    some.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2200, 1, 1)),  # noqa: DTZ001  # the zone follows
    some.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2200, 1, 1)),  # noqa: DTZ001
)
def test_the_order_of_text_is_the_order_of_time(one: datetime.datetime, other: datetime.datetime) -> None:
    times = [moment.replace(tzinfo=datetime.UTC) for moment in (one, other)]
    orders = [pushed(changed(data__timestamp=moment.isoformat(), id="e")).order for moment in times]
    assert (times[0] < times[1], times[0] == times[1]) == (orders[0] < orders[1], orders[0] == orders[1])


# Anything ----------------------------------------------------------------------------------------------------------


def test_an_event_of_a_megabyte_is_a_push_like_any_other() -> None:
    assert pushed(changed(data__request__useragent="x" * 1_000_000)) == pushed(changed())


_json: some.SearchStrategy[Any] = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_paths = some.sampled_from(
    [
        "id",
        "topic",
        "eventType",
        "eventTime",
        "data",
        "data__timestamp",
        "data__target",
        "data__target__repository",
        "data__target__digest",
        "data__target__tag",
        "data__request",
        "data__actor",
    ]
)


def _said(body: Any) -> str:
    """What is said about a body: why it is malformed or ignored, or what was pushed."""
    try:
        meaning = understood(body)
    except MalformedEvent as error:
        return str(error)
    return meaning.reason if isinstance(meaning, NotForUs) else f"{meaning.image} {meaning.order} {meaning.who}"


@settings(max_examples=150)
@given(_json)
def test_any_json_is_a_push_nothing_or_malformed(body: Any) -> None:
    assert _said(body).isprintable()


@settings(max_examples=250)
@given(_paths, _json)
def test_a_push_with_anything_in_one_place_is_a_push_nothing_or_malformed(path: str, value: Any) -> None:
    assert _said(changed(**{path: value})).isprintable()
