"""Carries records through their flows: load, decide, save state and commands in one conditional write, then carry them out.

The commands of a decision are saved with the state (the outbox), so nothing is lost between deciding and doing; each is taken
out of the outbox in the same write as the state that its outcome leads to. A worker that dies leaves its record as it was: the
queue message comes back, or `resume` finds the record, and the rest is carried out by somebody else.

A record that is being worked on is leased, so that two messages do not start one test twice. The lease only saves work: every
command may run twice, and every write of a record names the version it was read at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import logging
from collections.abc import Callable

from tidegate.errors import MalformedEvent, StateConflict, TransientError
from tidegate.flows.base import CommandErrored, Publish, Tell
from tidegate.ports import AuditRow, CarryOut, Evidence, Spans, WorkQueue
from tidegate.records import Entry, Lease, ListRecord, Record, Records, delay, next_entry, record_id

LEASE = datetime.timedelta(seconds=30)
"""How long a record stays with a worker that says nothing; adapters answer within 20 s."""
BUDGET = datetime.timedelta(seconds=60)
"""How long one invocation goes on; the rest is another message, so that every invocation ends well before the host's limit."""
FORGOTTEN_AFTER = datetime.timedelta(minutes=30)
"""Until a record with nothing to do is not watched any more: longer than any worker can live that put it there and has not
saved it yet (host.json, functionTimeout: 10 minutes)."""
GIVE_UP_AFTER = datetime.timedelta(hours=24)
"""How long a command is tried; as long as Event Grid retries a delivery (azure-docs: delivery-and-retry)."""
LONGEST_WAIT = 300.0
"""Seconds between two tries, unless the service asks for more."""
SHOWN_REASON = 300
"""Characters of the reason of a try that people are shown."""
CLOCKS_APART = 10.0
"""Seconds by which two machines' clocks may differ: a message that comes early by more leaves the work to `resume`."""
CONFLICTS = 12
"""How often a decision is taken again because the record changed meanwhile."""

_log = logging.getLogger("tidegate.runner")


@dataclasses.dataclass(frozen=True, slots=True)
class Runner:
    """The runner of one installation; safe to use from several threads."""

    records: Records
    queue: WorkQueue
    evidence: Evidence
    carry_out: CarryOut
    new_id: Callable[[], str]
    announce: Callable[[Publish], Tell[object] | None] = lambda _news: None
    """Whom news of a flow concerns within the installation: the alerts."""
    span: Spans = lambda _key, _name: contextlib.nullcontext()

    def deliver(self, key: str, event: object, *, wake: bool = True) -> None:
        """Let the record decide on the event. When this returns, nothing about it can be lost.

        Twice: the second changes nothing. `wake`: send the message that starts the work; else the caller works on the record.
        """
        with self.span(key, type(event).__name__):
            self._deliver(key, event, wake=wake)

    def _deliver(self, key: str, event: object, *, wake: bool) -> None:
        records = self.records
        for _ in range(CONFLICTS):
            record, etag = records.load(key)
            decided, audit = records.decide(key, record, event)
            now = records.clock.now()
            if decided == record:
                if wake and any(entry.due < now - 2 * LEASE for entry in record.outbox):
                    self.queue.send(work_message(key), 0)
                return
            if decided.outbox:
                records.store.watch(key, now)  # before it is there: work that is saved is always found
            try:
                records.save(key, decided, etag, audit)
            except StateConflict:
                continue
            if decided.outbox and (wake or _is_first_to_sleep(record, decided, now)):
                self.queue.send(work_message(key), delay(decided, now))
            return
        raise TransientError(f"{key}: changed by others {CONFLICTS} times in a row")

    def is_known(self, key: str) -> bool:
        """Whether the record has heard of anything yet."""
        return self.records.load(key)[1] != ""

    def work(self, key: str) -> None:
        """Carry out what is due in the record's outbox, and what follows from it, as far as one invocation's budget goes."""
        _Worker(self, self.new_id(), self.records.clock.now() + BUDGET).drain(key, from_message=True)

    def resume(self, limit: int = 200) -> int:
        """Wake records whose outbox is overdue: a message was lost with a worker, or was never sent. Gives how many.

        Records that have had nothing to do for a while are not watched any more.
        """
        store, now = self.records.store, self.records.clock.now()
        woken = 0
        for watched in store.watched(now - 2 * LEASE):
            row = store.load(watched.key)
            if row is None or row.wake_at is None:
                if watched.at < now - FORGOTTEN_AFTER:
                    store.unwatch(watched)
            elif row.wake_at < now - 2 * LEASE:
                self.queue.send(work_message(watched.key), 0)
                woken += 1
            if woken == limit:
                break
        return woken


@dataclasses.dataclass(frozen=True, slots=True)
class _Retry:
    """There was no answer; try again after this many seconds."""

    seconds: float
    reason: str


@dataclasses.dataclass(slots=True)
class _Worker:
    """One invocation: the records it works on, its name, and when it has to end."""

    runner: Runner
    name: str
    until: datetime.datetime
    busy: set[str] = dataclasses.field(default_factory=set)

    def drain(self, key: str, *, from_message: bool) -> None:
        """Carry out the record's due commands, one after the other, with whatever becomes due meanwhile."""
        if key in self.busy:  # told by a record this worker told: the outer loop sees what was added
            return
        self.busy.add(key)
        try:
            self._drain(key, from_message=from_message)
        finally:
            self.busy.discard(key)

    def _drain(self, key: str, *, from_message: bool) -> None:
        queue = self.runner.queue
        record, etag = self.runner.records.load(key)
        worked = False
        while True:
            now = self._now()
            entry = next_entry(record, now)
            if entry is None or now >= self.until:
                # Whoever did the last of what was due sends the message for what is due next. A message that found nothing
                # to do ends here, or a busy record would gather messages for ever; unless it only came a little early.
                is_rest = worked or entry is not None
                if record.outbox and (is_rest or (from_message and delay(record, now) <= CLOCKS_APART)):
                    queue.send(work_message(key), delay(record, now))
                return
            if record.lease and record.lease.holder != self.name and record.lease.until > now:
                queue.send(work_message(key), (record.lease.until - now).total_seconds())
                return
            record, etag = self._step(key, record, etag, entry)
            worked = True

    def _step(self, key: str, record: Record, etag: str, entry: Entry) -> tuple[Record, str]:
        """Carry out one command and save what came of it; the record as it is after that."""
        records = self.runner.records
        if not self.runner.carry_out.is_reading(entry.command) and not self._holds(record):
            try:
                record = dataclasses.replace(record, lease=self._lease())
                etag = records.save(key, record, etag)
            except StateConflict:
                return records.load(key)
        outcome = self._carry_out(key, record, entry)
        for _ in range(CONFLICTS):
            if entry not in record.outbox:  # somebody else carried it out as well, and was faster
                return record, etag
            settled, audit = self._settled(key, record, entry, outcome)
            try:
                return settled, records.save(key, settled, etag, audit)
            except StateConflict:
                record, etag = records.load(key)
        raise TransientError(f"{key}: changed by others {CONFLICTS} times in a row")

    def _carry_out(self, key: str, record: Record, entry: Entry) -> object | None:
        try:
            with self.runner.span(key, type(entry.command).__name__):
                return self._carried_out(key, record, entry.command)
        except TransientError as error:
            return self._try_later(key, entry, error)

    def _carried_out(self, key: str, record: Record, command: object) -> object | None:
        match command:
            case ListRecord():
                self.runner.records.list(key, record)
                return None
            case Tell(key=other, event=event):
                self.runner.deliver(other, event, wake=False)
                self.drain(other, from_message=False)
                return None
            case Publish() as news:
                self._announce(news)
                return self.runner.carry_out(news)
            case _:
                return self.runner.carry_out(command)

    def _announce(self, news: Publish) -> None:
        """Deliver it where it concerns; that record's own message does the rest, so nothing waits for an alert."""
        tell = self.runner.announce(news)
        if tell is not None:
            self.runner.deliver(tell.key, tell.event)

    def _try_later(self, key: str, entry: Entry, error: TransientError) -> object | None:
        now = self._now()
        name = type(entry.command).__name__
        if now - entry.since < GIVE_UP_AFTER:
            wait = max(min(2.0**entry.tries, LONGEST_WAIT), min(error.retry_after or 0.0, 3600.0))
            _log.warning("%s", json.dumps({"retry": name, "key": key, "in": wait, "reason": str(error)}))
            return _Retry(wait, str(error)[:SHOWN_REASON])
        attempt = getattr(entry.command, "attempt", 0)
        if attempt:
            return CommandErrored(attempt, str(error), now)
        body = self.runner.records.codec.encode(entry.command)
        identity, reason = record_id(f"{key}/{entry.number}"), f"given up: {error}"
        self.runner.evidence.park(identity, reason, body, now)
        news = (("id", identity), ("reason", reason))
        self._announce(Publish("Tidegate.EventParked", identity, now, news, f"parked/{identity}"))
        _log.error("%s", json.dumps({"given_up": name, "key": key, "reason": str(error)}))
        return None

    def _settled(
        self, key: str, record: Record, entry: Entry, outcome: object | None
    ) -> tuple[Record, tuple[AuditRow, ...]]:
        """The record without the entry, or with it due later, and with what the outcome leads to."""
        audit: tuple[AuditRow, ...] = ()
        if isinstance(outcome, _Retry):
            due = self._now() + datetime.timedelta(seconds=outcome.seconds)
            later = dataclasses.replace(entry, due=due, tries=entry.tries + 1, reason=outcome.reason)
            record = dataclasses.replace(record, outbox=tuple(later if e == entry else e for e in record.outbox))
        else:
            record = dataclasses.replace(record, outbox=tuple(e for e in record.outbox if e != entry))
            if outcome is not None:
                record, audit = self.runner.records.decide(key, record, outcome)
        now = self._now()
        keep = next_entry(record, now) is not None and now < self.until
        return dataclasses.replace(record, lease=self._lease() if keep else None), audit

    def _holds(self, record: Record) -> bool:
        lease = record.lease
        return lease is not None and lease.holder == self.name and lease.until - self._now() > LEASE / 2

    def _lease(self) -> Lease:
        return Lease(self.name, self._now() + LEASE)

    def _now(self) -> datetime.datetime:
        return self.runner.records.clock.now()


def _is_first_to_sleep(before: Record, after: Record, now: datetime.datetime) -> bool:
    """Whether all there is to do is due later, and no message sleeps until then: nobody who works on it now will see to it."""
    wait = delay(after, now)
    return wait > 0 and (not before.outbox or delay(before, now) > wait)


def work_message(key: str) -> str:
    """What a queue message says: there is work in this record."""
    return json.dumps({"key": key})


def read_work_message(text: str) -> str:
    """The record's key. MalformedEvent: not a message of ours."""
    try:
        key = json.loads(text)["key"]
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedEvent(f"message: not a work message ({type(error).__name__})") from error
    if not isinstance(key, str) or ":" not in key:
        raise MalformedEvent("message.key: must be the key of a record")
    return key
