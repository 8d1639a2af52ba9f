"""What the flow of an endpoint hears and says: who serves, who comes next, and how traffic goes from one to the other."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

from tidegate.flows.base import After, CommandErrored, CommandRefused, Publish, Tell
from tidegate.flows.models.model_facts import Candidate, Measured, Traffic, Weights
from tidegate.flows.models.model_gate import Instance, Stage, Target
from tidegate.flows.reminders import Remind, Reminded

# From deliveries and people ------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class RolloutWanted:
    """A delivery wants its candidate to serve; a newer candidate supersedes one that waits."""

    stage: Stage
    candidate: Candidate
    delivery: str
    """Key of its record, which gets StageEnded."""
    at: datetime.datetime
    """When it was wanted; an end that comes from before that ended an earlier wish."""


@dataclasses.dataclass(frozen=True, slots=True)
class VersionRejected:
    """The version must not serve here: if it does, or is about to, the last good one is put back; and it is never taken again."""

    candidate: str
    """`Candidate.name`."""
    target: Target
    who: str
    why: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class RollbackRequested:
    """Put the last good version back, now, and hold the endpoint until it is released."""

    target: Target
    who: str
    why: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class HoldRequested:
    """Begin nothing new here, and move no more traffic, until released."""

    target: Target
    who: str
    why: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The hold, or a pause, is over."""

    target: Target
    who: str
    why: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ChampionAsked:
    """Who serves here? Answered to `delivery` with ChampionTold."""

    target: Target
    delivery: str
    attempt: int
    """Of the delivery; comes back in the answer."""
    at: datetime.datetime


# Answers to commands -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointFound:
    """The endpoint exists, made now or before. `weights`: as it is."""

    attempt: int
    weights: Weights
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointBusy:
    """It is being made or changed; look again."""

    attempt: int
    check: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointLost:
    """There is no such endpoint, or its last change failed."""

    attempt: int
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class DeploymentStarted:
    """Creating it was asked for, or it is there."""

    attempt: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class DeploymentBusy:
    """It is being made; look again."""

    attempt: int
    check: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class DeploymentReady:
    """It runs, as a GET of it says."""

    attempt: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class DeploymentFailed:
    """It will not run. `code`: the service's word, for example OutOfQuota; empty: it is not there."""

    attempt: int
    code: str
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class SmokePassed:
    """Every sample request was answered as it should be."""

    attempt: int
    measured: Measured
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class SmokeFailed:
    """One was not."""

    attempt: int
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class TrafficAsked:
    """The endpoint was asked to divide its traffic so; whether it did is seen by looking (invariant C8)."""

    attempt: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class TrafficRead:
    """How the two deployments did since the step began."""

    attempt: int
    champion: Traffic | None
    """None: there is no champion."""
    challenger: Traffic
    shift: float | None
    """Share of sample requests that both answer, but differently, 0-1; None: not comparable."""
    at: datetime.datetime
    asked: int = 0
    """Sample requests that this look sent to each of them, after it had read the figures: they are in those of the next look."""


@dataclasses.dataclass(frozen=True, slots=True)
class RemovalAsked:
    """The service has taken the request to delete it; whether it did is seen by looking (invariant C8)."""

    attempt: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class DeploymentGone:
    """It is not there any more."""

    attempt: int
    at: datetime.datetime


type Answer = (
    EndpointFound
    | EndpointBusy
    | EndpointLost
    | DeploymentStarted
    | DeploymentBusy
    | DeploymentReady
    | DeploymentFailed
    | SmokePassed
    | SmokeFailed
    | TrafficAsked
    | TrafficRead
    | RemovalAsked
    | DeploymentGone
    | Reminded
    | CommandRefused
    | CommandErrored
)
type Request = RolloutWanted | VersionRejected | RollbackRequested | HoldRequested | ReleaseRequested | ChampionAsked
type Event = Request | Answer


# To deliveries -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class ChampionTold:
    """Who serves an endpoint."""

    attempt: int
    """The delivery's."""
    champion: Candidate | None
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class StageEnded:
    """What became of a delivery's wish at one endpoint."""

    stage: str
    candidate: str
    """`Candidate.name`: an answer to another one means nothing."""
    outcome: Literal["serving", "failed", "rolled-back", "superseded", "rejected", "errored"]
    """serving: all of the traffic, and the soak is over. failed: it never got live traffic (smoke, fit, quota)."""
    reason: str
    measured: Measured | None
    at: datetime.datetime


# Commands ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class EnsureEndpoint:
    """Make the endpoint if it is not there. Answer: EndpointFound, EndpointBusy, EndpointLost."""

    target: Target
    attempt: int
    check: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class CreateDeployment:
    """Make the deployment, with no traffic. Answer: DeploymentStarted; DeploymentFailed where it is refused at once."""

    target: Target
    deployment: str
    """A function of model and version alone: twice is the same one (invariant C8)."""
    candidate: Candidate
    instance: Instance
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class CheckDeployment:
    """GET it. Answer: DeploymentBusy, DeploymentReady, DeploymentFailed."""

    target: Target
    deployment: str
    attempt: int
    check: int


@dataclasses.dataclass(frozen=True, slots=True)
class SmokeTest:
    """Send the model's own sample requests to this deployment and no other, and measure. Answer: SmokePassed, SmokeFailed."""

    target: Target
    deployment: str
    candidate: Candidate
    instance: Instance
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class ShiftTraffic:
    """Divide the endpoint's traffic so. Answer: TrafficAsked."""

    target: Target
    weights: Weights
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class CheckEndpoint:
    """GET it. Answer: EndpointBusy, EndpointFound (with the weights as they are), EndpointLost."""

    target: Target
    attempt: int
    check: int


@dataclasses.dataclass(frozen=True, slots=True)
class ReadTraffic:
    """Ask for the figures of the step and compare answers to the sample requests. Answer: TrafficRead."""

    target: Target
    champion: str
    """Deployment; empty: none."""
    challenger: str
    candidate: Candidate
    since: datetime.datetime
    mirrored: bool
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class RemoveDeployment:
    """Delete it; refused by the service while it has traffic. Answer: RemovalAsked; DeploymentGone where it is gone."""

    target: Target
    deployment: str
    attempt: int


type Effect = (
    EnsureEndpoint
    | CreateDeployment
    | CheckDeployment
    | SmokeTest
    | ShiftTraffic
    | CheckEndpoint
    | ReadTraffic
    | RemoveDeployment
    | Remind
)
type Command = Effect | After[Effect] | Tell[ChampionTold | StageEnded] | Publish
