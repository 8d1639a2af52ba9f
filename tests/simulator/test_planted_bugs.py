"""The harness itself: every planted bug must be caught, and a right product in the same place must not be."""

from __future__ import annotations

import pytest

from tests.simulator.bugs import PLANTED, Planted
from tests.simulator.explore import explore
from tests.simulator.seeds import first_failure

_BY_SEEDS = {
    "promotes what the tag names": 100,
    "saves the outbox after the state": 20,
    "trusts an import's own word": 20,
    "gives an outcome a new id each time": 100,
    "takes an error for a failed test": 20,
    "writes records without their version": 20,
}
"""Bugs that the random driver finds as well, and within how many seeds."""


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_bug_is_caught(planted: Planted) -> None:
    explored = explore(planted.scenario, planted.bounds, planted.bug)
    assert explored.failure is not None, f"not in {explored.schedules} schedules"


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_without_the_bug_nothing_is_caught_there(planted: Planted) -> None:
    explored = explore(planted.scenario, planted.bounds, limit=50)
    assert explored.failure is None, str(explored.failure)


@pytest.mark.parametrize(("name", "seeds"), _BY_SEEDS.items(), ids=_BY_SEEDS.keys())
def test_the_random_driver_catches_it_as_well(name: str, seeds: int) -> None:
    assert first_failure(range(1, seeds), PLANTED[name].bug) is not None
