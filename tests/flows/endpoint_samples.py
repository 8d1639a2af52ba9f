"""Values around one endpoint: a stage, versions of a model, and one of everything its flow hears and is."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from tests.flows.samples import LATER, NOW
from tidegate.flows.base import CommandErrored, CommandRefused
from tidegate.flows.endpoints import endpoint_states as es
from tidegate.flows.endpoints import rollout_messages as rm
from tidegate.flows.endpoints.endpoint_rollout import EndpointRollout
from tidegate.flows.models.deployment_name import deployment_name
from tidegate.flows.models.model_facts import Candidate, Measured, Traffic, Weights
from tidegate.flows.models.model_gate import AnalysisRules, FitRules, Instance, Stage, Target, TrafficStep, WorkspaceRef
from tidegate.flows.reminders import Reminded
from tidegate.references import ModelRef

FLOW = EndpointRollout()
GIB = 1 << 30
TARGET = Target("managed", WorkspaceRef("mlw-pro"), "digits-pro")
STAGE = Stage(
    name="pro",
    target=TARGET,
    instance=Instance("Standard_F2s_v2", 1, 2.0, 2 * GIB),
    fit=FitRules(memory=0.75, latency=0.2, startup=300, size=GIB),
    traffic=(TrafficStep(20, mirror=True), TrafficStep(10), TrafficStep(50), TrafficStep(100)),
    analysis=AnalysisRules(window=300, requests=50, errors=0.02, latency=1.5, shift=0.1, patience=600, expires=3600),
    soak=1800,
)
QUICK = dataclasses.replace(STAGE, traffic=(TrafficStep(50), TrafficStep(100)))
"""Two steps."""
MEASURED = Measured(GIB // 2, 0.02, 60.0)


def candidate(version: int, **changes: Any) -> Candidate:
    """A version of the model."""
    made = Candidate(
        model=ModelRef("mlw-dev", "digits", f"{version}"),
        asset=f"azureml://digits/{version}",
        order=f"{version:06}",
        sha256=f"{version:064}",
        size=GIB // 4,
        image=f"tidegatehealthy.azurecr.io/scoring@sha256:{'a' * 64}",
        script="score.py",
        samples="samples.json",
    )
    return dataclasses.replace(made, **changes)


def deployment(version: int) -> str:
    return deployment_name("digits", f"{version}")


def delivery(version: int) -> str:
    return f"model-delivery:mlw-dev/digits:{version}"


def at(seconds: float) -> datetime.datetime:
    return NOW + datetime.timedelta(seconds=seconds)


def wanted(version: int, seconds: float = 0, stage: Stage = STAGE, **changes: Any) -> rm.RolloutWanted:
    return rm.RolloutWanted(stage, candidate(version, **changes), delivery(version), at(seconds))


def served(version: int, stage: Stage = STAGE) -> es.Served:
    return es.Served(candidate(version), deployment(version), stage, delivery(version))


def wish(version: int, stage: Stage = STAGE, restarts: int = 0) -> es.Wish:
    return es.Wish(stage, candidate(version), delivery(version), NOW, restarts)


def book(champion: int | None = 1, **changes: Any) -> es.EndpointBook:
    made = es.EndpointBook(TARGET, served(champion) if champion else None)
    return dataclasses.replace(made, **changes)


def rollout(version: int = 2, **changes: Any) -> es.Rollout:
    made = es.Rollout(wish(version), deployment(version), STAGE.traffic)
    return dataclasses.replace(made, **changes)


def live(*shares: tuple[int, int]) -> Weights:
    """Weights by version and percent."""
    return Weights(tuple((deployment(version), percent) for version, percent in shares))


def ending(version: int, outcome: es.Outcome = "rolled-back", reason: str = "worse") -> es.Ending:
    return es.Ending(STAGE, candidate(version), delivery(version), outcome, reason)


def way_back(to: int | None = 1, leaving: int = 2, **changes: Any) -> es.WayBack:
    made = es.WayBack(served(to) if to else None, (deployment(leaving),), (ending(leaving),), "worse")
    return dataclasses.replace(made, **changes)


HOLD = es.EndpointHold("ann", "audit", NOW)
_LIVE = rollout(step=1, measured=MEASURED)
_LAST = rollout(step=3, measured=MEASURED)
_WITH_FORMER = book(former=(served(0),))

STATES: dict[str, es.State] = {
    "unknown": es.UnknownEndpoint(),
    "empty": es.SettledEndpoint(es.EndpointBook(TARGET), 3),
    "serving": es.SettledEndpoint(_WITH_FORMER, 3),
    "serving, last look": es.SettledEndpoint(_WITH_FORMER, 3, looks=2),
    "repaired too often": es.SettledEndpoint(book(repairs=3), 3),
    "held": es.SettledEndpoint(book(hold=HOLD, waiting=wish(4)), 3),
    "held after a rollback": es.SettledEndpoint(
        book(hold=dataclasses.replace(HOLD, rollback=True), former=(served(0),), returned=NOW), 3
    ),
    "preparing": es.PreparingEndpoint(book(), rollout(), 4, NOW),
    "preparing the first": es.PreparingEndpoint(book(None), rollout(steps=(TrafficStep(100),)), 4, NOW),
    "preparing once more": es.PreparingEndpoint(book(), rollout(), 4, NOW, tries=3),
    "preparing, begun too often": es.PreparingEndpoint(book(), rollout(wish=wish(2, restarts=2)), 4, NOW),
    "preparing the way back": es.PreparingEndpoint(book(), way_back(made=True, repairs=1), 4, NOW),
    "asking for the deployment": es.CreatingDeployment(book(), rollout(), 5, NOW),
    "asking, to be left": es.CreatingDeployment(book(), rollout(leaving=es.Leaving("rejected", "bad")), 5, NOW),
    "creating": es.CreatingDeployment(book(waiting=wish(3)), rollout(), 5, NOW, started=True, checks=0),
    "creating, repaired too often": es.CreatingDeployment(book(), rollout(repairs=3), 5, NOW, started=True),
    "looking for the champion": es.CreatingDeployment(_WITH_FORMER, way_back(), 5, NOW, started=True),
    "making the champion again": es.CreatingDeployment(
        _WITH_FORMER, way_back(made=True, repairs=3), 5, NOW, started=True
    ),
    "smoke testing": es.SmokeTesting(book(), rollout(), 6),
    "smoke testing once more": es.SmokeTesting(book(), rollout(smokes=1), 6),
    "smoke testing while held": es.SmokeTesting(book(hold=HOLD), rollout(), 6),
    "smoke testing the way back": es.SmokeTesting(book(), way_back(made=True), 6),
    "asking for a share": es.ShiftingTraffic(book(), _LIVE, 7, live((1, 90), (2, 10)), NOW),
    "asking, to go back": es.ShiftingTraffic(
        book(), dataclasses.replace(_LIVE, leaving=es.Leaving("rejected", "bad")), 7, live((1, 90), (2, 10)), NOW
    ),
    "shifting": es.ShiftingTraffic(book(), _LIVE, 7, live((1, 90), (2, 10)), NOW, taken=True),
    "shifting for the last time": es.ShiftingTraffic(book(), _LIVE, 7, live((1, 90), (2, 10)), NOW, taken=True, asks=5),
    "shifting all": es.ShiftingTraffic(book(), _LAST, 7, live((2, 100)), NOW, taken=True),
    "shifting all, the first": es.ShiftingTraffic(
        book(None), rollout(steps=(TrafficStep(100),), step=0), 7, live((2, 100)), NOW, taken=True
    ),
    "shifting back": es.ShiftingTraffic(_WITH_FORMER, way_back(), 7, live((1, 100)), NOW, taken=True),
    "shifting to nobody": es.ShiftingTraffic(book(2), way_back(None), 7, Weights(()), NOW, taken=True),
    "watching": es.WatchingTraffic(book(), _LIVE, 8, NOW),
    "reading": es.WatchingTraffic(book(), _LIVE, 8, NOW, reading=True),
    "reading while held": es.WatchingTraffic(book(hold=HOLD), _LIVE, 8, NOW, reading=True),
    "soaking": es.WatchingTraffic(book(), _LAST, 8, NOW, reading=True),
    "soak that was just looked at": es.WatchingTraffic(book(waiting=wish(3)), _LAST, 8, NOW, looks=1),
    "paused": es.PausedRollout(book(), _LIVE, 9, "12 answers of 50", held=False),
    "held still": es.PausedRollout(book(hold=HOLD), _LIVE, 9, "held", held=True),
    "held before any traffic": es.PausedRollout(book(hold=HOLD), rollout(), 9, "held", held=True),
    "removing": es.RemovingDeployments(book(2, former=(served(1),)), 10, (deployment(1),)),
    "removing two": es.RemovingDeployments(book(), 10, (deployment(2), deployment(3))),
    "removing, to go back": es.RemovingDeployments(
        book(2, former=(served(1),), retreat=es.Retreat("rejected", "bad")), 10, (deployment(3),)
    ),
}

GOOD = rm.TrafficRead(0, Traffic(900, 1, 0.02), Traffic(100, 0, 0.02), 0.01, LATER)


def events(attempt: int) -> dict[str, rm.Event]:
    """One of each, and some in several sizes; answers name the attempt."""
    n = attempt
    requests: dict[str, rm.Event] = {
        "a newer version": wanted(5, 10),
        "the version under way, again": wanted(2, 11),
        "the champion, again": wanted(1, 12),
        "the champion, of other parts": wanted(1, 13, image="other"),
        "an older version": wanted(-1, 14),
        "one that is too large": wanted(6, 15, size=2 * GIB),
        "the challenger is rejected": rm.VersionRejected("digits:2", TARGET, "bob", "bias", at(20)),
        "the champion is rejected": rm.VersionRejected("digits:1", TARGET, "bob", "bias", at(21)),
        "one that waits is rejected": rm.VersionRejected("digits:4", TARGET, "bob", "bias", at(22)),
        "a rollback": rm.RollbackRequested(TARGET, "ann", "slow", at(23)),
        "a hold": rm.HoldRequested(TARGET, "ann", "audit", at(24)),
        "a release": rm.ReleaseRequested(TARGET, "ann", "done", at(25)),
    }
    return requests | _answers(n)


def _answers(n: int) -> dict[str, rm.Event]:
    late = at(90_000)
    return {
        "found as it was": rm.EndpointFound(n, live((1, 100)), LATER),
        "found with the share": rm.EndpointFound(n, live((1, 90), (2, 10)), LATER),
        "found with all of it": rm.EndpointFound(n, live((2, 100)), late),
        "found empty": rm.EndpointFound(n, Weights(()), LATER),
        "endpoint busy": rm.EndpointBusy(n, 1, LATER),
        "endpoint busy for too long": rm.EndpointBusy(n, 1, late),
        "endpoint lost": rm.EndpointLost(n, "deleted", LATER),
        "deployment started": rm.DeploymentStarted(n, LATER),
        "deployment busy": rm.DeploymentBusy(n, 1, LATER),
        "deployment busy for too long": rm.DeploymentBusy(n, 1, late),
        "deployment ready": rm.DeploymentReady(n, LATER),
        "out of quota": rm.DeploymentFailed(n, "OutOfQuota", "8 cores", LATER),
        "deployment missing": rm.DeploymentFailed(n, "", "it is not there", LATER),
        "smoke passed": rm.SmokePassed(n, MEASURED, LATER),
        "smoke passed, too big": rm.SmokePassed(n, dataclasses.replace(MEASURED, memory=2 * GIB), LATER),
        "smoke failed": rm.SmokeFailed(n, "sample 1: answered 500", LATER),
        "traffic asked": rm.TrafficAsked(n, LATER),
        "traffic good": dataclasses.replace(GOOD, attempt=n),
        "traffic good, late": dataclasses.replace(GOOD, attempt=n, at=late),
        "traffic bad": dataclasses.replace(GOOD, attempt=n, challenger=Traffic(100, 20, 0.02)),
        "traffic too little": dataclasses.replace(GOOD, attempt=n, challenger=Traffic(10, 0, 0.02)),
        "traffic too little, late": dataclasses.replace(GOOD, attempt=n, challenger=Traffic(9, 0, 0.02), at=late),
        "removal asked": rm.RemovalAsked(n, LATER),
        "deployment gone": rm.DeploymentGone(n, LATER),
        "reminded": Reminded(n, late),
        "refused": CommandRefused(n, "no", LATER),
        "no answer": CommandErrored(n, "timed out", late),
    }
