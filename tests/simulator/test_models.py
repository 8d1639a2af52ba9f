"""One endpoint in a world where everything that may go wrong does: invariants C1-C9 of `model_watch`.

Every schedule within small bounds, and runs at random; `TIDEGATE_SEEDS` says how many (a fifth of it). A worker dies at every
step, calls fail and are late, events come twice and in any order, and people change the endpoint by hand.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from concurrent.futures import Executor, Future

import pytest

from tests.simulator.explore import Bounds, Explored, explore_runs
from tests.simulator.model_bugs import PLANTED_MODEL_BUGS, PlantedModelBug
from tests.simulator.model_run import ModelRun
from tests.simulator.model_scenarios import MODEL_SCENARIOS, model_scenario_of
from tests.simulator.model_seeds import first_model_failure, play_models
from tests.simulator.seeds import SeedFailure

SEEDS = int(os.environ.get("TIDEGATE_SEEDS", "1000")) // 5
_PARTS = 8

_CRASH = Bounds(crashes=1, port="Endpoints")
_CRASH_WHILE_SAVING = Bounds(crashes=1, port="StateStore")
_FAULT = Bounds(faults=1, port="Endpoints")
_LATE = Bounds(slow=1, port="Endpoints")
_SWITCH = Bounds(orders=1)

SWEPT = {
    "the first version": (_CRASH, _FAULT, _LATE),
    "the next version": (_CRASH, _CRASH_WHILE_SAVING, _FAULT, _LATE),
    "two versions race": (_SWITCH, _CRASH_WHILE_SAVING),
    "versions come in the wrong order": (_CRASH, _SWITCH),
    "no quota": (_CRASH, _FAULT, _LATE),
    "a smoke test fails": (_CRASH,),
    "it does not fit": (_CRASH,),
    "it is worse": (_CRASH, _FAULT, _LATE),
    "nothing can be said": (_CRASH,),
    "the endpoint is deleted": (_FAULT,),
    "somebody else divides the traffic": (_FAULT,),
    "the service forgets a change": (_CRASH,),
    "rolled back by hand": (_CRASH, _LATE),
    "rolled back in mid-rollout": (_CRASH, _SWITCH),
    "rejected in mid-rollout": (_CRASH, _SWITCH),
    "the champion is rejected": (_CRASH,),
    "held and released": (_CRASH, _SWITCH),
}

COUNTED = (
    "PausedRollout",
    "acts",
    "crash",
    "created",
    "deleted",
    "fail-after",
    "fail-before",
    "foreign",
    "holds",
    "order",
    "removed",
    "repairs",
    "restarts",
    "shifted",
    "slow",
    "transient",
)
"""What must have happened in the random runs, or they prove little."""


def _explored(name: str, bounds: Bounds) -> Explored:
    return explore_runs(functools.partial(ModelRun, MODEL_SCENARIOS[name]), bounds)


def _many(seeds: range) -> tuple[SeedFailure | None, Counter[str]]:
    counts: Counter[str] = Counter()
    return first_model_failure(seeds, counts=counts), counts


@pytest.fixture(scope="module")
def sweeps(pool: Executor) -> dict[str, list[Future[Explored]]]:
    """Every search, under way."""
    return {name: [pool.submit(_explored, name, bounds) for bounds in every] for name, every in SWEPT.items()}


def test_every_scenario_is_swept() -> None:
    assert SWEPT.keys() == MODEL_SCENARIOS.keys()


@pytest.mark.parametrize("name", MODEL_SCENARIOS)
def test_nothing_goes_wrong_in_any_schedule(name: str, sweeps: dict[str, list[Future[Explored]]]) -> None:
    schedules = 0
    for sweep in sweeps[name]:
        explored = sweep.result(timeout=300)
        assert explored.failure is None, str(explored.failure)
        assert explored.complete
        schedules += explored.schedules
    assert schedules > 10, "the bounds allow nothing to go differently"


def test_nothing_goes_wrong_at_random_and_everything_that_may_happen_did(pool: Executor) -> None:
    counts: Counter[str] = Counter()
    for failure, counted in pool.map(_many, (range(first, SEEDS, _PARTS) for first in range(_PARTS))):
        assert failure is None, str(failure)
        counts.update(counted)
    assert {name: counts[name] for name in COUNTED if not counts[name]} == {}


def test_a_seed_names_one_run() -> None:
    counts = [Counter[str](), Counter[str]()]
    for each in counts:
        play_models(11, counts=each)
    assert counts[0] == counts[1]
    assert model_scenario_of(11) == model_scenario_of(11)


@pytest.mark.parametrize("planted", PLANTED_MODEL_BUGS.values(), ids=PLANTED_MODEL_BUGS.keys())
def test_a_planted_bug_is_caught(planted: PlantedModelBug) -> None:
    explored = explore_runs(lambda: ModelRun(planted.scenario, planted.bug), planted.bounds, 200)
    assert explored.failure is not None, f"not in {explored.schedules} schedules"
    assert explored.failure.violation.startswith(planted.invariant), explored.failure.violation


@pytest.mark.parametrize("planted", PLANTED_MODEL_BUGS.values(), ids=PLANTED_MODEL_BUGS.keys())
def test_without_the_bug_nothing_is_caught_there(planted: PlantedModelBug) -> None:
    explored = explore_runs(lambda: ModelRun(planted.scenario), planted.bounds, 30)
    assert explored.failure is None, str(explored.failure)


def test_every_invariant_of_endpoints_has_a_planted_bug() -> None:
    assert {planted.invariant for planted in PLANTED_MODEL_BUGS.values()} == {f"C{number}" for number in range(1, 10)}
