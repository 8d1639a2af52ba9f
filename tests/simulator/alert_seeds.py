"""Runs around failed jobs at random: a scenario, a rate of mischief and every choice come from one seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from tests.simulator.alert_run import NO_ALERT_BUG, AlertBug, AlertRun
from tests.simulator.alert_scenarios import alert_scenario_of
from tests.simulator.run import Kind, Option
from tests.simulator.seeds import SeedFailure

_WEIGHTS = {Kind.ORDER: 1.0, Kind.FAULT: 0.5, Kind.CRASH: 0.7, Kind.SLOW: 0.4}
_MISCHIEF = 400
"""Choices after which nothing more is done to a run, so that it can come to rest."""


class RandomAlertChoices:
    """Mostly lets things take their course; how often not, is drawn once a run."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311  # a schedule, no secret
        self._rate = self._chance.choice((0.01, 0.03, 0.1, 0.3))
        self._orders = self._chance.choice((0.5, 3.0, 20.0))

    def __call__(self, number: int, run: AlertRun) -> int:
        if number >= _MISCHIEF or self._chance.random() >= self._rate:
            return 0
        options = run.options()
        if len(options) == 1:
            return 0
        return self._chance.choices(range(1, len(options)), [self._weight(each) for each in options[1:]])[0]

    def _weight(self, option: Option) -> float:
        if option.text.endswith("permanent"):
            return 0.1
        return _WEIGHTS[option.kind] * (self._orders if option.kind is Kind.ORDER else 1.0)


def play_alerts(seed: int, bug: AlertBug = NO_ALERT_BUG, counts: Counter[str] | None = None) -> SeedFailure | None:
    """The run of one seed. Every 10th writes its records as text, as the product does: a secret would be found there."""
    run = AlertRun(alert_scenario_of(seed), bug, text=seed % 10 == 0)
    try:
        run.play(RandomAlertChoices(seed))
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
