"""Runs around failed jobs at random: a scenario, a rate of mischief and every choice come from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.simulator.alert_run import NO_ALERT_BUG, AlertBug, AlertRun
from tests.simulator.alert_scenarios import alert_scenario_of
from tests.simulator.seeds import RandomChoices, SeedFailure, Temper

ALERTS = Temper((0.01, 0.03, 0.1, 0.3), slow=0.4, rare=((" permanent", 0.1),), mischief=400)


def play_alerts(seed: int, bug: AlertBug = NO_ALERT_BUG, counts: Counter[str] | None = None) -> SeedFailure | None:
    """The run of one seed. Every 10th writes its records as text, as the product does: a secret would be found there."""
    run = AlertRun(alert_scenario_of(seed), bug, text=seed % 10 == 0)
    try:
        run.play(RandomChoices(seed, ALERTS))
    except AssertionError as violation:
        return SeedFailure(seed, str(violation), tuple(run.trace))
    finally:
        if counts is not None:
            counts.update(run.counts)
            counts["mails"] += len(run.app.email.mails)
            counts["resubmitted"] += len(run.app.jobs.submitted)
            counts["dead letters"] += len(run.app.evidence.dead_letters)
    return None


def first_alert_failure(
    seeds: Iterable[int], bug: AlertBug = NO_ALERT_BUG, counts: Counter[str] | None = None
) -> SeedFailure | None:
    """The first of the seeds that fails."""
    return next((failure for seed in seeds if (failure := play_alerts(seed, bug, counts))), None)
