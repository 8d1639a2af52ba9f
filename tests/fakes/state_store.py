"""Records, audit rows and the list in memory, with the same conflicts as a table."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
from collections.abc import Sequence

from tests.fakes.faults import FakePort, FaultHook, call, healthy
from tidegate.errors import MalformedEvent, PermanentError, StateConflict
from tidegate.ports import AuditRow, Row, Summary, Watched

_MAX_BODY = 450_000
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class FakeStore(FakePort):
    """The port, and its insides to look at: `rows`, `audit`, `entries`, `watches`."""

    port = "StateStore"

    def __init__(self, fault: FaultHook = healthy) -> None:
        super().__init__(fault)
        self.rows: dict[str, Row] = {}
        self.audit: dict[str, dict[int, AuditRow]] = {}
        self.entries: dict[str, Summary] = {}
        self.watches: dict[str, Watched] = {}
        self._version = 0

    @call
    def load(self, key: str) -> Row | None:
        return self.rows.get(key)

    @call
    def save(self, row: Row, audit: Sequence[AuditRow]) -> str:
        if len(row.body) > _MAX_BODY:
            raise PermanentError(f"{row.key}: a record of {len(row.body)} characters, more than {_MAX_BODY}")
        stored = self.rows.get(row.key)
        rows = self.audit.get(row.key, {})
        if (stored.etag if stored else "") != row.etag:
            raise StateConflict(f"{row.key}: changed since it was read")
        if any(each.sequence in rows for each in audit):
            raise StateConflict(f"{row.key}: this transition is recorded already")
        self._version += 1
        etag = f'W/"{self._version}"'
        self.rows[row.key] = dataclasses.replace(row, etag=etag)
        self.audit[row.key] = rows | {each.sequence: each for each in audit}
        return etag

    @call
    def history(self, key: str) -> Sequence[AuditRow]:
        return tuple(row for _, row in sorted(self.audit.get(key, {}).items()))

    @call
    def watch(self, key: str, at: datetime.datetime) -> None:
        self._version += 1
        self.watches[key] = Watched(key, at, f'W/"{self._version}"')

    @call
    def watched(self, before: datetime.datetime) -> Sequence[Watched]:
        return [each for _, each in sorted(self.watches.items()) if each.at < before]

    @call
    def unwatch(self, watched: Watched) -> None:
        if self.watches.get(watched.key) == watched:
            del self.watches[watched.key]

    @call
    def list_entry(self, summary: Summary) -> None:
        stored = self.entries.get(summary.id)
        if stored is None or stored.updated <= summary.updated:
            self.entries[summary.id] = summary

    @call
    def listed(
        self, *, state: str | None, repository: str | None, limit: int, cursor: str | None, flow: str | None = None
    ) -> tuple[Sequence[Summary], str | None]:
        after = _position(cursor)
        matching = [
            each
            for each in sorted(self.entries.values(), key=_order)
            if state in (None, each.state) and repository in (None, each.repository) and _order(each) > after
            if flow is None or each.key.startswith(f"{flow}:")
        ]
        page = matching[:limit]
        return page, _cursor(page[-1]) if len(matching) > limit else None

    @call
    def find(self, id: str) -> Summary | None:
        return self.entries.get(id)


def _order(summary: Summary) -> tuple[int, str]:
    return -((summary.since - _EPOCH) // datetime.timedelta(microseconds=1)), summary.id


def _cursor(last: Summary) -> str:
    micros, name = _order(last)
    return base64.urlsafe_b64encode(f"{micros} {name}".encode()).decode()


def _position(cursor: str | None) -> tuple[int, str]:
    if cursor is None:
        return -(10**30), ""
    try:
        micros, _, name = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(" ")
        return int(micros), name
    except (binascii.Error, ValueError) as error:
        raise MalformedEvent("cursor: not one of ours") from error
