"""What happens around one endpoint in a simulated run: which versions are wanted, how they are, and what people and others do."""

from __future__ import annotations

import dataclasses
import datetime
import random
from collections.abc import Mapping
from typing import Literal

from tests.flows.endpoint_samples import STAGE, TARGET, candidate, delivery
from tests.simulator.endpoint_service import GIB, Nature
from tidegate.flows.endpoints import rollout_messages as rm
from tidegate.flows.models.model_gate import AnalysisRules, Stage, TrafficStep

QUICK = dataclasses.replace(
    STAGE,
    traffic=(TrafficStep(20, mirror=True), TrafficStep(50), TrafficStep(100)),
    analysis=AnalysisRules(window=10, requests=50, errors=0.02, latency=1.5, shift=0.5, patience=20, expires=600),
    soak=20,
)

type Word = Literal["want", "reject", "rollback", "hold", "release"]

_PEOPLE: tuple[Word, ...] = ("reject", "rollback", "hold", "release")

BAD: Mapping[str, Nature] = {
    "quota": Nature(refused="OutOfQuota: 8 cores of 6"),
    "broken": Nature(broken="DeploymentCrashLoopBackOff"),
    "mute": Nature(mute=True),
    "big": Nature(memory=2 * GIB),
}
"""Ways in which a version never gets any traffic."""
WORSE = Nature(failures=0.5)
SILENT = Nature(requests=0)
"""Nobody asks it anything, so nothing can be said."""


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """One event from a delivery or from people."""

    seconds: float
    word: Word
    version: int = 0

    def event(self, now: datetime.datetime, stage: Stage) -> rm.Request:
        match self.word:
            case "want":
                return rm.RolloutWanted(stage, candidate(self.version), delivery(self.version), now)
            case "reject":
                return rm.VersionRejected(f"digits:{self.version}", TARGET, "bob", "bias", now)
            case "rollback":
                return rm.RollbackRequested(TARGET, "ann", "slow", now)
            case "hold":
                return rm.HoldRequested(TARGET, "ann", "audit", now)
            case "release":
                return rm.ReleaseRequested(TARGET, "ann", "done", now)


def want(version: int, seconds: float = 0) -> Said:
    return Said(seconds, "want", version)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelScenario:
    """The script of one run; the rest is the driver's choice."""

    said: tuple[Said, ...]
    nature: Mapping[str, Nature] = dataclasses.field(default_factory=dict)
    """By version; others are good."""
    outside: tuple[str, ...] = ()
    """What somebody may do by hand, each once: `delete endpoint`, `divide`."""
    duplicates: int = 0
    """How often each event comes beyond the first time."""
    lost_shifts: int = 0
    """How many changes of traffic the service takes and forgets."""
    stage: Stage = QUICK
    deploy_seconds: float = 1
    shift_seconds: float = 1
    workers: int = 2

    def is_bad(self, version: int) -> bool:
        """Whether it never gets any traffic."""
        return self.nature.get(f"{version}") in BAD.values()

    def is_good(self, version: int) -> bool:
        return f"{version}" not in self.nature

    def wishes(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(said.version for said in self.said if said.word == "want"))

    def words(self) -> set[str]:
        return {said.word for said in self.said}


FIRST = want(1)

MODEL_SCENARIOS: dict[str, ModelScenario] = {
    "the first version": ModelScenario((FIRST,), duplicates=1),
    "the next version": ModelScenario((FIRST, want(2, 200))),
    "two versions race": ModelScenario((want(1), want(2), want(3, 1))),
    "versions come in the wrong order": ModelScenario((want(3), want(1, 1), want(2, 2))),
    "no quota": ModelScenario((FIRST, want(2, 200)), nature={"2": BAD["quota"]}),
    "a smoke test fails": ModelScenario((FIRST, want(2, 200)), nature={"2": BAD["mute"]}),
    "it does not fit": ModelScenario((FIRST, want(2, 200)), nature={"2": BAD["big"]}),
    "it is worse": ModelScenario((FIRST, want(2, 200)), nature={"2": WORSE}),
    "nothing can be said": ModelScenario((FIRST, want(2, 200)), nature={"2": SILENT}),
    "the endpoint is deleted": ModelScenario((FIRST, want(2, 200)), outside=("delete endpoint",)),
    "somebody else divides the traffic": ModelScenario((FIRST, want(2, 200)), outside=("divide",)),
    "the service forgets a change": ModelScenario((FIRST, want(2, 200)), lost_shifts=2),
    "rolled back by hand": ModelScenario((FIRST, want(2, 200), Said(400, "rollback")), duplicates=1),
    "rolled back in mid-rollout": ModelScenario((FIRST, want(2, 200), Said(215, "rollback"))),
    "rejected in mid-rollout": ModelScenario((FIRST, want(2, 200), Said(215, "reject", 2))),
    "the champion is rejected": ModelScenario((FIRST, want(2, 200), Said(400, "reject", 2)), duplicates=1),
    "held and released": ModelScenario((FIRST, want(2, 200), Said(215, "hold"), Said(900, "release"))),
}


def model_scenario_of(seed: int) -> ModelScenario:
    """The script of a seed."""
    chance = random.Random(f"models {seed}")  # noqa: S311  # a schedule, no secret
    count = chance.randint(1, 4)
    versions = chance.sample(range(1, 6), count)
    moments = sorted(chance.choice((0, 1, 30, 200, 215, 240, 400)) for _ in versions)
    said = [want(version, moment) for version, moment in zip(versions, moments, strict=True)]
    for _ in range(chance.choice((0, 0, 1, 2))):
        word: Word = chance.choice(_PEOPLE)
        said.append(Said(chance.choice((5, 100, 215, 230, 500)), word, chance.choice(versions)))
    if any(each.word == "hold" for each in said) or chance.random() < 0.2:
        said.append(Said(3000, "release"))
    kinds = (*BAD.values(), WORSE, SILENT)
    nature = {f"{version}": chance.choice(kinds) for version in versions if chance.random() < 0.3}
    return ModelScenario(
        tuple(sorted(said, key=lambda each: each.seconds)),
        nature=nature,
        outside=chance.choice(((), (), ("delete endpoint",), ("divide",), ("divide", "delete endpoint"))),
        duplicates=chance.choice((0, 0, 1)),
        lost_shifts=chance.choice((0, 0, 0, 1, 3)),
        deploy_seconds=chance.choice((0, 1, 40)),
        shift_seconds=chance.choice((0, 1, 7)),
        workers=chance.choice((2, 2, 3)),
    )
