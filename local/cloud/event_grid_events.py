"""Events as Event Grid accepts and delivers them: the Event Grid schema and CloudEvents 1.0, and what each refuses."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
from collections.abc import Iterable, Mapping
from typing import Any

EVENT_LIMIT = 1_048_576
"""Bytes of one event, and of one request. Source: Event Grid quotas say 1 MB; the exact byte is unverified."""

_CLOUD_EVENT_VERSION = "1.0"


class Schema(enum.StrEnum):
    """Names of Azure's `eventDeliverySchema`."""

    EVENT_GRID = "EventGridSchema"
    CLOUD_EVENTS = "CloudEventSchemaV1_0"


class RejectedError(ValueError):
    """A publisher's request cannot be accepted; `status` is the HTTP answer, the message names the event and the fault."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """An accepted event in the schema it was published in; `body` is complete (topic and versions are filled in)."""

    schema: Schema
    body: Mapping[str, Any]

    def rendered(self, schema: Schema) -> dict[str, Any]:
        """The event in the schema of a subscription.

        Source: "CloudEvents v1.0 schema" and the samples of the event sources' pages. From CloudEvents to the Event
        Grid schema there is no way on Azure (a topic has one input schema); here `dataVersion` is then empty.
        """
        match self.schema, schema:
            case Schema.EVENT_GRID, Schema.CLOUD_EVENTS:
                return _as_cloud_event(self.body)
            case Schema.CLOUD_EVENTS, Schema.EVENT_GRID:
                return _as_event_grid(self.body)
            case _:
                return dict(self.body)

    def dumps(self) -> str:
        """JSON of the event and its schema; `loads` reads it back."""
        return json.dumps({"schema": self.schema, "body": self.body}, ensure_ascii=False)

    @classmethod
    def loads(cls, text: str) -> Event:
        """Read what `dumps` wrote."""
        stored = json.loads(text)
        return cls(Schema(stored["schema"]), stored["body"])


def accept_event_grid(items: Iterable[Any], topic: str) -> list[Event]:
    """Check events in the Event Grid schema and stamp what the service fills in: topic, dataVersion, metadataVersion.

    Source: "Azure Event Grid event schema", table of properties: id, subject, eventType and eventTime are the
    publisher's; topic may be absent, or must be the topic's own resource id; metadataVersion is the service's.
    """
    return [Event(Schema.EVENT_GRID, _checked_event_grid(index, item, topic)) for index, item in enumerate(items)]


def accept_cloud_events(items: Iterable[Any]) -> list[Event]:
    """Check events in CloudEvents 1.0. Source: CloudEvents 1.0, required attributes; JSON format 1.0, `data`."""
    return [Event(Schema.CLOUD_EVENTS, _checked_cloud_event(index, item)) for index, item in enumerate(items)]


def _checked_event_grid(index: int, item: Any, topic: str) -> dict[str, Any]:
    body = _object(index, item)
    for name in ("id", "subject", "eventType", "eventTime"):
        _text(index, body, name)
    _time(index, body, "eventTime")
    if body.get("topic") not in (None, "") and str(body["topic"]).casefold() != topic.casefold():
        raise RejectedError(f"event {index}: 'topic' is {body['topic']!r}, the topic is {topic!r}; leave it out")
    if body.get("metadataVersion") not in (None, "", "1"):
        raise RejectedError(f"event {index}: 'metadataVersion' must be absent or '1', not {body['metadataVersion']!r}")
    version = body.get("dataVersion")
    if version is not None and not isinstance(version, str):
        raise RejectedError(f"event {index}: 'dataVersion' must be a string, not {version!r}")
    return {
        "id": body["id"],
        "topic": topic,
        "subject": body["subject"],
        "eventType": body["eventType"],
        "eventTime": body["eventTime"],
        "data": body.get("data"),
        "dataVersion": version or "",
        "metadataVersion": "1",
    }


def _checked_cloud_event(index: int, item: Any) -> dict[str, Any]:
    body = _object(index, item)
    if body.get("specversion") != _CLOUD_EVENT_VERSION:
        raise RejectedError(f"event {index}: 'specversion' must be '1.0', not {body.get('specversion')!r}")
    for name in ("id", "source", "type"):
        _text(index, body, name)
    if body.get("time") is not None:
        _time(index, body, "time")
    if "data" in body and "data_base64" in body:
        raise RejectedError(f"event {index}: has both 'data' and 'data_base64'")
    return body


def _object(index: int, item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise RejectedError(f"event {index}: is not a JSON object")
    size = len(json.dumps(item, ensure_ascii=False).encode())
    if size > EVENT_LIMIT:
        raise RejectedError(f"event {index}: is {size} bytes, the limit is {EVENT_LIMIT}", status=413)
    return dict(item)


def _text(index: int, body: Mapping[str, Any], name: str) -> None:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        fault = "is missing" if value is None else f"must be a string that is not empty, not {value!r}"
        raise RejectedError(f"event {index}: {name!r} {fault}")


def _time(index: int, body: Mapping[str, Any], name: str) -> None:
    try:
        datetime.datetime.fromisoformat(body[name])
    except (TypeError, ValueError):
        raise RejectedError(f"event {index}: {name!r} is not an ISO 8601 time: {body[name]!r}") from None


def _as_cloud_event(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": body["id"],
        "source": body["topic"],
        "subject": body["subject"],
        "type": body["eventType"],
        "time": body["eventTime"],
        "data": body["data"],
        "specversion": _CLOUD_EVENT_VERSION,
    }


def _as_event_grid(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": body["id"],
        "topic": body["source"],
        "subject": body.get("subject") or "",
        "eventType": body["type"],
        "eventTime": body.get("time") or "",
        "data": body.get("data"),
        "dataVersion": "",
        "metadataVersion": "1",
    }
