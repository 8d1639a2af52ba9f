"""Alerts keep B1-B7 in every schedule within small bounds and at random; and every planted bug is caught by its invariant."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import Executor

import pytest

from tests.simulator.alert_bugs import PLANTED_ALERT_BUGS, PlantedAlertBug
from tests.simulator.alert_run import AlertRun
from tests.simulator.alert_scenarios import ALERT_SCENARIOS
from tests.simulator.alert_seeds import first_alert_failure, play_alerts
from tests.simulator.explore import Bounds, Explored, explore_runs
from tests.simulator.seeds import SeedFailure

SEEDS = int(os.environ.get("TIDEGATE_SEEDS", "1000")) // 4
_PARTS = 8
_BOUNDS = (Bounds(orders=1), Bounds(crashes=1), Bounds(faults=1))
_SMALL = ("one run fails", "a failure and then a success", "an evicted run goes on", "a rumour", "an event is lost")
COUNTED = (
    "crash",
    "crash-before",
    "dead letters",
    "fail-after",
    "fail-before",
    "mails",
    "order",
    "permanent",
    "resubmitted",
    "slow",
)


def _explored(name: str, bounds: Bounds) -> Explored:
    return explore_runs(lambda: AlertRun(ALERT_SCENARIOS[name]), bounds)


@pytest.mark.parametrize("bounds", _BOUNDS, ids=("switch", "crash", "fault"))
@pytest.mark.parametrize("name", _SMALL)
def test_nothing_goes_wrong_in_any_schedule(name: str, bounds: Bounds) -> None:
    explored = _explored(name, bounds)
    assert explored.failure is None, str(explored.failure)
    assert explored.complete
    assert explored.schedules > 3, "the bounds allow nothing to go differently"


@pytest.mark.parametrize("name", ALERT_SCENARIOS)
def test_nothing_goes_wrong_where_nobody_interferes(name: str) -> None:
    AlertRun(ALERT_SCENARIOS[name], text=True).play(lambda number, run: 0)


def _many(seeds: range) -> tuple[SeedFailure | None, Counter[str]]:
    counts: Counter[str] = Counter()
    return first_alert_failure(seeds, counts=counts), counts


def test_nothing_goes_wrong_at_random_and_everything_that_may_happen_did(pool: Executor) -> None:
    counts: Counter[str] = Counter()
    for failure, counted in pool.map(_many, (range(first, SEEDS, _PARTS) for first in range(_PARTS))):
        assert failure is None, str(failure)
        counts.update(counted)
    assert {name: counts[name] for name in COUNTED if not counts[name]} == {}


def test_a_seed_names_one_run() -> None:
    counts = [Counter[str](), Counter[str]()]
    for each in counts:
        play_alerts(11, counts=each)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("planted", PLANTED_ALERT_BUGS.values(), ids=PLANTED_ALERT_BUGS.keys())
def test_a_planted_bug_is_caught_by_its_invariant(planted: PlantedAlertBug) -> None:
    explored = explore_runs(lambda: AlertRun(planted.scenario, planted.bug, text=True), planted.bounds)
    assert explored.failure is not None, f"not in {explored.schedules} schedules"
    assert explored.failure.violation.startswith(planted.invariant), explored.failure.violation


def test_every_invariant_has_a_bug_that_breaks_it() -> None:
    assert {planted.invariant for planted in PLANTED_ALERT_BUGS.values()} == {f"B{number}" for number in range(1, 8)}
