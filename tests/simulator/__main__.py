"""Long runs of the simulator, for the night: many seeds, wider bounds, one seed to read.

python -m tests.simulator --seeds 20000 [--first 0]
python -m tests.simulator --explore [--bug NAME]
python -m tests.simulator --seed 275
"""

from __future__ import annotations

# ruff: noqa: T201  # what it prints is what it is for
import argparse
import logging
import sys
import time
from collections import Counter

from tests.simulator.bugs import PLANTED
from tests.simulator.explore import Bounds, explore
from tests.simulator.installation import NO_BUG, Bug
from tests.simulator.run import Run
from tests.simulator.scenarios import SCENARIOS
from tests.simulator.seeds import RandomChoices, first_failure, play, scenario_of

_WIDE = (Bounds(orders=2), Bounds(orders=1, crashes=1), Bounds(orders=1, slow=1), Bounds(crashes=1, faults=1))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description="Simulate the image flow.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seeds", type=int, metavar="N", help="run N seeds")
    what.add_argument("--seed", type=int, metavar="N", help="run one seed and print its schedule")
    what.add_argument("--explore", action="store_true", help="try every schedule within wide bounds")
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--limit", type=int, default=20_000, help="schedules for each scenario and bounds")
    parser.add_argument("--bug", choices=sorted(PLANTED), help="with a planted bug")
    asked = parser.parse_args()
    logging.getLogger("tidegate").setLevel(logging.CRITICAL)
    bug = PLANTED[asked.bug].bug if asked.bug else NO_BUG
    if asked.explore:
        return _explore(asked.limit, bug)
    return _one(asked.seed, bug) if asked.seed is not None else _many(asked.first, asked.seeds, bug)


def _many(first: int, seeds: int, bug: Bug) -> int:
    began = time.monotonic()
    counts: Counter[str] = Counter()
    failure = first_failure(range(first, first + seeds), bug, counts)
    if failure:
        print(failure)
        print(f"again: python -m tests.simulator --seed {failure.seed}")
        return 1
    took = time.monotonic() - began
    print(f"{seeds} seeds from {first} on: nothing went wrong, {seeds / took:.0f} a second")
    print(", ".join(f"{name} {number}" for name, number in sorted(counts.items())))
    return 0


def _one(seed: int, bug: Bug) -> int:
    print(scenario_of(seed))
    failure = play(seed, bug)
    if failure:
        print(failure)
        return 1
    run = Run(scenario_of(seed), bug)
    run.play(RandomChoices(seed))
    print("\n".join(run.trace))
    return 0


def _explore(limit: int, bug: Bug) -> int:
    for name, scenario in SCENARIOS.items():
        for bounds in _WIDE:
            explored = explore(scenario, bounds, bug, limit)
            done = "all" if explored.complete else "the first"
            print(f"{name}: {done} {explored.schedules} schedules within {bounds}", flush=True)
            if explored.failure:
                print(explored.failure)
                return 1
    return 0


sys.exit(main())
