"""What happens to runs in a simulated world: which fail and when, what Event Grid forgets, when the mail is down."""

from __future__ import annotations

import dataclasses
import random
from typing import Literal

from tests.alerts.world import POLICY
from tidegate.flows.alerts.alert_policy import AlertPolicy

type Ending = Literal["code", "evicted", "step", "pipeline", "completed", "rumour", "noise"]
"""`rumour`: only its event says that it failed. `step` and `pipeline`: evicted, and whose steps were."""

WORKSPACE = "vision"
NOISE = "known noise"
ALERTS: AlertPolicy = dataclasses.replace(
    POLICY,
    wait=30,
    repeat=300,
    mails=4,
    within=3600,
    ignore=(NOISE,),
    resubmit=dataclasses.replace(POLICY.resubmit, attempts=1, backoff=30),
)


@dataclasses.dataclass(frozen=True, slots=True)
class RunEnds:
    """A run ends, so many seconds after the start."""

    seconds: float
    name: str
    ending: Ending
    experiment: str = "exp"
    lost: bool = False
    """Whether its event never comes: the timer has to find it."""


@dataclasses.dataclass(frozen=True, slots=True)
class AlertScenario:
    """The script of one run."""

    ends: tuple[RunEnds, ...]
    duplicates: int = 0
    """How often each event comes once more."""
    running_late: bool = False
    """Whether an event that says Running comes behind each failure."""
    down: tuple[float, float] | None = None
    """From when to when the workflow does not answer, seconds after the start."""
    muted: float | None = None
    """When somebody mutes the incident of `exp`, for an hour."""
    workers: int = 2


def fails(*seconds: float, experiment: str = "exp") -> tuple[RunEnds, ...]:
    """Runs whose code fails."""
    return tuple(RunEnds(each, f"{experiment}-r{number}", "code", experiment) for number, each in enumerate(seconds))


ALERT_SCENARIOS: dict[str, AlertScenario] = {
    "one run fails": AlertScenario(fails(0), duplicates=1),
    "two fail, and more later": AlertScenario(fails(0, 5, 200, 700)),
    "an evicted run goes on": AlertScenario((RunEnds(0, "spot", "evicted"),), duplicates=1),
    "an evicted pipeline goes on": AlertScenario(
        (RunEnds(0, "pipe-a", "step"), RunEnds(0, "pipe-b", "step"), RunEnds(1, "pipe", "pipeline"))
    ),
    "a failure and then a success": AlertScenario((*fails(0), RunEnds(90, "good", "completed"))),
    "a rumour": AlertScenario((RunEnds(0, "fine", "rumour"), RunEnds(1, "hum", "noise")), running_late=True),
    "an event is lost": AlertScenario((RunEnds(0, "lost", "code", lost=True),)),
    "the mail is down": AlertScenario((*fails(0), *fails(40, experiment="other")), down=(0, 2400)),
    "muted": AlertScenario(fails(0, 100, 200, 4000), muted=60),
    "more than the rate": AlertScenario(tuple(RunEnds(n * 40, f"r{n}", "code", f"e{n}") for n in range(7))),
}


def alert_scenario_of(seed: int) -> AlertScenario:
    """The script of a seed."""
    chance = random.Random(f"alerts {seed}")  # noqa: S311  # a schedule, no secret
    experiments = ["exp", "other", "third"][: chance.randint(1, 3)]
    kinds: tuple[Ending, ...] = ("code", "evicted", "completed", "rumour", "noise")
    ends = tuple(
        RunEnds(
            chance.choice((0, 1, 20, 60, 400, 2000)) + chance.random(),
            f"run-{number}",
            chance.choices(kinds, (6, 2, 2, 1, 1))[0],
            chance.choice(experiments),
            lost=chance.random() < 0.15,
        )
        for number in range(chance.randint(1, 7))
    )
    start = chance.choice((0, 100))
    return AlertScenario(
        tuple(sorted(ends, key=lambda each: each.seconds)),
        duplicates=chance.choice((0, 0, 1, 2)),
        running_late=chance.random() < 0.3,
        down=(start, start + chance.choice((60, 1200, 5000))) if chance.random() < 0.3 else None,
        muted=chance.choice((10, 100)) if chance.random() < 0.3 else None,
        workers=chance.choice((2, 2, 3)),
    )
