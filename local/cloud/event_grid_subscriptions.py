"""Event subscriptions: read from infra/data/events.json, or made at run time through the admin endpoint."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local import world
from local.cloud.event_grid_documents import InvalidDocumentError, check
from local.cloud.event_grid_events import Schema
from local.cloud.event_grid_filters import Filter, advanced_filters

EVENTS_FILE = Path(__file__).parents[2] / "infra" / "data" / "events.json"

TOPICS: Mapping[str, str] = {
    "staging-registry": world.registry_id(world.STAGING),
    "healthy-registry": world.registry_id(world.HEALTHY),
    "workspaces": world.registry_id("").partition("Microsoft.ContainerRegistry")[0]
    + "Microsoft.MachineLearningServices/workspaces/",
    world.OUTCOMES_TOPIC: world.OUTCOMES_TOPIC_ID,
}
"""Short name -> resource id of what raises the events; an id that ends in "/" stands for every resource below it."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclasses.dataclass(frozen=True, slots=True)
class FunctionEndpoint:
    """Azure's `AzureFunction` destination: an Event Grid trigger of the local Functions host."""

    function: str


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Azure's `WebHook` destination."""

    url: str


@dataclasses.dataclass(frozen=True, slots=True)
class Subscription:
    """One event subscription; the defaults are Azure's (azure-mgmt-eventgrid 10.4, api-version 2025-02-15)."""

    name: str
    topic: str
    endpoint: FunctionEndpoint | WebhookEndpoint
    schema: Schema = Schema.EVENT_GRID
    filter: Filter = Filter()  # noqa: RUF009 - immutable
    max_attempts: int = 30
    time_to_live: float = 1440 * 60.0
    """Seconds from publication."""
    max_events: int = 1
    preferred_bytes: int = 64 * 1024
    dead_letter_container: str | None = None
    """Without one, an event that cannot be delivered is dropped."""

    def wants(self, topic: str) -> bool:
        """Whether events of the topic (a resource id, compared without case) concern the subscription."""
        own, other = self.topic.casefold(), topic.casefold()
        return other.startswith(own) if own.endswith("/") else other == own

    @property
    def on_azure_resource(self) -> bool:
        """Azure retries a function (an Azure resource) and a webhook by different rules."""
        return isinstance(self.endpoint, FunctionEndpoint)


class SubscriptionReader:
    """Reads subscriptions against the JSON schema that also describes infra/data/events.json."""

    def __init__(self, file: Path = EVENTS_FILE) -> None:
        self._file = file
        self._schema = json.loads(file.with_name(file.stem + ".schema.json").read_text(encoding="utf-8"))

    def from_file(self) -> list[Subscription]:
        """The subscriptions of the file; InvalidDocumentError lists every fault."""
        label = "/".join(self._file.parts[-3:])
        try:
            document = json.loads(self._file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InvalidDocumentError(f"{label}: is not JSON: {error}") from error
        check(document, self._schema, label)
        names = [raw["name"].casefold() for raw in document["subscriptions"]]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidDocumentError(f"{label}: subscriptions: more than one is named {', '.join(twice)}")
        return [
            _subscription(
                raw, TOPICS[raw["source"]], document["deadLetterContainer"], f"{label}: subscriptions[{index}]"
            )
            for index, raw in enumerate(document["subscriptions"])
        ]

    def from_request(self, raw: Any) -> Subscription:
        """A subscription made at run time: the file's fields, of which only the name is required, and instead of
        `source` and `function` also `topic` (a short name or a resource id) and `endpoint` (a URL on loopback)."""
        check(raw, self._request_schema(), "subscription")
        topic = TOPICS.get(raw["topic"], raw["topic"])
        if not topic.startswith("/subscriptions/"):
            raise InvalidDocumentError(f"subscription.topic: {topic!r} is no resource id, nor {', '.join(TOPICS)}")
        if ("endpoint" in raw) == ("function" in raw):
            raise InvalidDocumentError("subscription: needs either 'endpoint' or 'function'")
        return _subscription(raw, topic, raw.get("deadLetterContainer"), "subscription")

    def _request_schema(self) -> dict[str, Any]:
        described: dict[str, Any] = self._schema["$defs"]["subscription"]
        properties = {name: rule for name, rule in described["properties"].items() if name != "source"}
        properties["eventTypes"] = {"type": "array", "items": {"type": "string"}}
        properties |= {name: {"type": "string"} for name in ("topic", "endpoint")}
        properties |= {
            name: {"type": "boolean"} for name in ("isSubjectCaseSensitive", "enableAdvancedFilteringOnArrays")
        }
        properties["deadLetterContainer"] = self._schema["properties"]["deadLetterContainer"]
        return described | {"required": ["name", "topic"], "properties": properties}


def _subscription(raw: Mapping[str, Any], topic: str, container: str | None, where: str) -> Subscription:
    try:
        advanced = advanced_filters(raw.get("advancedFilters", ()))
    except ValueError as error:
        raise InvalidDocumentError(f"{where}.{error}") from error
    return Subscription(
        name=raw["name"],
        topic=topic,
        endpoint=_endpoint(raw, where),
        schema=Schema(raw.get("schema", Schema.EVENT_GRID)),
        filter=Filter(
            event_types=tuple(raw.get("eventTypes", ())),
            subject_begins_with=raw.get("subjectBeginsWith", ""),
            subject_ends_with=raw.get("subjectEndsWith", ""),
            subject_case_sensitive=raw.get("isSubjectCaseSensitive", False),
            advanced=advanced,
            arrays=raw.get("enableAdvancedFilteringOnArrays", False),
        ),
        max_attempts=raw.get("maxDeliveryAttempts", 30),
        time_to_live=raw.get("eventTimeToLiveInMinutes", 1440) * 60.0,
        max_events=raw.get("maxEventsPerBatch", 1),
        preferred_bytes=raw.get("preferredBatchSizeInKilobytes", 64) * 1024,
        dead_letter_container=container,
    )


def _endpoint(raw: Mapping[str, Any], where: str) -> FunctionEndpoint | WebhookEndpoint:
    if "function" in raw:
        return FunctionEndpoint(raw["function"])
    url = raw["endpoint"]
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname not in _LOOPBACK:
        raise InvalidDocumentError(f"{where}.endpoint: {url!r} is no http(s) URL on loopback")
    return WebhookEndpoint(url)
