"""One simulated run: what may happen next, which of it is chosen, what was checked after it, and a trace to read."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import functools
from collections.abc import Callable, Iterator

from tests.fakes import Fault
from tests.simulator.ends import check_end
from tests.simulator.fibers import ACK, Invocation
from tests.simulator.host import Host
from tests.simulator.installation import NO_BUG, Bug
from tests.simulator.invariants import Violation
from tests.simulator.scenarios import Scenario
from tests.simulator.watch import Watch
from tidegate.runner import work_message

LIMIT = 4000
"""Choices in a run; a healthy one takes a few hundred."""
_SOON = datetime.timedelta(seconds=300)


class Kind(enum.Enum):
    """What a choice costs an exhaustive driver."""

    USUAL = "usual"
    ORDER = "order"
    """Something else goes first: another worker, another message, the next push."""
    FAULT = "fault"
    CRASH = "crash"
    SLOW = "slow"


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """Something that may happen next. The first of the options is what happens if nobody interferes."""

    kind: Kind
    text: str
    do: Callable[[], None]


type Chooser = Callable[[int, "Run"], int]
"""Number of the choice and the run, whose `options` may be asked for, to the index of what happens. 0 is always there."""

_READING = {
    "load",
    "exists",
    "inspect",
    "status",
    "log",
    "resolve",
    "import_status",
    "due",
    "place_tag",
    "place_tag:read",
}
_MAY_REFUSE = {"inspect", "start_import", "start", "place_tag"}
_RACY = {"load", "save", "place_tag", "place_tag:write", "place_tag:read", "start_import", "exists", "start"}
_SLOWNESS = (45, 400)


class Run:
    """A host and a watch, moved on choice by choice."""

    def __init__(self, scenario: Scenario, bug: Bug = NO_BUG, *, text: bool = False) -> None:
        self.scenario = scenario
        self.host = Host(scenario, bug, text=text)
        self.watch = Watch(self.host)
        self.counts: collections.Counter[str] = self.watch.counts
        self.host.acknowledged = self.watch.acknowledged
        self._steps: list[tuple[datetime.datetime, Kind, str]] = []
        self.disturbed = self.host.started
        """When a driver last interfered."""
        self.refused = False
        """Whether something was refused for good by an injected fault: then an image may end as Errored or Rejected."""
        self._current: Invocation | None = None

    @property
    def trace(self) -> list[str]:
        """What happened, a line each; what was not usual is marked."""
        return [
            f"{(at - self.host.started).total_seconds():8.2f} {'' if kind is Kind.USUAL else '! '}{text}"
            for at, kind, text in self._steps
        ]

    def play(self, choose: Chooser) -> None:
        """Let it run to its end. Violation: something did not hold, on the way or at the end."""
        for number in range(LIMIT):
            usual = self._usual()
            if usual is None:
                self.counts["duplicates"] += self.host.redelivered
                check_end(self)
                return
            index = choose(number, self)
            self._do(usual if index == 0 else self.options()[index])
        raise Violation("G2", f"no end after {LIMIT} choices")

    def options(self) -> list[Option]:
        """Everything that may happen next, what is usual first; the same in every run with the same choices before."""
        usual = self._usual()
        assert usual is not None
        others = [*self._orders(), *self._faults()]
        return [usual, *(each for each in others if each.text != usual.text)]

    @property
    def port(self) -> str:
        """The port that is called next if nobody interferes; empty: none is."""
        return self._current.call[0] if self._current else ""

    def is_racy(self) -> bool:
        """Whether it can matter who goes first now."""
        return self._current is None or self._current.call[1] in _RACY

    def _do(self, option: Option) -> None:
        self._steps.append((self.host.clock.now(), option.kind, option.text))
        if option.kind is not Kind.USUAL:
            self.disturbed = self.host.clock.now()
            self.counts[option.kind.value] += 1
        option.do()
        self.watch.look()
        self.host.echo()

    # What is usual

    def _usual(self) -> Option | None:
        if self._current is not None and not self._current.over and self._current.stalled_until is None:
            return self._go(self._current)
        self._current = None
        ready = self.host.ready()
        starts = next(self._starts(), None)
        if starts is not None:
            return dataclasses.replace(starts, kind=Kind.USUAL)
        if ready:
            return self._go(ready[0])
        moment = self.host.next_moment()
        if self._may_push() and (moment is None or moment > self.host.clock.now() + _SOON):
            return Option(Kind.USUAL, "push", self.host.push)
        if moment is not None:
            return Option(Kind.USUAL, "time passes", self.host.advance)
        return None

    def _starts(self) -> Iterator[Option]:
        """What may begin, in its usual order."""
        host = self.host
        if (
            self._may_push()
            and not self.scenario.pushes_wait
            and (host.push_time() or host.started) <= host.clock.now()
        ):
            yield Option(Kind.ORDER, "push", host.push)
        if self._may_redeploy() and all(event.tries for event in host.events):
            yield Option(Kind.ORDER, "redeploy", host.redeploy)
        if len(host.running) >= self.scenario.workers:
            return
        for event in sorted(host.due_events(), key=lambda event: (event.tries, event.due)):
            yield self._begin(f"deliver {event.name}", functools.partial(host.deliver, event))
        for text in dict.fromkeys(host.app.queue.visible()):
            yield self._begin(f"receive {text}", functools.partial(host.receive, text))
        if host.has_poison():
            yield self._begin("poisoned", host.poison)
        if host.is_timer_due():
            yield self._begin("timer", host.tick)

    def _may_push(self) -> bool:
        return self.host.pushed < len(self.scenario.pushes)

    def _may_redeploy(self) -> bool:
        after = self.scenario.redeploy_after
        return bool(after) and self.host.pushed >= after and not self.host.redeployed

    def _begin(self, text: str, start: Callable[[], Invocation]) -> Option:
        def do() -> None:
            self._current = start()

        return Option(Kind.ORDER, text, do)

    # What else may happen

    def _orders(self) -> Iterator[Option]:
        for invocation in self.host.ready():
            if invocation is not self._current:
                yield self._go(invocation, Kind.ORDER)
        yield from self._starts()
        if self._may_push() and self.scenario.pushes_wait:
            yield Option(Kind.ORDER, "push", self.host.push)
        if self._may_redeploy():
            yield Option(Kind.ORDER, "redeploy", self.host.redeploy)

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
            text = f"{name} takes {seconds} s"
            yield Option(Kind.SLOW, text, functools.partial(self.host.stall, invocation, seconds))
        key = invocation.name.removeprefix("work ")
        if key != invocation.name and invocation.calls == 1:
            text = f"the message of {key} comes again"
            yield Option(Kind.FAULT, text, functools.partial(self.host.repeat_message, work_message(key)))

    def _palette(self, invocation: Invocation) -> Iterator[tuple[Fault, Kind]]:
        yield Fault.CRASH_BEFORE, Kind.CRASH
        if invocation.call == ACK:
            return
        yield Fault.FAIL_BEFORE, Kind.FAULT
        yield Fault.TRANSIENT, Kind.FAULT
        method = invocation.call[1]
        if method not in _READING:
            yield Fault.FAIL_AFTER, Kind.FAULT
        if invocation.call[0] in ("ImageRegistry", "ImageTests") and method in _MAY_REFUSE:
            yield Fault.PERMANENT, Kind.FAULT

    def _go(self, invocation: Invocation, kind: Kind = Kind.USUAL) -> Option:
        def do() -> None:
            self._current = invocation
            self._step(invocation, Fault.OK)

        return Option(kind, f"{invocation.name}: {'.'.join(invocation.call)}", do)

    def _step(self, invocation: Invocation, fault: Fault) -> None:
        self.refused = self.refused or fault is Fault.PERMANENT
        if fault is not Fault.OK:
            self.counts[fault.value] += 1
        self.watch.before(invocation)
        self.host.step(invocation, fault)
        self.watch.after(invocation, fault)
