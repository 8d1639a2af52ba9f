"""One simulated run around failed jobs: what may happen next, which of it is chosen, and what is checked after it.

The rules of the host are those of `host`: messages come back after a failure, invocations end after ten minutes, a timer wakes
records that were forgotten. Events are delivered until they were taken, and sometimes once more; lost ones are found by the
timer that lists runs.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from tests.alerts.world import JobWorld
from tests.fakes import Delivery, Fault
from tests.simulator.alert_scenarios import ALERTS, NOISE, AlertScenario, RunEnds
from tests.simulator.alert_watch import AlertWatch
from tests.simulator.fibers import ACK, Fibers, Invocation
from tests.simulator.host import FUNCTION_TIMEOUT, MAX_DEQUEUE
from tests.simulator.installation import ChosenQueue, KeptValues
from tests.simulator.invariants import Violation
from tests.simulator.run import Kind, Option
from tidegate.api.alert_health import alert_health
from tidegate.composition import CODEC
from tidegate.errors import MalformedEvent
from tidegate.flows.alerts import incident
from tidegate.flows.base import Flow
from tidegate.flows.jobs.job_failure import experiment_subject
from tidegate.job_effects import JobEffects
from tidegate.records import Records

LIMIT = 6000
"""Choices in a run; a healthy one takes a few hundred."""
RECONCILES = (1800, 5400)
"""When the timer lists runs, seconds after the start."""
MUTED_FOR = datetime.timedelta(hours=1)
CANARY = "canary-7Q2"
_TIMER = 120
_OVERDUE = datetime.timedelta(seconds=60)
_SLOWNESS = (45, 400)
_AGAIN_AFTER = (10, 200)
"""Seconds until an event comes again that failed, and one that was taken."""
_READING = {"load", "describe", "ended", "due", "get", "arrived"}
_RACY = {"load", "save", "send"}
_ENDINGS: Mapping[str, dict[str, Any]] = {
    "code": {"status": "failed", "log": f"API_KEY={CANARY}\nKeyError: 'label'"},
    "evicted": {"status": "failed", "error": "The job was preempted", "error_code": "UserError/JobPreempted"},
    "completed": {"status": "completed"},
    "rumour": {"status": "completed"},
    "noise": {"status": "failed", "log": NOISE},
}

type AlertChooser = Callable[[int, "AlertRun"], int]


@dataclasses.dataclass(frozen=True, slots=True)
class AlertBug:
    """A planted bug: which part of the product is replaced by one that has it. Without any, the product as it is."""

    name: str = ""
    change: Callable[[Mapping[str, Flow]], Mapping[str, Flow]] = lambda flows: flows
    effects: type[JobEffects] = JobEffects
    health: Callable[[Records, tuple[str, ...], datetime.datetime], dict[str, Any]] = alert_health


NO_ALERT_BUG = AlertBug()


@dataclasses.dataclass(slots=True, eq=False)
class GridEvent:
    """An event on its way, until it was taken."""

    name: str
    body: dict[str, Any]
    due: datetime.datetime
    left: int


class AlertRun:
    """A world of runs, its host and a watch, moved on choice by choice."""

    def __init__(self, scenario: AlertScenario, bug: AlertBug = NO_ALERT_BUG, *, text: bool = False) -> None:
        self.scenario = scenario
        self.bug = bug
        self.fibers = Fibers()
        codec = CODEC if text else KeptValues()
        self.app = JobWorld(ALERTS, self._fault, queue=ChosenQueue, codec=codec, effects=bug.effects, change=bug.change)
        self.queue = cast("ChosenQueue", self.app.queue)
        self.clock = self.app.clock
        self.started = self.clock.now()
        self.counts: collections.Counter[str] = collections.Counter()
        self.to_end = list(scenario.ends)
        self.to_reconcile = [self.started + datetime.timedelta(seconds=each) for each in RECONCILES]
        self.events: list[GridEvent] = []
        self.running: list[Invocation] = []
        self.refused = False
        """Whether a mail was refused by an injected fault: then it is a dead letter instead."""
        self.slow = False
        """Whether a call took so long that another worker may have done the same."""
        self.muted = scenario.muted is None
        if scenario.down is not None and scenario.down[0] == 0:
            self.app.email.down_until = self._at(scenario.down[1])
        self.watch = AlertWatch(self)
        self._ends: dict[Invocation, Callable[[Invocation], None]] = {}
        self._steps: list[tuple[datetime.datetime, Kind, str]] = []
        self._ticked = self.started
        self._current: Invocation | None = None

    @property
    def trace(self) -> list[str]:
        """What happened, a line each; what was not usual is marked."""
        return [
            f"{(at - self.started).total_seconds():8.2f} {'' if kind is Kind.USUAL else '! '}{text}"
            for at, kind, text in self._steps
        ]

    @property
    def port(self) -> str:
        """The port that is called next if nobody interferes; empty: none is."""
        return self._current.call[0] if self._current else ""

    def is_racy(self) -> bool:
        """Whether it can matter who goes first now."""
        return self._current is None or self._current.call[1] in _RACY

    def is_down(self) -> bool:
        """Whether the workflow does not answer now."""
        down = self.scenario.down
        return down is not None and down[0] <= (self.clock.now() - self.started).total_seconds() < down[1]

    def play(self, choose: AlertChooser) -> None:
        """Let it run to its end. Violation: something did not hold, on the way or at the end."""
        for number in range(LIMIT):
            usual = self._usual()
            if usual is None:
                self.watch.check_end()
                return
            index = choose(number, self)
            self._do(usual if index == 0 else self.options()[index])
        raise Violation("B1", f"no end after {LIMIT} choices")

    def options(self) -> list[Option]:
        """Everything that may happen next, what is usual first."""
        usual = self._usual()
        assert usual is not None
        others = [*self._orders(), *self._faults()]
        return [usual, *(each for each in others if each.text != usual.text)]

    def _do(self, option: Option) -> None:
        self._steps.append((self.clock.now(), option.kind, option.text))
        if option.kind is not Kind.USUAL:
            self.counts[option.kind.value] += 1
        option.do()
        self.watch.look()

    def _fault(self, port: str, method: str) -> Fault:
        fault = self.fibers.fault(port, method)
        return Fault.TRANSIENT if port == "AlertEmail" and fault is Fault.OK and self.is_down() else fault

    # What is usual

    def _usual(self) -> Option | None:
        if self._current is not None and not self._current.over and self._current.stalled_until is None:
            return self._go(self._current)
        self._current = None
        starts = next(self._starts(), None)
        if starts is not None:
            return dataclasses.replace(starts, kind=Kind.USUAL)
        ready = self._ready()
        if ready:
            return self._go(ready[0])
        if self._next_moment() is not None:
            return Option(Kind.USUAL, "time passes", self._advance)
        return None

    def _ready(self) -> list[Invocation]:
        now = self.clock.now()
        return [each for each in self.running if each.stalled_until is None or each.stalled_until <= now]

    def _starts(self) -> Iterator[Option]:
        now = self.clock.now()
        if self.to_end and self._at(self.to_end[0].seconds) <= now:
            yield Option(Kind.ORDER, f"{self.to_end[0].name} ends", self._end_next)
        if len(self.running) < self.scenario.workers:
            yield from self._invocations(now)

    def _invocations(self, now: datetime.datetime) -> Iterator[Option]:
        if not self.muted and self._at(self.scenario.muted or 0) <= now:
            yield self._begin("mute", self._mute)
        for event in self.events:
            if event.left > 0 and event.due <= now:
                yield self._begin(f"deliver {event.name}", functools.partial(self._deliver, event))
        for text in dict.fromkeys(self.queue.visible()):
            yield self._begin(f"receive {text}", functools.partial(self._receive, text))
        if self.to_reconcile and self.to_reconcile[0] <= now:
            yield self._begin("reconcile", self._reconcile)
        timer = self._timer_due()
        if timer is not None and timer <= now:
            yield self._begin("timer", self._tick)

    def _begin(self, text: str, start: Callable[[], Invocation]) -> Option:
        def do() -> None:
            self._current = start()

        return Option(Kind.ORDER, text, do)

    # What else may happen

    def _orders(self) -> Iterator[Option]:
        for invocation in self._ready():
            if invocation is not self._current:
                yield self._go(invocation, Kind.ORDER)
        yield from self._starts()

    def _faults(self) -> Iterator[Option]:
        invocation = self._current
        if invocation is None:
            return
        name = f"{invocation.name}: {'.'.join(invocation.call)}"
        for fault, kind in self._palette(invocation):
            yield Option(kind, f"{name} {fault.value}", functools.partial(self._step, invocation, fault))
        if invocation.call == ACK:
            return
        for seconds in _SLOWNESS:
            yield Option(Kind.SLOW, f"{name} takes {seconds} s", functools.partial(self._stall, invocation, seconds))

    def _palette(self, invocation: Invocation) -> Iterator[tuple[Fault, Kind]]:
        yield Fault.CRASH_BEFORE, Kind.CRASH
        if invocation.call == ACK:
            return
        yield Fault.FAIL_BEFORE, Kind.FAULT
        yield Fault.TRANSIENT, Kind.FAULT
        port, method = invocation.call
        if method not in _READING:
            yield Fault.FAIL_AFTER, Kind.FAULT
        if port == "AlertEmail":
            yield Fault.PERMANENT, Kind.FAULT

    def _go(self, invocation: Invocation, kind: Kind = Kind.USUAL) -> Option:
        def do() -> None:
            self._current = invocation
            self._step(invocation, Fault.OK)

        return Option(kind, f"{invocation.name}: {'.'.join(invocation.call)}", do)

    # Doing it

    def _end_next(self) -> None:
        ends = self.to_end.pop(0)
        facts = self.app.run_ends(ends.name, event=False, experiment=ends.experiment, **_ENDINGS[ends.ending])
        self.watch.ended(ends)
        if ends.lost:
            return
        said = "Failed" if ends.ending == "rumour" else ""
        self._send(ends, self.app.event(facts, said), 1 + self.scenario.duplicates)
        if self.scenario.running_late:
            self._send(dataclasses.replace(ends, name=f"{ends.name} running"), self.app.event(facts, "Running"), 1)

    def _send(self, ends: RunEnds, body: dict[str, Any], left: int) -> None:
        self.events.append(GridEvent(ends.name, body, self.clock.now(), left))

    def _deliver(self, event: GridEvent) -> Invocation:
        event.left -= 1

        def ended(invocation: Invocation) -> None:
            failed = bool(invocation.dead or invocation.error)
            event.left += failed
            event.due = self.clock.now() + datetime.timedelta(seconds=_AGAIN_AFTER[not failed])

        intake = self.app.intake
        return self._start(f"deliver {event.name}", lambda: intake.run_status_changed(event.body), ended)

    def _mute(self) -> Invocation:
        self.muted = True
        key = incident.key(experiment_subject("vision", "exp"))
        now = self.clock.now()
        muted = incident.Muted(now + MUTED_FOR, "a person", now)
        return self._start("mute", lambda: self.app.runner.deliver(key, muted), lambda invocation: None)

    def _receive(self, text: str) -> Invocation:
        found = self.queue.receive_text(text)
        name = f"work {text.partition('"key": "')[2].removesuffix('"}')}"
        return self._start(
            name, lambda: self.app.intake.work(text), lambda invocation: self._received(invocation, found)
        )

    def _received(self, invocation: Invocation, found: Delivery) -> None:
        if invocation.dead:
            return  # it is visible again when its time of invisibility ends
        if not invocation.error or found.count >= MAX_DEQUEUE:
            self.queue.delete(found)
        else:
            self.queue.release(found, 10)

    def _reconcile(self) -> Invocation:
        moment = self.to_reconcile.pop(0)

        def ended(invocation: Invocation) -> None:
            if invocation.dead or invocation.error:
                self.to_reconcile.insert(0, max(moment, self.clock.now()) + datetime.timedelta(minutes=15))

        return self._start("reconcile", self.app.intake.reconcile, ended)

    def _tick(self) -> Invocation:
        self._ticked = self.clock.now()
        return self._start("resume", self.app.intake.resume, lambda invocation: None)

    def _start(self, name: str, body: Callable[[], None], ended: Callable[[Invocation], None]) -> Invocation:
        def safely() -> None:
            with contextlib.suppress(MalformedEvent):
                body()

        invocation = self.fibers.start(name, safely, self.clock.now())
        self.running.append(invocation)
        self._ends[invocation] = ended
        self._end_if_over(invocation)
        return invocation

    def _step(self, invocation: Invocation, fault: Fault) -> None:
        if self.clock.now() - invocation.started >= FUNCTION_TIMEOUT:
            fault = Fault.CRASH_BEFORE
        invocation.stalled_until = None
        self.refused = self.refused or fault is Fault.PERMANENT
        if fault is not Fault.OK:
            self.counts[fault.value] += 1
        self.watch.before(invocation, fault)
        self.fibers.step(invocation, fault)
        self._end_if_over(invocation)

    def _end_if_over(self, invocation: Invocation) -> None:
        if invocation.over:
            self.running.remove(invocation)
            self._ends.pop(invocation)(invocation)

    def _stall(self, invocation: Invocation, seconds: float) -> None:
        self.slow = True
        until = self.clock.now() + datetime.timedelta(seconds=seconds)
        invocation.stalled_until = min(until, invocation.started + FUNCTION_TIMEOUT)

    # Time

    def _at(self, seconds: float) -> datetime.datetime:
        return self.started + datetime.timedelta(seconds=seconds)

    def _timer_due(self) -> datetime.datetime | None:
        waking = [row.wake_at for row in self.app.store.rows.values() if row.wake_at is not None]
        if not waking:
            return None
        since_start = max(min(waking) + _OVERDUE, self._ticked) - self.started
        turns = since_start // datetime.timedelta(seconds=_TIMER) + 1
        return self.started + datetime.timedelta(seconds=_TIMER * turns)

    def _next_moment(self) -> datetime.datetime | None:
        now = self.clock.now()
        moments = [event.due for event in self.events if event.left > 0]
        moments += [self._at(each.seconds) for each in self.to_end[:1]]
        moments += self.to_reconcile[:1]
        moments += [] if self.muted else [self._at(self.scenario.muted or 0)]
        moments += [each.stalled_until for each in self.running if each.stalled_until is not None]
        moments += [each for each in (self.queue.next_at(), self._timer_due()) if each is not None]
        return min((each for each in moments if each > now), default=None)

    def _advance(self) -> None:
        moment = self._next_moment()
        assert moment is not None
        self.clock.advance_to(moment)
