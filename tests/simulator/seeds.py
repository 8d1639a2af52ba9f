"""Runs at random: a scenario, a rate of mischief and every choice come from one seed, so a failing run is named by its seed."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterable
from typing import Protocol, override

from tests.flows.samples import GATE
from tests.simulator.installation import NO_BUG, Bug
from tests.simulator.run import Kind, Option, Run
from tests.simulator.scenarios import FIRM, SIGNED, Scenario


@dataclasses.dataclass(frozen=True, slots=True)
class SeedFailure:
    """A seed whose run does not keep an invariant."""

    seed: int
    violation: str
    trace: tuple[str, ...]

    @override
    def __str__(self) -> str:
        return f"seed {self.seed}: {self.violation}\n" + "\n".join(self.trace)


def scenario_of(seed: int) -> Scenario:
    """The script of a seed."""
    chance = random.Random(f"scenario {seed}")  # noqa: S311  # a schedule, no secret
    letters = "ab" if chance.random() < 0.7 else "abc"
    tags = ("v1",) if chance.random() < 0.6 else ("v1", "v2")
    pushes = tuple((chance.choice(letters), chance.choice(tags)) for _ in range(chance.randint(1, 4)))
    gate = chance.choices((GATE, FIRM, SIGNED), (6, 2, 2))[0]
    used = sorted({letter for letter, _ in pushes})
    return Scenario(
        pushes,
        gate=gate,
        failing=chance.choice(used) if chance.random() < 0.25 else "",
        flaky=chance.choice(used) if chance.random() < 0.25 else "",
        hanging=chance.choice(used) if chance.random() < 0.05 else "",
        lying=chance.random() < 0.15,
        signed=gate is SIGNED,
        duplicates=chance.choice((0, 0, 1, 2)),
        redeploy_after=chance.choice((0, 0, 0, 1, 2)),
        pushes_wait=chance.random() < 0.5,
        test_seconds=chance.choice((0, 20)),
        import_seconds=chance.choice((0, 5, 40)),
        workers=chance.choice((2, 2, 3)),
    )


class Interferable(Protocol):
    """A run that offers what may happen next, what is usual first."""

    def options(self) -> list[Option]: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Temper:
    """How a world is interfered with at random."""

    rates: tuple[float, ...]
    """How often not to let things take their course; one is drawn a run."""
    slow: float
    """How much likelier than order it is that a call takes long."""
    rare: tuple[tuple[str, float], ...]
    """What options that have these words are weighed with instead; the first that fits."""
    mischief: int
    """Choices after which nothing more is done to a run, so that it can come to rest."""


IMAGES = Temper((0.02, 0.05, 0.1, 0.3), slow=0.6, rare=((" permanent", 0.02),), mischief=300)


class RandomChoices:
    """Mostly lets things take their course; how often not, is drawn once a run."""

    def __init__(self, seed: int, temper: Temper = IMAGES) -> None:
        self._temper = temper
        self._chance = random.Random(seed)  # noqa: S311  # a schedule, no secret
        self._rate = self._chance.choice(temper.rates)
        orders = self._chance.choice((0.5, 3.0, 20.0))
        self._weights = {Kind.ORDER: orders, Kind.FAULT: 0.5, Kind.CRASH: 0.7, Kind.SLOW: temper.slow}

    def __call__(self, number: int, run: Interferable) -> int:
        if number >= self._temper.mischief or self._chance.random() >= self._rate:
            return 0
        options = run.options()
        if len(options) == 1:
            return 0
        return self._chance.choices(range(1, len(options)), [self._weight(each) for each in options[1:]])[0]

    def _weight(self, option: Option) -> float:
        rare = next((weight for words, weight in self._temper.rare if words in option.text), None)
        return self._weights[option.kind] if rare is None else rare


def play(seed: int, bug: Bug = NO_BUG, counts: Counter[str] | None = None) -> SeedFailure | None:
    """The run of one seed. Every 50th writes its records as text, as the product does."""
    run = Run(scenario_of(seed), bug, text=seed % 50 == 0)
    try:
        run.play(RandomChoices(seed))
    except AssertionError as violation:
        return SeedFailure(seed, str(violation), tuple(run.trace))
    finally:
        if counts is not None:
            counts.update(run.counts)
    return None


def first_failure(seeds: Iterable[int], bug: Bug = NO_BUG, counts: Counter[str] | None = None) -> SeedFailure | None:
    """The first of the seeds that fails."""
    return next((failure for seed in seeds if (failure := play(seed, bug, counts))), None)
