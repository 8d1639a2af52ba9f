"""One simulated run around failed jobs: what happens in its world, and what is checked after it.

Events are delivered until they were taken, and sometimes once more; lost ones are found by the timer that lists runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast, override

from tests.alerts.world import JobWorld
from tests.fakes import Fault
from tests.simulator.alert_scenarios import ALERTS, NOISE, AlertScenario, RunEnds
from tests.simulator.alert_watch import AlertWatch
from tests.simulator.fibers import Fibers, Invocation
from tests.simulator.installation import ChosenQueue, KeptValues
from tests.simulator.played import Played
from tests.simulator.run import Kind, Option
from tidegate.api.alert_health import alert_health
from tidegate.composition import CODEC
from tidegate.errors import MalformedEvent
from tidegate.flows.alerts import incident
from tidegate.flows.base import AnyFlow
from tidegate.flows.jobs.job_facts import FailedStep
from tidegate.flows.jobs.job_failure import experiment_subject
from tidegate.job_effects import JobEffects
from tidegate.records import Records

RECONCILES = (1800, 5400)
"""When the timer lists runs, seconds after the start."""
MUTED_FOR = datetime.timedelta(hours=1)
CANARY = "canary-7Q2"
_AGAIN_AFTER = (10, 200)
"""Seconds until an event comes again that failed, and one that was taken."""
_EVICTED = {"status": "failed", "error": "The job was preempted", "error_code": "UserError/JobPreempted"}
_ENDINGS: Mapping[str, dict[str, Any]] = {
    "code": {"status": "failed", "log": f"API_KEY={CANARY}\nKeyError: 'label'"},
    "evicted": _EVICTED,
    "step": {**_EVICTED, "parent": "pipe", "can_resubmit": False},
    "pipeline": {
        "status": "failed",
        "error": "Pipeline has failed child jobs.",
        "steps": tuple(
            FailedStep(name, name, "gpu-spot", "", "The job was preempted") for name in ("pipe-a", "pipe-b")
        ),
    },
    "completed": {"status": "completed"},
    "rumour": {"status": "completed"},
    "noise": {"status": "failed", "log": NOISE},
}

type AlertChooser = Callable[[int, "AlertRun"], int]


@dataclasses.dataclass(frozen=True, slots=True)
class AlertBug:
    """A planted bug: which part of the product is replaced by one that has it. Without any, the product as it is."""

    name: str = ""
    change: Callable[[Mapping[str, AnyFlow]], Mapping[str, AnyFlow]] = lambda flows: flows
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


class AlertRun(Played):
    """A world of runs, its host and a watch, moved on choice by choice."""

    law = "B1"
    reading = frozenset({"load", "describe", "ended", "due", "get", "arrived"})
    racy = frozenset({"load", "save", "send"})
    refusing = "AlertEmail"

    def __init__(self, scenario: AlertScenario, bug: AlertBug = NO_ALERT_BUG, *, text: bool = False) -> None:
        self.scenario = scenario
        self.bug = bug
        fibers = Fibers()
        codec = CODEC if text else KeptValues()
        self.app = JobWorld(ALERTS, self._fault, queue=ChosenQueue, codec=codec, effects=bug.effects, change=bug.change)
        super().__init__(fibers, self.app.clock, self.app.store, cast("ChosenQueue", self.app.queue))
        self.to_end = list(scenario.ends)
        self.to_reconcile = [self.at(each) for each in RECONCILES]
        self.events: list[GridEvent] = []
        self.muted = scenario.muted is None
        if scenario.down is not None and scenario.down[0] == 0:
            self.app.email.down_until = self.at(scenario.down[1])
        self.watch = AlertWatch(self)

    def is_down(self) -> bool:
        """Whether the workflow does not answer now."""
        down = self.scenario.down
        return down is not None and down[0] <= (self.clock.now() - self.started).total_seconds() < down[1]

    def _fault(self, port: str, method: str) -> Fault:
        fault = self.fibers.fault(port, method)
        return Fault.TRANSIENT if port == "AlertEmail" and fault is Fault.OK and self.is_down() else fault

    @override
    def look(self) -> None:
        self.watch.look()

    @override
    def check_end(self) -> None:
        self.watch.check_end()

    @override
    def before(self, invocation: Invocation, fault: Fault) -> None:
        self.watch.before(invocation, fault)

    @override
    def resume(self) -> None:
        self.app.intake.resume()

    # What begins

    @override
    def starts(self) -> Iterator[Option]:
        now = self.clock.now()
        if self.to_end and self.at(self.to_end[0].seconds) <= now:
            yield Option(Kind.ORDER, f"{self.to_end[0].name} ends", self._end_next)
        if len(self.running) < self.scenario.workers:
            yield from self._invocations(now)

    def _invocations(self, now: datetime.datetime) -> Iterator[Option]:
        if not self.muted and self.at(self.scenario.muted or 0) <= now:
            yield self.begin("mute", self._mute)
        for event in self.events:
            if event.left > 0 and event.due <= now:
                yield self.begin(f"deliver {event.name}", functools.partial(self._deliver, event))
        yield from self.messages(lambda text: lambda: _safely(functools.partial(self.app.intake.work, text)))
        if self.to_reconcile and self.to_reconcile[0] <= now:
            yield self.begin("reconcile", self._reconcile)
        yield from self.timer()

    @override
    def moments(self) -> Iterator[datetime.datetime]:
        yield from (event.due for event in self.events if event.left > 0)
        yield from (self.at(each.seconds) for each in self.to_end[:1])
        yield from self.to_reconcile[:1]
        if not self.muted:
            yield self.at(self.scenario.muted or 0)

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
        return self.start(
            f"deliver {event.name}", lambda: _safely(lambda: intake.run_status_changed(event.body)), ended
        )

    def _mute(self) -> Invocation:
        self.muted = True
        key = incident.key(experiment_subject("vision", "exp", "team"))
        now = self.clock.now()
        muted = incident.Muted(now + MUTED_FOR, "a person", now)
        return self.start("mute", lambda: self.app.runner.deliver(key, muted), lambda invocation: None)

    def _reconcile(self) -> Invocation:
        moment = self.to_reconcile.pop(0)

        def ended(invocation: Invocation) -> None:
            if invocation.dead or invocation.error:
                self.to_reconcile.insert(0, max(moment, self.clock.now()) + datetime.timedelta(minutes=15))

        return self.start("reconcile", self.app.intake.reconcile, ended)


def _safely(body: Callable[[], None]) -> None:
    """A message that breaks a rule is parked by the function, and taken."""
    with contextlib.suppress(MalformedEvent):
        body()
