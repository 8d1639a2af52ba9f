"""Event Grid's own dead-letter blobs: events in either schema, alone or in an array, with fields that say why."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.ports import Parked

_ID = re.compile(r"eg\.([A-Za-z0-9_-]+)\.([0-9a-f]{16})\Z")
_NAME = re.compile(r"[A-Za-z0-9_-]+/\d{4}/\d{1,2}/\d{1,2}/\d{1,2}/[A-Za-z0-9_-]+\.json\Z")

# Event Grid adds these to the event; to CloudEvents in lower case (docs: event-grid/delivery-and-retry).
_ADDED = frozenset(
    {
        "deadletterreason",
        "deliveryattempts",
        "lastdeliveryattempttime",
        "lastdeliveryoutcome",
        "lasthttpstatuscode",
        "publishtime",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where one event lies: its blob, and a mark that tells it from the others in it."""

    name: str
    mark: str


def place(id: str) -> Place | None:
    """The place an id of ours names; None: it is no id of an Event Grid letter. Only names of its shape are ever read."""
    found = _ID.match(id)
    if found is None:
        return None
    try:
        name = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)).decode()
    except ValueError:
        return None
    return Place(name, found[2]) if is_letter(name) else None


def is_letter(name: str) -> bool:
    """Whether a blob's name has the shape of Event Grid's."""
    return _NAME.match(name) is not None


def letters(name: str, data: bytes, written: datetime.datetime) -> Sequence[Parked]:
    """What is in a blob; `written` is the time of events that say none. A blob that is no JSON is one letter."""
    return [_letter(name, event, written) for event in _events(data)]


def without(data: bytes, mark: str) -> bytes | None:
    """The blob without one event; None: nothing is left."""
    rest = [event for event in _events(data) if _mark(event) != mark]
    return json.dumps(rest, ensure_ascii=False).encode() if rest else None


def _events(data: bytes) -> list[Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return [data.decode(errors="replace")]
    return document if isinstance(document, list) else [document]


def _letter(name: str, event: Any, written: datetime.datetime) -> Parked:
    encoded = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    opaque = f"eg.{encoded}.{_mark(event)}"
    if not isinstance(event, dict):
        return Parked(opaque, "not an event", written, event if isinstance(event, str) else json.dumps(event))
    said = {key.lower(): value for key, value in event.items() if key.lower() in _ADDED}
    sent = {key: value for key, value in event.items() if key.lower() not in _ADDED}
    at = _time(said.get("lastdeliveryattempttime")) or _time(said.get("publishtime")) or written
    return Parked(opaque, _reason(said), at, json.dumps(sent, ensure_ascii=False))


def _reason(said: Mapping[str, Any]) -> str:
    reason = said.get("deadletterreason") or "no reason given"
    outcome = said.get("lastdeliveryoutcome") or "unknown"
    return f"Event Grid: {reason} (attempts: {said.get('deliveryattempts', 'unknown')}, last outcome: {outcome})"


def _mark(event: Any) -> str:
    return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()[:16]


def _time(text: Any) -> datetime.datetime | None:
    """Event Grid writes seven digits of a second, which Python cuts to six."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
