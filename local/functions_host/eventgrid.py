"""What Event Grid may post to the webhook, read; the order of the cases is the Event Grid extension's own."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from local.functions_host.executor import Call
from local.functions_host.messages import Failed, Json, Outcome


@dataclasses.dataclass(frozen=True, slots=True)
class Handshake:
    """Event Grid asks whether this endpoint wants its events; the answer repeats the code."""

    code: str


@dataclasses.dataclass(frozen=True, slots=True)
class Events:
    """JSON text of each event of a delivery."""

    events: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Unsubscribed:
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """Not a kind of post that Event Grid makes (400, never sent again) or not JSON (500, as the extension throws)."""

    status: int


type Post = Handshake | Events | Unsubscribed | Refused


def read(event_type: str | None, body: bytes) -> Post:
    """Read one post by its `aeg-event-type` header."""
    match (event_type or "").lower():
        case "subscriptionvalidation":
            return _read(_handshake, body)
        case "notification":
            return _read(_events, body)
        case "unsubscribe":
            return Unsubscribed()
        case _:
            return Refused(400)


def call(event: str) -> Call:
    """Start a function with one event; its trace goes on from the event's, where it has one."""
    traceparent = json.loads(event).get("traceparent") if '"traceparent"' in event else None
    return Call(Json(event), "EventGrid trigger fired", traceparent=traceparent if isinstance(traceparent, str) else "")


def answer(function: str, outcomes: list[Outcome]) -> tuple[int, str]:
    """202 when every event of the delivery succeeded, else 500 and the first failure: Event Grid then sends all again.

    Unverified: the wording after the first sentence of the failure.
    """
    failure = next((each for each in outcomes if isinstance(each, Failed)), None)
    if failure is None:
        return 202, ""
    return 500, f"Exception while executing function: Functions.{function}. {failure.message}"


def _read(reader: Any, body: bytes) -> Post:
    try:
        post: Post = reader(json.loads(body), body)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Refused(500)
    return post


def _handshake(document: Any, _body: bytes) -> Post:
    """An array of one event, or one CloudEvent, whose `data` is JSON text inside JSON."""
    if isinstance(document, list):
        return Handshake(str(document[0]["data"]["validationCode"]))
    data = document["data"]
    return Handshake(str((json.loads(data) if isinstance(data, str) else data)["validationCode"]))


def _events(document: Any, body: bytes) -> Post:
    """An array, or a bare event; the extension takes either in both schemas."""
    if isinstance(document, dict):
        return Events((body.decode(),))
    if not isinstance(document, list):
        return Refused(500)
    return Events(tuple(json.dumps(each, ensure_ascii=False) for each in document))
