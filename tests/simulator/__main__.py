"""Long runs of the simulator, for the night: many seeds, wider bounds, one seed to read.

python -m tests.simulator --seeds 20000 [--first 0] [--models | --alerts]
python -m tests.simulator --explore [--bug NAME] [--models | --alerts]
python -m tests.simulator --seed 275 [--models | --alerts]

With --models an endpoint of models is simulated, with --alerts failed jobs and the mails about them, else the image flow.
"""

from __future__ import annotations

# ruff: noqa: T201  # what it prints is what it is for
import argparse
import functools
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulator.alert_bugs import PLANTED_ALERT_BUGS
from tests.simulator.alert_run import NO_ALERT_BUG, AlertRun
from tests.simulator.alert_scenarios import ALERT_SCENARIOS, alert_scenario_of
from tests.simulator.alert_seeds import ALERTS, play_alerts
from tests.simulator.bugs import PLANTED
from tests.simulator.explore import Bounds, explore_runs
from tests.simulator.installation import NO_BUG
from tests.simulator.model_bugs import PLANTED_MODEL_BUGS
from tests.simulator.model_installation import NO_MODEL_BUG
from tests.simulator.model_run import ModelRun
from tests.simulator.model_scenarios import MODEL_SCENARIOS, model_scenario_of
from tests.simulator.model_seeds import MODELS, play_models
from tests.simulator.run import Run
from tests.simulator.scenarios import SCENARIOS
from tests.simulator.seeds import RandomChoices, SeedFailure, play, scenario_of

_WIDE = (Bounds(orders=2), Bounds(orders=1, crashes=1), Bounds(orders=1, slow=1), Bounds(crashes=1, faults=1))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description="Simulate the flows.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seeds", type=int, metavar="N", help="run N seeds")
    what.add_argument("--seed", type=int, metavar="N", help="run one seed and print its schedule")
    what.add_argument("--explore", action="store_true", help="try every schedule within wide bounds")
    world = parser.add_mutually_exclusive_group()
    world.add_argument("--models", action="store_true", help="an endpoint of models, not images")
    world.add_argument("--alerts", action="store_true", help="failed jobs and the mails about them, not images")
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--limit", type=int, default=20_000, help="schedules for each scenario and bounds")
    parser.add_argument(
        "--bug", choices=sorted({*PLANTED, *PLANTED_MODEL_BUGS, *PLANTED_ALERT_BUGS}), help="with a planted bug"
    )
    asked = parser.parse_args()
    logging.getLogger("tidegate").setLevel(logging.CRITICAL)
    if asked.alerts:
        return _alerts(asked)
    return _models(asked) if asked.models else _images(asked)


def _images(asked: argparse.Namespace) -> int:
    bug = PLANTED[asked.bug].bug if asked.bug else NO_BUG
    if asked.explore:
        return _explore({name: functools.partial(Run, each, bug) for name, each in SCENARIOS.items()}, asked.limit)
    if asked.seed is None:
        return _many(asked.first, asked.seeds, lambda seed, counts: play(seed, bug, counts))
    scenario = scenario_of(asked.seed)
    return _one(scenario, Run(scenario, bug), RandomChoices(asked.seed))


def _models(asked: argparse.Namespace) -> int:
    bug = PLANTED_MODEL_BUGS[asked.bug].bug if asked.bug else NO_MODEL_BUG
    if asked.explore:
        makes = {name: functools.partial(ModelRun, each, bug) for name, each in MODEL_SCENARIOS.items()}
        return _explore(makes, asked.limit)
    if asked.seed is None:
        return _many(asked.first, asked.seeds, lambda seed, counts: play_models(seed, bug, counts))
    scenario = model_scenario_of(asked.seed)
    return _one(scenario, ModelRun(scenario, bug), RandomChoices(asked.seed, MODELS))


def _alerts(asked: argparse.Namespace) -> int:
    bug = PLANTED_ALERT_BUGS[asked.bug].bug if asked.bug else NO_ALERT_BUG
    if asked.explore:
        makes = {name: functools.partial(AlertRun, each, bug) for name, each in ALERT_SCENARIOS.items()}
        return _explore(makes, asked.limit)
    if asked.seed is None:
        return _many(asked.first, asked.seeds, lambda seed, counts: play_alerts(seed, bug, counts))
    scenario = alert_scenario_of(asked.seed)
    return _one(scenario, AlertRun(scenario, bug), RandomChoices(asked.seed, ALERTS))


def _many(first: int, seeds: int, played: Callable[[int, Counter[str]], SeedFailure | None]) -> int:
    began = time.monotonic()
    counts: Counter[str] = Counter()
    for seed in range(first, first + seeds):
        failure = played(seed, counts)
        if failure:
            print(failure)
            print(f"again: the same with --seed {seed}")
            return 1
    took = time.monotonic() - began
    print(f"{seeds} seeds from {first} on: nothing went wrong, {seeds / took:.0f} a second")
    print(", ".join(f"{name} {number}" for name, number in sorted(counts.items())))
    return 0


def _one(scenario: object, run: Any, choices: Any) -> int:
    print(scenario)
    try:
        run.play(choices)
    except AssertionError as violation:
        print(violation)
        return 1
    finally:
        print("\n".join(run.trace))
    return 0


def _explore(makes: Mapping[str, Callable[[], Any]], limit: int) -> int:
    for name, make in makes.items():
        for bounds in _WIDE:
            explored = explore_runs(make, bounds, limit)
            done = "all" if explored.complete else "the first"
            print(f"{name}: {done} {explored.schedules} schedules within {bounds}", flush=True)
            if explored.failure:
                print(explored.failure)
                return 1
    return 0


sys.exit(main())
