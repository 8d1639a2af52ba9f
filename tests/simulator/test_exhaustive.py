"""Every schedule within small bounds: two workers, a few pushes, one or two deviations from what usually happens.

Wider bounds: `python -m tests.simulator --explore`.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Executor, Future

import pytest

from tests.simulator.explore import Bounds, Explored, explore
from tests.simulator.run import Run
from tests.simulator.scenarios import SCENARIOS

_ONE_CRASH = Bounds(crashes=1)
_ONE_FAULT = Bounds(faults=1)
_ONE_SLOW_CALL = Bounds(slow=1)
_ONE_SWITCH = Bounds(orders=1)

SWEPT = {
    "a tag moves": (Bounds(orders=2), _ONE_CRASH, _ONE_FAULT, _ONE_SLOW_CALL),
    "a tag moves after its image was promoted": (_ONE_SWITCH, _ONE_CRASH, _ONE_FAULT, _ONE_SLOW_CALL),
    "a tag moves and moves back": (_ONE_SWITCH,),
    "one image under two tags": (_ONE_SWITCH, _ONE_CRASH),
    "a bad image follows a good one": (_ONE_SWITCH, _ONE_CRASH, _ONE_FAULT),
    "a good image follows a bad one": (_ONE_SWITCH,),
    "two tags cross": (_ONE_SWITCH,),
    "an immutable tag is pushed twice": (_ONE_SWITCH, _ONE_CRASH),
    "a test without a verdict": (_ONE_SWITCH, _ONE_CRASH),
    "a test that hangs": (_ONE_SWITCH,),
    "an import that lies": (_ONE_SWITCH, _ONE_CRASH, _ONE_FAULT),
    "signed images": (_ONE_CRASH,),
    "a gate changes meanwhile": (_ONE_SWITCH,),
}


def test_every_scenario_is_swept() -> None:
    assert SWEPT.keys() == SCENARIOS.keys()


@pytest.fixture(scope="module")
def sweeps(pool: Executor) -> dict[str, list[Future[Explored]]]:
    """Every search, under way."""
    return {name: [pool.submit(explore, SCENARIOS[name], bounds) for bounds in every] for name, every in SWEPT.items()}


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_goes_wrong_in_any_schedule(name: str, sweeps: dict[str, list[Future[Explored]]]) -> None:
    counts: Counter[str] = Counter()
    for sweep in sweeps[name]:
        explored = sweep.result(timeout=300)
        assert explored.failure is None, str(explored.failure)
        assert explored.complete
        assert explored.schedules > 10, "the bounds allow nothing to go differently"
        counts.update(explored.counts)
    assert counts["order"] + counts["crash"] > 0


def test_the_same_choices_give_the_same_run() -> None:
    def every_tenth(number: int, run: Run) -> int:
        return (number // 10) % len(run.options()) if number % 10 == 9 and number < 200 else 0

    def traced() -> list[str]:
        run = Run(SCENARIOS["a tag moves and moves back"])
        run.play(every_tenth)
        return run.trace

    assert traced() == traced()
