"""Runs around an endpoint at random: a scenario, a rate of mischief and every choice come from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.simulator.model_installation import NO_MODEL_BUG, ModelBug
from tests.simulator.model_run import ModelRun
from tests.simulator.model_scenarios import model_scenario_of
from tests.simulator.seeds import RandomChoices, SeedFailure, Temper

MODELS = Temper((0.01, 0.03, 0.1, 0.3), slow=0.4, rare=(("somebody acts", 0.2), (" permanent", 0.02)), mischief=400)


def play_models(seed: int, bug: ModelBug = NO_MODEL_BUG, counts: Counter[str] | None = None) -> SeedFailure | None:
    """The run of one seed. Every 50th writes its records as text, as the product does."""
    run = ModelRun(model_scenario_of(seed), bug, text=seed % 50 == 0)
    try:
        run.play(RandomChoices(seed, MODELS))
    except AssertionError as violation:
        return SeedFailure(seed, str(violation), tuple(run.trace))
    finally:
        if counts is not None:
            counts.update(run.counts)
    return None


def first_model_failure(
    seeds: Iterable[int], bug: ModelBug = NO_MODEL_BUG, counts: Counter[str] | None = None
) -> SeedFailure | None:
    """The first of the seeds that fails."""
    return next((failure for seed in seeds if (failure := play_models(seed, bug, counts))), None)
