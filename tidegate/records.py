"""Records: a flow's state with its outbox and its history, loaded and saved as one, and changed only by the flow's decision."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import cast

from tidegate.codec import Codec
from tidegate.errors import MalformedEvent
from tidegate.flows.base import After, AnyFlow, Publish, flow_name
from tidegate.ports import AuditRow, Clock, Row, StateStore, Summary

_log = logging.getLogger("tidegate.records")


@dataclasses.dataclass(frozen=True, slots=True)
class ListRecord:
    """Renew the record's entry in the list; the runner's own command."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One command in the outbox."""

    number: int
    command: object
    due: datetime.datetime
    since: datetime.datetime
    tries: int = 0
    reason: str = ""
    """Why it is tried again."""


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """Who works on the record, and until when others leave it alone."""

    holder: str
    until: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A flow's state with everything that must be written together with it."""

    state: object
    since: datetime.datetime
    outbox: tuple[Entry, ...] = ()
    numbered: int = 0
    """Number of the last outbox entry ever made."""
    audited: int = 0
    """Number of audit rows."""
    lease: Lease | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Records:
    """All records of an installation."""

    flows: Mapping[str, AnyFlow]
    store: StateStore
    codec: Codec
    clock: Clock

    def load(self, key: str) -> tuple[Record, str]:
        """The record and the version it was read at; a new record at no version where there is none."""
        row = self.store.load(key)
        if row is None:
            return Record(self._flow(key).initial(), self.clock.now()), ""
        return cast("Record", self.codec.decode(row.body)), row.etag

    def save(self, key: str, record: Record, etag: str, audit: Sequence[AuditRow] = ()) -> str:
        """Write it, if it is still at that version; gives the new version. StateConflict: it is not."""
        wake_at = min((entry.due for entry in record.outbox), default=None)
        return self.store.save(Row(key, flow_name(key), self.codec.encode(record), etag, wake_at), audit)

    def decide(self, key: str, record: Record, event: object) -> tuple[Record, tuple[AuditRow, ...]]:
        """The record after the event, and the audit row of the transition. The same record: the event changed nothing."""
        flow, before = self._flow(key), record.state
        decision = flow.decide(before, event)
        if decision.state == before and not decision.commands:
            return record, ()
        now = self.clock.now()
        commands = decision.commands
        if flow.listing(decision.state) != flow.listing(before) and not _is_listed_soon(record):
            commands = (*commands, ListRecord())
        after = dataclasses.replace(_with_commands(record, commands, now), state=decision.state)
        _log_decision(key, before, event, decision.state, decision.commands)
        explanation = flow.explain(event, decision.state)
        if explanation is None:
            return after, ()
        row = AuditRow(
            sequence=record.audited + 1,
            at=now,
            who=explanation.who,
            what=type(event).__name__,
            why=explanation.why,
            before=type(before).__name__,
            after=type(decision.state).__name__,
            evidence=explanation.evidence,
        )
        return dataclasses.replace(after, audited=row.sequence), (row,)

    def list(self, key: str, record: Record) -> None:
        """Renew the record's entry in the list."""
        listing = self._flow(key).listing(record.state)
        if listing is None:
            return
        self.store.list_entry(
            Summary(
                key=key,
                id=record_id(key),
                since=record.since,
                updated=self.clock.now(),
                state=listing.state,
                repository=listing.repository,
                tags=listing.tags,
                digest=listing.digest,
                reason=listing.reason,
            )
        )

    def _flow(self, key: str) -> AnyFlow:
        try:
            return self.flows[flow_name(key)]
        except KeyError:
            raise MalformedEvent(f"key: {flow_name(key)!r} is no flow") from None


def record_id(key: str) -> str:
    """What people and URLs call a record: 20 hex digits, 80 bits, of its key's hash."""
    return hashlib.sha256(key.encode()).hexdigest()[:20]


def next_entry(record: Record, now: datetime.datetime) -> Entry | None:
    """What to do now: the flow's own steps first, news about them after."""
    due = [entry for entry in record.outbox if entry.due <= now]
    return min(due, key=lambda entry: (isinstance(entry.command, Publish | ListRecord), entry.number), default=None)


def delay(record: Record, now: datetime.datetime) -> float:
    """Seconds until the outbox wants attention."""
    return max(0.0, (min(entry.due for entry in record.outbox) - now).total_seconds())


def _with_commands(record: Record, commands: Sequence[object], now: datetime.datetime) -> Record:
    entries = []
    number = record.numbered
    for command in commands:
        number += 1
        match command:
            case After(seconds=seconds, command=later):
                due = now + datetime.timedelta(seconds=seconds)
                entries.append(Entry(number, later, due, due))
            case _:
                entries.append(Entry(number, command, now, now))
    return dataclasses.replace(record, outbox=(*record.outbox, *entries), numbered=number)


def _is_listed_soon(record: Record) -> bool:
    return any(isinstance(entry.command, ListRecord) for entry in record.outbox)


def _name(value: object) -> str:
    return type(value).__name__


def _log_decision(key: str, before: object, event: object, after: object, commands: Sequence[object]) -> None:
    if not _log.isEnabledFor(logging.INFO):
        return
    names = [_name(command.command if isinstance(command, After) else command) for command in commands]
    fields = {
        "flow": flow_name(key),
        "key": key,
        "event": _name(event),
        "before": _name(before),
        "after": _name(after),
        "commands": names,
    }
    _log.info("%s", json.dumps(fields))
