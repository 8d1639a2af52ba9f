"""One simulated run around an endpoint: what may happen next, which of it is chosen, and what is checked after it.

The rules of the host are those of `host`: messages come back after a failure, invocations end after ten minutes, a timer wakes
records that were forgotten. Everything said to the endpoint is delivered until it was taken, and sometimes once more.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterator
from typing import Any

from tests.fakes import Delivery, Fault
from tests.simulator.endpoint_service import NOTHING
from tests.simulator.fibers import ACK, Fibers, Invocation
from tests.simulator.host import FUNCTION_TIMEOUT, MAX_DEQUEUE
from tests.simulator.invariants import Violation
from tests.simulator.model_installation import KEY, NO_MODEL_BUG, ModelBug, ModelInstallation
from tests.simulator.model_scenarios import ModelScenario, Said
from tests.simulator.model_watch import ModelWatch, check_model_end
from tests.simulator.run import Kind, Option
from tidegate.flows.models.model_facts import Weights
from tidegate.runner import work_message

LIMIT = 6000
"""Choices in a run; a healthy one takes a few hundred."""
_TIMER = 120
_OVERDUE = datetime.timedelta(seconds=60)
_SLOWNESS = (45, 400)
_REPEATED = datetime.timedelta(seconds=200)
"""After what time something that is said twice is said again: long enough for what it led to to be over."""
_ACTS_UNTIL = datetime.timedelta(hours=1)
"""What is done by hand after the last look at the endpoint, a day later, is found by nobody but the next rollout."""
_READING = {"load", "look", "deployment", "ask", "traffic", "memory", "started", "due"}
_RACY = {"load", "save", "shift", "create", "remove", "ensure"}

type ModelChooser = Callable[[int, "ModelRun"], int]


@dataclasses.dataclass(slots=True, eq=False)
class Word:
    """Something that is said to the endpoint, until it was heard."""

    said: Said
    due: datetime.datetime
    left: int
    event: Any = None
    """Made when it is said for the first time: a repeated one is the same."""


class ModelRun:
    """An installation, its host and a watch, moved on choice by choice."""

    def __init__(self, scenario: ModelScenario, bug: ModelBug = NO_MODEL_BUG, *, text: bool = False) -> None:
        self.scenario = scenario
        self.fibers = Fibers()
        self.app = ModelInstallation(scenario, self.fibers.fault, bug, text=text)
        self.clock = self.app.clock
        self.started = self.clock.now()
        self.counts: collections.Counter[str] = collections.Counter()
        self.words = [
            Word(said, self.started + datetime.timedelta(seconds=said.seconds), 1 + scenario.duplicates)
            for said in scenario.said
        ]
        self.running: list[Invocation] = []
        self.outside = list(scenario.outside)
        self.refused = False
        """Whether something was refused by an injected fault: then a rollout may end otherwise."""
        self.slow = False
        """Whether a call took so long that it may have been carried out late."""
        self.late = False
        """Whether what was done last was done late, by a worker that had been cut off."""
        self.watch = ModelWatch(self)
        self._ends: dict[Invocation, Callable[[Invocation], None]] = {}
        self._steps: list[tuple[datetime.datetime, Kind, str]] = []
        self._ticked = self.started
        self._current: Invocation | None = None
        self._stalled: set[Invocation] = set()

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

    def play(self, choose: ModelChooser) -> None:
        """Let it run to its end. Violation: something did not hold, on the way or at the end."""
        for number in range(LIMIT):
            usual = self._usual()
            if usual is None:
                check_model_end(self)
                return
            index = choose(number, self)
            self._do(usual if index == 0 else self.options()[index])
        raise Violation("C6", f"no end after {LIMIT} choices")

    def options(self) -> list[Option]:
        """Everything that may happen next, what is usual first."""
        usual = self._usual()
        assert usual is not None
        others = [*self._orders(), *self._acts(), *self._faults()]
        return [usual, *(each for each in others if each.text != usual.text)]

    def _do(self, option: Option) -> None:
        self._steps.append((self.clock.now(), option.kind, option.text))
        if option.kind is not Kind.USUAL:
            self.counts[option.kind.value] += 1
        self.late = False
        option.do()
        self.watch.look()

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
        if len(self.running) >= self.scenario.workers:
            return
        now = self.clock.now()
        for word in self.words:
            if word.left > 0 and word.due <= now:
                text = f"say {word.said.word} {word.said.version}"
                yield self._begin(text, functools.partial(self._say, word))
        for text in dict.fromkeys(self.app.queue.visible()):
            yield self._begin(f"receive {text}", functools.partial(self._receive, text))
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

    def _acts(self) -> Iterator[Option]:
        """What somebody does by hand, at any moment after the endpoint is there."""
        if self.app.service.exists and self.clock.now() - self.started < _ACTS_UNTIL:
            for act in dict.fromkeys(self.outside):
                yield Option(Kind.FAULT, f"somebody acts: {act}", functools.partial(self._act, act))

    def _act(self, act: str) -> None:
        self.outside.remove(act)
        service = self.app.service
        if act == "delete endpoint":
            service.delete_endpoint()
        else:
            ready = [name for name in service.deployments if service.deployment_state(name) == "ready"]
            service.divide(Weights(((ready[0], 100),)) if ready else NOTHING)
        self.counts["acts"] += 1

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
        if invocation.name == f"work {KEY}" and invocation.calls == 1:
            again = functools.partial(self.app.queue.send, work_message(KEY), 0)
            yield Option(Kind.FAULT, f"the message of {KEY} comes again", again)

    def _palette(self, invocation: Invocation) -> Iterator[tuple[Fault, Kind]]:
        yield Fault.CRASH_BEFORE, Kind.CRASH
        if invocation.call == ACK:
            return
        yield Fault.FAIL_BEFORE, Kind.FAULT
        yield Fault.TRANSIENT, Kind.FAULT
        port, method = invocation.call
        if method not in _READING:
            yield Fault.FAIL_AFTER, Kind.FAULT
        if port == "Endpoints":
            yield Fault.PERMANENT, Kind.FAULT

    def _go(self, invocation: Invocation, kind: Kind = Kind.USUAL) -> Option:
        def do() -> None:
            self._current = invocation
            self._step(invocation, Fault.OK)

        return Option(kind, f"{invocation.name}: {'.'.join(invocation.call)}", do)

    # Doing it

    def _say(self, word: Word) -> Invocation:
        word.left -= 1
        event = word.event or word.said.event(self.clock.now(), self.scenario.stage)
        word.event = event
        if word.said.word == "want":
            self.watch.wanted.add(word.said.version)

        def ended(invocation: Invocation) -> None:
            if invocation.dead or invocation.error:
                word.left += 1
                word.due = self.clock.now() + datetime.timedelta(seconds=10)
            else:
                self.watch.heard.add(word.said)
                word.due = self.clock.now() + _REPEATED

        name = f"say {word.said.word} {word.said.version}"
        return self._start(name, lambda: self.app.runner.deliver(KEY, event), ended)

    def _receive(self, text: str) -> Invocation:
        found = self.app.queue.receive_text(text)
        key = text.partition('"key": "')[2].removesuffix('"}')
        return self._start(
            f"work {key}", lambda: self.app.runner.work(key), lambda invocation: self._received(invocation, found)
        )

    def _received(self, invocation: Invocation, found: Delivery) -> None:
        if invocation.dead:
            return  # it is visible again when its time of invisibility ends
        if not invocation.error or found.count >= MAX_DEQUEUE:
            self.app.queue.delete(found)
        else:
            self.app.queue.release(found, 10)

    def _tick(self) -> Invocation:
        self._ticked = self.clock.now()
        return self._start("resume", lambda: _ignore(self.app.runner.resume()), lambda invocation: None)

    def _start(self, name: str, body: Callable[[], None], ended: Callable[[Invocation], None]) -> Invocation:
        invocation = self.fibers.start(name, body, self.clock.now())
        self.running.append(invocation)
        self._ends[invocation] = ended
        self._end_if_over(invocation)
        return invocation

    def _step(self, invocation: Invocation, fault: Fault) -> None:
        if self.clock.now() - invocation.started >= FUNCTION_TIMEOUT:
            fault = Fault.CRASH_BEFORE
        invocation.stalled_until = None
        self.late = invocation in self._stalled
        self._stalled.discard(invocation)
        self.refused = self.refused or fault is Fault.PERMANENT
        if fault is not Fault.OK:
            self.counts[fault.value] += 1
        self.fibers.step(invocation, fault)
        self._end_if_over(invocation)

    def _end_if_over(self, invocation: Invocation) -> None:
        if invocation.over:
            self.running.remove(invocation)
            self._ends.pop(invocation)(invocation)

    def _stall(self, invocation: Invocation, seconds: float) -> None:
        self.slow = True
        self._stalled.add(invocation)
        until = self.clock.now() + datetime.timedelta(seconds=seconds)
        invocation.stalled_until = min(until, invocation.started + FUNCTION_TIMEOUT)

    # Time

    def _timer_due(self) -> datetime.datetime | None:
        waking = [row.wake_at for row in self.app.store.rows.values() if row.wake_at is not None]
        if not waking:
            return None
        since_start = max(min(waking) + _OVERDUE, self._ticked) - self.started
        turns = since_start // datetime.timedelta(seconds=_TIMER) + 1
        return self.started + datetime.timedelta(seconds=_TIMER * turns)

    def _next_moment(self) -> datetime.datetime | None:
        now = self.clock.now()
        moments = [word.due for word in self.words if word.left > 0]
        moments += [each.stalled_until for each in self.running if each.stalled_until is not None]
        moments += [each for each in (self.app.queue.next_at(), self._timer_due()) if each is not None]
        return min((each for each in moments if each > now), default=None)

    def _advance(self) -> None:
        moment = self._next_moment()
        assert moment is not None
        self.clock.advance_to(moment)


def _ignore(_: object) -> None:
    """A result nobody needs."""
