"""What simulated worlds have in common: invocations one call at a time, faults at each, time that passes when nothing is left.

The rules of the host are those of `host`: messages come back after a failure, invocations end after ten minutes, a timer wakes
records that were forgotten. A world says what begins in it, when, and what must hold.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterator
from typing import ClassVar, Self

from tests.fakes import Delivery, FakeClock, FakeStore, Fault
from tests.simulator.fibers import ACK, Fibers, Invocation
from tests.simulator.host import FUNCTION_TIMEOUT, MAX_DEQUEUE
from tests.simulator.installation import ChosenQueue
from tests.simulator.invariants import Violation
from tests.simulator.run import Kind, Option

LIMIT = 6000
"""Choices in a run; a healthy one takes a few hundred."""
_TIMER = 120
_OVERDUE = datetime.timedelta(seconds=60)
_SLOWNESS = (45, 400)


class Played(abc.ABC):
    """A world, its host and a watch, moved on choice by choice."""

    law: ClassVar[str]
    """What is violated where a run has no end."""
    reading: ClassVar[frozenset[str]]
    """Calls that change nothing: an answer that is lost is like one that never came."""
    racy: ClassVar[frozenset[str]]
    """Calls at which it can matter who goes first."""
    refusing: ClassVar[str]
    """The port that may refuse for good."""

    def __init__(self, fibers: Fibers, clock: FakeClock, store: FakeStore, queue: ChosenQueue) -> None:
        self.fibers = fibers
        self.clock = clock
        self.store = store
        self.queue = queue
        self.started = clock.now()
        self.counts: collections.Counter[str] = collections.Counter()
        self.running: list[Invocation] = []
        self.refused = False
        """Whether something was refused by an injected fault: then it may end otherwise."""
        self.slow = False
        """Whether a call took so long that it may have been carried out late, or by another worker too."""
        self.late = False
        """Whether what was done last was done late, by a worker that had been cut off."""
        self._ends: dict[Invocation, Callable[[Invocation], None]] = {}
        self._steps: list[tuple[datetime.datetime, Kind, str]] = []
        self._ticked = self.started
        self._current: Invocation | None = None
        self._stalled: set[Invocation] = set()

    # What a world says

    @abc.abstractmethod
    def starts(self) -> Iterator[Option]:
        """What may begin, in its usual order."""

    @abc.abstractmethod
    def moments(self) -> Iterator[datetime.datetime]:
        """When something may begin next, beside messages and the timer."""

    @abc.abstractmethod
    def resume(self) -> None:
        """What the timer does."""

    @abc.abstractmethod
    def look(self) -> None:
        """Violation: what must always hold does not."""

    @abc.abstractmethod
    def check_end(self) -> None:
        """Violation: what must hold at the end does not."""

    @abc.abstractmethod
    def before(self, invocation: Invocation, fault: Fault) -> None:
        """A call is about to be made, and is to go like this."""

    def interferences(self) -> Iterator[Option]:
        """What else may happen at any moment."""
        yield from ()

    # Playing

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
        return self._current is None or self._current.call[1] in self.racy

    def play(self, choose: Callable[[int, Self], int]) -> None:
        """Let it run to its end. Violation: something did not hold, on the way or at the end."""
        for number in range(LIMIT):
            usual = self._usual()
            if usual is None:
                self.check_end()
                return
            index = choose(number, self)
            self._do(usual if index == 0 else self.options()[index])
        raise Violation(self.law, f"no end after {LIMIT} choices")

    def options(self) -> list[Option]:
        """Everything that may happen next, what is usual first."""
        usual = self._usual()
        assert usual is not None
        others = [*self._orders(), *self.interferences(), *self._faults()]
        return [usual, *(each for each in others if each.text != usual.text)]

    def _do(self, option: Option) -> None:
        self._steps.append((self.clock.now(), option.kind, option.text))
        if option.kind is not Kind.USUAL:
            self.counts[option.kind.value] += 1
        self.late = False
        option.do()
        self.look()

    # What is usual

    def _usual(self) -> Option | None:
        if self._current is not None and not self._current.over and self._current.stalled_until is None:
            return self._go(self._current)
        self._current = None
        starts = next(self.starts(), None)
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

    def begin(self, text: str, start: Callable[[], Invocation]) -> Option:
        """An invocation that may begin."""

        def do() -> None:
            self._current = start()

        return Option(Kind.ORDER, text, do)

    def messages(self, work: Callable[[str], Callable[[], None]]) -> Iterator[Option]:
        """Messages that are visible; `work` gives what is done with the text of one."""
        for text in dict.fromkeys(self.queue.visible()):
            yield self.begin(f"receive {text}", functools.partial(self._receive, text, work))

    def timer(self) -> Iterator[Option]:
        """The timer that wakes forgotten records, where there is anything for it to do."""
        due = self._timer_due()
        if due is not None and due <= self.clock.now():
            yield self.begin("timer", self._tick)

    # What else may happen

    def _orders(self) -> Iterator[Option]:
        for invocation in self._ready():
            if invocation is not self._current:
                yield self._go(invocation, Kind.ORDER)
        yield from self.starts()

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
        yield from self.repeats(invocation)

    def repeats(self, invocation: Invocation) -> Iterator[Option]:
        """What may come again because of this invocation."""
        yield from ()

    def _palette(self, invocation: Invocation) -> Iterator[tuple[Fault, Kind]]:
        yield Fault.CRASH_BEFORE, Kind.CRASH
        if invocation.call == ACK:
            return
        yield Fault.FAIL_BEFORE, Kind.FAULT
        yield Fault.TRANSIENT, Kind.FAULT
        port, method = invocation.call
        if method not in self.reading:
            yield Fault.FAIL_AFTER, Kind.FAULT
        if port == self.refusing:
            yield Fault.PERMANENT, Kind.FAULT

    def _go(self, invocation: Invocation, kind: Kind = Kind.USUAL) -> Option:
        def do() -> None:
            self._current = invocation
            self._step(invocation, Fault.OK)

        return Option(kind, f"{invocation.name}: {'.'.join(invocation.call)}", do)

    # Doing it

    def start(self, name: str, body: Callable[[], None], ended: Callable[[Invocation], None]) -> Invocation:
        """Begin an invocation; `ended` is called when it is over, whichever way."""
        invocation = self.fibers.start(name, body, self.clock.now())
        self.running.append(invocation)
        self._ends[invocation] = ended
        self._end_if_over(invocation)
        return invocation

    def _receive(self, text: str, work: Callable[[str], Callable[[], None]]) -> Invocation:
        found = self.queue.receive_text(text)
        name = f"work {text.partition('"key": "')[2].removesuffix('"}')}"
        return self.start(name, work(text), lambda invocation: self._received(invocation, found))

    def _received(self, invocation: Invocation, found: Delivery) -> None:
        if invocation.dead:
            return  # it is visible again when its time of invisibility ends
        if not invocation.error or found.count >= MAX_DEQUEUE:
            self.queue.delete(found)
        else:
            self.queue.release(found, 10)

    def _tick(self) -> Invocation:
        self._ticked = self.clock.now()
        return self.start("resume", self.resume, lambda invocation: None)

    def _step(self, invocation: Invocation, fault: Fault) -> None:
        if self.clock.now() - invocation.started >= FUNCTION_TIMEOUT:
            fault = Fault.CRASH_BEFORE
        invocation.stalled_until = None
        self.late = invocation in self._stalled
        self._stalled.discard(invocation)
        self.refused = self.refused or fault is Fault.PERMANENT
        if fault is not Fault.OK:
            self.counts[fault.value] += 1
        self.before(invocation, fault)
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

    def at(self, seconds: float) -> datetime.datetime:
        """So many seconds after the start."""
        return self.started + datetime.timedelta(seconds=seconds)

    def _timer_due(self) -> datetime.datetime | None:
        waking = [row.wake_at for row in self.store.rows.values() if row.wake_at is not None]
        if not waking:
            return None
        since_start = max(min(waking) + _OVERDUE, self._ticked) - self.started
        turns = since_start // datetime.timedelta(seconds=_TIMER) + 1
        return self.started + datetime.timedelta(seconds=_TIMER * turns)

    def _next_moment(self) -> datetime.datetime | None:
        now = self.clock.now()
        moments = list(self.moments())
        moments += [each.stalled_until for each in self.running if each.stalled_until is not None]
        moments += [each for each in (self.queue.next_at(), self._timer_due()) if each is not None]
        return min((each for each in moments if each > now), default=None)

    def _advance(self) -> None:
        moment = self._next_moment()
        assert moment is not None
        self.clock.advance_to(moment)
