"""Tries every schedule of a scenario within small bounds: the method of iterative context bounding (Musuvathi and Qadeer, 2007).

A schedule is what happens if nobody interferes, with a few deviations: at this choice, that option instead. Most bugs of
distributed programs need only a few, and all schedules with a few can be tried.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, override

from tests.simulator.installation import NO_BUG, Bug
from tests.simulator.run import Kind, Run
from tests.simulator.scenarios import Scenario

_TWINS = ("transient", "takes 45 s")
"""Ways to fail that differ from others by a delay only; the random driver has them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """How many deviations of each kind a schedule may have."""

    orders: int = 0
    crashes: int = 0
    faults: int = 0
    slow: int = 0
    port: str = ""
    """Deviations only before calls of this port."""

    def after(self, kind: Kind) -> Bounds | None:
        """What is left after a deviation; None: there was none of this kind left."""
        left = {
            Kind.ORDER: dataclasses.replace(self, orders=self.orders - 1),
            Kind.CRASH: dataclasses.replace(self, crashes=self.crashes - 1),
            Kind.FAULT: dataclasses.replace(self, faults=self.faults - 1),
            Kind.SLOW: dataclasses.replace(self, slow=self.slow - 1),
        }[kind]
        return None if min(left.orders, left.crashes, left.faults, left.slow) < 0 else left

    def __bool__(self) -> bool:
        return any((self.orders, self.crashes, self.faults, self.slow))


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """A schedule in which an invariant does not hold."""

    deviations: tuple[tuple[int, int], ...]
    violation: str
    trace: tuple[str, ...]

    @override
    def __str__(self) -> str:
        return f"{self.violation}\ndeviations {self.deviations}\n" + "\n".join(self.trace)


@dataclasses.dataclass(slots=True)
class Explored:
    """What a search came to."""

    schedules: int = 0
    complete: bool = False
    failure: Failure | None = None
    counts: Counter[str] = dataclasses.field(default_factory=Counter)


def explore(scenario: Scenario, bounds: Bounds, bug: Bug = NO_BUG, limit: int = 100_000) -> Explored:
    """Every schedule within the bounds, fewest deviations first, up to the first that fails or the limit."""
    return explore_runs(lambda: Run(scenario, bug), bounds, limit)


def explore_runs(make: Callable[[], Any], bounds: Bounds, limit: int = 100_000) -> Explored:
    """The same for any kind of run that plays, offers options, counts and traces as `Run` does."""
    explored = Explored()
    level: list[tuple[tuple[tuple[int, int], ...], Bounds]] = [((), bounds)]
    while level:
        following = []
        for deviations, left in level:
            if explored.schedules >= limit:
                return explored
            explored.schedules += 1
            search = _Schedule(dict(deviations), left)
            explored.failure = play(make(), search, deviations, explored.counts)
            if explored.failure:
                return explored
            following += [((*deviations, each), rest) for each, rest in search.branches]
        level = following
    explored.complete = True
    return explored


def play(run: Any, search: _Schedule, deviations: tuple[tuple[int, int], ...], counts: Counter[str]) -> Failure | None:
    """One run; the failure, if there is one."""
    try:
        run.play(search.choose)
    except AssertionError as violation:
        return Failure(deviations, str(violation), tuple(run.trace))
    finally:
        counts.update(run.counts)
    return None


class _Schedule:
    """Chooses the deviations it was given, and notes every further one within the bounds that are left."""

    def __init__(self, deviations: Mapping[int, int], left: Bounds) -> None:
        self._deviations = deviations
        self._last = max(deviations, default=-1)
        self._left = left
        self.branches: list[tuple[tuple[int, int], Bounds]] = []

    def choose(self, number: int, run: Any) -> int:
        if number > self._last and self._left:
            self.branches += self._further(number, run)
        return self._deviations.get(number, 0)

    def _further(self, number: int, run: Any) -> Iterator[tuple[tuple[int, int], Bounds]]:
        if self._left.port not in ("", run.port):
            return
        for index, option in enumerate(run.options()):
            if index == 0 or option.text.endswith(_TWINS) or (option.kind is Kind.ORDER and not run.is_racy()):
                continue
            rest = self._left.after(option.kind)
            if rest is not None:
                yield (number, index), rest
