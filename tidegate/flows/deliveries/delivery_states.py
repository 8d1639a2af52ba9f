"""Where a version of a model can be on its way through the stages, and what it carries along."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

from tidegate.flows.base import Request
from tidegate.flows.deliveries.delivery_messages import DeliveryRequested, ModelRegistered
from tidegate.flows.models.model_facts import Candidate, Measured, ModelFacts
from tidegate.flows.models.model_gate import ModelGate, Stage
from tidegate.references import ModelRef

MAX_REQUESTS = 20
"""Requests kept in a record; the first and the latest are what people ask about, and none of who asked may approve."""


@dataclasses.dataclass(frozen=True, slots=True)
class Vote:
    """A yes that counts."""

    person: str
    """`tid/oid`, or `key:<name>`."""
    who: str
    why: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class StagePassed:
    """A stage in which the version serves, or a pipeline's run that did the like, and is recorded."""

    stage: str
    ended: datetime.datetime
    """When the endpoint, or the pipeline, was done."""
    reason: str
    record: str
    """URL of the model record."""
    votes: tuple[Vote, ...] = ()
    measured: Measured | None = None
    put_back: str = ""
    """Why the stage went back to the version before, while a later one was under way; empty: it did not."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """What stays the same on the way, and what is learnt on it."""

    model: ModelRef
    order: str
    gate: ModelGate
    """The gate under which it was registered, or asked for; a changed one takes a new request."""
    requests: tuple[Request, ...]
    people: tuple[str, ...] = ()
    """Whoever asked for it, as `tid/oid` or `key:<name>`: none of them may approve."""
    facts: ModelFacts | None = None
    champion: Candidate | None = None
    """What served at the end of the way when it was screened."""
    passed: tuple[StagePassed, ...] = ()

    @property
    def candidate(self) -> str:
        """What endpoints call it (`Candidate.name`)."""
        return f"{self.model.name}:{self.model.version}"

    @property
    def known(self) -> ModelFacts:
        """The facts, for whatever comes after DescribingModel."""
        if self.facts is None:
            raise ValueError(f"{self.model} was not described yet")
        return self.facts

    def stage(self, name: str) -> Stage:
        """The gate's stage of that name."""
        return next(stage for stage in self.gate.stages if stage.name == name)


@dataclasses.dataclass(frozen=True, slots=True)
class Unregistered:
    """Nobody has heard of the version."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelIgnored:
    """No gate matches it, or it is a delivery's own copy: recorded, and left alone."""

    model: ModelRef
    attempt: int
    reason: str
    delivery: Delivery | None = None
    """What had begun before that was known."""


@dataclasses.dataclass(frozen=True, slots=True)
class DescribingModel:
    """It is being read, and its files hashed."""

    delivery: Delivery
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class AskingChampion:
    """The endpoint at the end of the way is asked who serves there."""

    delivery: Delivery
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    """Its next stage waits until the freeze is over."""

    delivery: Delivery
    attempt: int
    stage: str
    since: datetime.datetime
    until: datetime.datetime
    votes: tuple[Vote, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class PlacingModel:
    """It is brought where the stage takes it from, and hashed there."""

    delivery: Delivery
    attempt: int
    stage: str
    since: datetime.datetime
    votes: tuple[Vote, ...] = ()
    checks: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class AwaitingApproval:
    """People are asked."""

    delivery: Delivery
    attempt: int
    stage: str
    evidence: str
    """Hash of what they decide on."""
    since: datetime.datetime
    expires: datetime.datetime
    votes: tuple[Vote, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class RollingOut:
    """The endpoint has it, and says what became of it."""

    delivery: Delivery
    attempt: int
    stage: str
    since: datetime.datetime
    candidate: Candidate
    votes: tuple[Vote, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Releasing:
    """Another system's pipeline carries the stage out."""

    delivery: Delivery
    attempt: int
    stage: str
    since: datetime.datetime
    votes: tuple[Vote, ...] = ()
    run: str = ""
    checks: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """The stage is done; its record is being kept."""

    delivery: Delivery
    attempt: int
    stage: str
    ended: datetime.datetime
    reason: str
    """How the stage ended."""
    measured: Measured | None
    votes: tuple[Vote, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """It serves in every stage."""

    delivery: Delivery
    attempt: int


type RejectionCause = Literal["missing", "screening", "artefact changed", "approval expired", "rejected", "blocked"]
"""rejected: by a person, here. blocked: the endpoint does not take it, because a person rejected it."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelRejected:
    """The answer is no."""

    delivery: Delivery
    attempt: int
    cause: RejectionCause
    reasons: tuple[str, ...]
    stage: str = ""
    by: str = ""
    """Who rejected it; empty: nobody, but the gate."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeliveryFailed:
    """A stage said no before the version got live traffic; later stages do not happen."""

    delivery: Delivery
    attempt: int
    stage: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class DeliveryRolledBack:
    """A stage put the last good version back; later stages do not happen."""

    delivery: Delivery
    attempt: int
    stage: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class DeliverySuperseded:
    """A newer version of the model was there first."""

    delivery: Delivery
    attempt: int
    stage: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class DeliveryErrored:
    """There was no answer for too long; people look."""

    delivery: Delivery
    attempt: int
    stage: str
    """Empty: it happened before the first one."""
    step: str
    reason: str


type InStage = Frozen | PlacingModel | AwaitingApproval | RollingOut | Releasing | Recording
type Running = DescribingModel | AskingChampion | InStage
type Ended = Delivered | ModelRejected | DeliveryFailed | DeliveryRolledBack | DeliverySuperseded | DeliveryErrored
type State = Unregistered | ModelIgnored | Running | Ended

BLOCKED: tuple[RejectionCause, ...] = ("rejected", "blocked")
"""Causes of a rejection that hold for ever: a person said no to the version as such."""
STATES = (
    "AskingChampion",
    "AwaitingApproval",
    "Delivered",
    "DeliveryErrored",
    "DeliveryFailed",
    "DeliveryRolledBack",
    "DeliverySuperseded",
    "DescribingModel",
    "Frozen",
    "ModelIgnored",
    "ModelRejected",
    "PlacingModel",
    "Recording",
    "Releasing",
    "RollingOut",
)
"""As lists of deliveries name them."""


def begun(event: ModelRegistered | DeliveryRequested, gate: ModelGate, before: Delivery | None) -> Delivery:
    """The delivery at its start, or at a new start: who asked stays known, what was learnt does not."""
    request, person = _request(event)
    requests = (*before.requests[: MAX_REQUESTS - 1], request) if before else (request,)
    people = before.people if before else ()
    if person and person not in people:
        people = (*people, person)
    return Delivery(event.model, event.order, gate, requests, people)


def _request(event: ModelRegistered | DeliveryRequested) -> tuple[Request, str]:
    """Who wants it and why, and their identity if a person does."""
    match event:
        case ModelRegistered():
            return Request(event.id, "the workspace", "it was registered", event.at), ""
        case DeliveryRequested():
            return Request(event.id, event.who, event.why, event.at), event.person


def reason_of(state: State) -> str:
    """Why it ended, or waits, in one line for people; empty: there is nothing to say."""
    match state:
        case ModelRejected(reasons=reasons):
            return "; ".join(reasons)
        case ModelIgnored() | DeliveryFailed() | DeliveryRolledBack() | DeliverySuperseded() | DeliveryErrored():
            return state.reason
        case Frozen(stage=stage, until=until):
            return f"{stage} is frozen until {until:%Y-%m-%d %H:%M} UTC"
        case _:
            return ""
