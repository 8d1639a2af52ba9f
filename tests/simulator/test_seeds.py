"""Runs at random. `TIDEGATE_SEEDS` says how many; a failing one is repeated by `python -m tests.simulator --seed N`."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import Executor

from tests.simulator.seeds import SeedFailure, first_failure, play, scenario_of

SEEDS = int(os.environ.get("TIDEGATE_SEEDS", "1000"))

_PARTS = 8

COUNTED = (
    "conflicts",
    "crash",
    "duplicates",
    "fail-after",
    "fail-before",
    "lost leases",
    "order",
    "published twice",
    "retries",
    "slow",
    "superseded",
    "tag moves",
    "tag writes",
    "transient",
)


def _many(seeds: range) -> tuple[SeedFailure | None, Counter[str]]:
    counts: Counter[str] = Counter()
    return first_failure(seeds, counts=counts), counts


def test_nothing_goes_wrong_at_random_and_everything_that_may_happen_did(pool: Executor) -> None:
    counts: Counter[str] = Counter()
    for failure, counted in pool.map(_many, (range(first, SEEDS, _PARTS) for first in range(_PARTS))):
        assert failure is None, str(failure)
        counts.update(counted)
    assert {name: counts[name] for name in COUNTED if not counts[name]} == {}


def test_a_seed_names_one_run() -> None:
    counts = [Counter[str](), Counter[str]()]
    for each in counts:
        play(11, counts=each)
    assert counts[0] == counts[1]
    assert scenario_of(11) == scenario_of(11)
