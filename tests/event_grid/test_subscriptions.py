"""The data file of subscriptions, and subscriptions made at run time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from local import world
from local.cloud.event_grid_documents import InvalidDocumentError
from local.cloud.event_grid_events import Schema
from local.cloud.event_grid_subscriptions import (
    EVENTS_FILE,
    FunctionEndpoint,
    SubscriptionReader,
    WebhookEndpoint,
)

REQUEST: dict[str, Any] = {"name": "mine", "topic": "tidegate-outcomes", "endpoint": "http://127.0.0.1:9/hook"}


def changed_file(folder: Path, **changes: Any) -> SubscriptionReader:
    """The data file with a first subscription that was changed (a value of None removes the field)."""
    shutil.copy(EVENTS_FILE.with_name("events.schema.json"), folder)
    document = json.loads(EVENTS_FILE.read_text(encoding="utf-8"))
    first = document["subscriptions"][0] | changes
    document["subscriptions"] = [{name: value for name, value in first.items() if value is not None}]
    (folder / "events.json").write_text(json.dumps(document), encoding="utf-8")
    return SubscriptionReader(folder / "events.json")


def test_the_image_subscription_of_the_data_file_is_read() -> None:
    image_pushed = next(found for found in SubscriptionReader().from_file() if found.name == "image-pushed")
    assert image_pushed.topic == world.registry_id(world.STAGING)
    assert image_pushed.endpoint == FunctionEndpoint("image_pushed")
    assert image_pushed.schema is Schema.CLOUD_EVENTS
    assert image_pushed.filter.event_types == ("Microsoft.ContainerRegistry.ImagePushed",)
    assert image_pushed.dead_letter_container == "dead-letters"


def test_the_workspaces_source_takes_events_of_every_workspace_and_of_nothing_else(tmp_path: Path) -> None:
    (subscription,) = changed_file(tmp_path, source="workspaces").from_file()
    group = world.registry_id("x").rpartition("/providers/")[0]
    assert subscription.wants(f"{group}/providers/microsoft.machinelearningservices/workspaces/dev")
    assert not subscription.wants(world.registry_id(world.STAGING))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"schema": "CustomInputSchema"}, "events.json: subscriptions[0].schema: 'CustomInputSchema' is not one of"),
        ({"maxDeliveryAttempts": 31}, "events.json: subscriptions[0].maxDeliveryAttempts: 31 is greater than"),
        ({"function": None}, "events.json: subscriptions[0]: 'function' is a required property"),
        (
            {"topic": "x"},
            "events.json: subscriptions[0]: Additional properties are not allowed ('topic' was unexpected)",
        ),
        (
            {"advancedFilters": [{"operatorType": "StringLike", "key": "k"}]},
            "events.json: subscriptions[0].advancedFilters[0].operatorType: 'StringLike' is none of",
        ),
    ],
)
def test_a_faulty_data_file_is_refused_with_file_and_field(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidDocumentError) as refused:
        changed_file(tmp_path, **changes).from_file()
    assert fault in str(refused.value)


def test_every_fault_of_the_data_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocumentError) as refused:
        changed_file(tmp_path, maxDeliveryAttempts=0, source="elsewhere").from_file()
    assert len(str(refused.value).splitlines()) == 2


def test_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    reader = changed_file(tmp_path)
    document = json.loads((tmp_path / "events.json").read_text(encoding="utf-8"))
    document["subscriptions"].append(document["subscriptions"][0] | {"name": "IMAGE-pushed"})
    (tmp_path / "events.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InvalidDocumentError, match="more than one is named image-pushed"):
        reader.from_file()


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    reader = changed_file(tmp_path)
    (tmp_path / "events.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidDocumentError, match=r"events\.json: is not JSON"):
        reader.from_file()


def test_a_request_needs_little_and_gets_the_defaults_of_azure() -> None:
    made = SubscriptionReader().from_request(REQUEST)
    assert (made.topic, made.endpoint) == (world.OUTCOMES_TOPIC_ID, WebhookEndpoint("http://127.0.0.1:9/hook"))
    assert (made.schema, made.max_attempts, made.time_to_live) == (Schema.EVENT_GRID, 30, 86_400)
    assert (made.max_events, made.preferred_bytes, made.dead_letter_container) == (1, 65_536, None)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"endpoint": "http://example.com/"},
            "subscription.endpoint: 'http://example.com/' is no http(s) URL on loopback",
        ),
        ({"endpoint": "ftp://127.0.0.1/"}, "is no http(s) URL on loopback"),
        ({"topic": "nowhere"}, "subscription.topic: 'nowhere' is no resource id"),
        ({"function": "image_pushed"}, "subscription: needs either 'endpoint' or 'function'"),
        ({"name": "a b"}, "subscription: name: 'a b' does not match"),
        ({"source": "staging-registry"}, "'source' was unexpected"),
    ],
)
def test_a_faulty_request_is_refused_with_its_fault(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidDocumentError) as refused:
        SubscriptionReader().from_request(REQUEST | changes)
    assert fault in str(refused.value)
