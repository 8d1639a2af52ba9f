"""Evidence and dead letters in memory."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import re
from collections.abc import Sequence

from tests.fakes.faults import FakePort, FaultHook, call, healthy
from tidegate.errors import MalformedEvent, PermanentError
from tidegate.flows.alerts.letter_watch import Letter, Letters, Mark
from tidegate.ports import Parked, Stored

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")


class FakeEvidence(FakePort):
    """The port, and its insides to look at: `blobs`, `dead_letters`."""

    port = "Evidence"

    def __init__(self, fault: FaultHook = healthy) -> None:
        super().__init__(fault)
        self.blobs: dict[str, tuple[bytes, str]] = {}
        self.dead_letters: dict[str, Parked] = {}
        self.arrivals: list[Letter] = []
        """Event Grid's own letters; what lists and replays them is tried on a real blob container."""

    @call
    def put(self, name: str, data: bytes, content_type: str) -> Stored:
        if not _NAME.match(name):
            raise PermanentError(f"evidence {name!a}: not a path-safe name")
        kept, _ = self.blobs.setdefault(name, (data, content_type))
        return Stored(f"https://evidence.example/{name}", hashlib.sha256(kept).hexdigest(), len(kept))

    @call
    def get(self, name: str, limit: int) -> bytes | None:
        if name not in self.blobs:
            return None
        data, _ = self.blobs[name]
        return data[-limit:] if limit > 0 else b""

    @call
    def park(self, id: str, reason: str, body: str, at: datetime.datetime) -> bool:
        known = {each.id for each in self.dead_letters.values()}
        if id in known:
            return False
        self.dead_letters[id] = Parked(id, reason, at, body)
        return True

    @call
    def parked(self, limit: int, cursor: str | None) -> tuple[Sequence[Parked], str | None]:
        start = _position(cursor)
        newest = sorted(self.dead_letters.values(), key=lambda each: (each.at, each.id), reverse=True)
        page = newest[start : start + limit]
        return page, _cursor(start + limit) if len(newest) > start + limit else None

    @call
    def arrived(self, after: Mark, before: datetime.datetime, limit: int) -> Letters:
        behind = (after.written, after.name)
        order = sorted(self.arrivals, key=lambda each: (each.written, each.name))
        found = [each for each in order if behind < (each.written, each.name) and each.written <= before]
        told = tuple(found[:limit])
        return Letters(told, Mark(told[-1].written, told[-1].name) if told else after, len(found) > limit)

    @call
    def parked_one(self, id: str) -> Parked | None:
        return self.dead_letters.get(id)

    @call
    def unpark(self, id: str) -> None:
        self.dead_letters.pop(id, None)


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode()


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return int(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise MalformedEvent("cursor: not one of ours") from error
