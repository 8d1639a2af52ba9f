"""What the flow of a model's version hears and says."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

from tidegate.flows.base import After, CommandErrored, CommandRefused, Publish, Tell
from tidegate.flows.endpoints.rollout_messages import (
    ChampionAsked,
    ChampionTold,
    RolloutWanted,
    StageEnded,
    VersionRejected,
)
from tidegate.flows.models.model_facts import ModelFacts
from tidegate.flows.models.model_gate import ModelGate, ReleasePipeline, Serving, WorkspaceRef
from tidegate.flows.reminders import Remind, Reminded
from tidegate.references import ModelRef

# From outside --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class ModelRegistered:
    """A version was registered."""

    model: ModelRef
    order: str
    gate: ModelGate | None
    """None: no gate matches; it is recorded and left alone."""
    id: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class DeliveryRequested:
    """A person wants it delivered, although its event never came, or after it failed."""

    model: ModelRef
    order: str
    gate: ModelGate
    id: str
    who: str
    why: str
    at: datetime.datetime
    person: str = ""
    """`tid/oid` of a verified token, or `key:<name>`: whoever asked may not approve. Empty: only `who` is compared."""


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """A person's word on a stage that waits for it, or (no) on the version as such."""

    answer: Literal["approve", "reject"]
    person: str
    """`tid/oid` of a verified token, or `key:<name>`; two decisions of one person are one."""
    who: str
    """How people know them."""
    roles: tuple[str, ...]
    evidence: str
    """Hash of what they were shown; a yes to something else is void."""
    why: str
    at: datetime.datetime


# Answers to commands -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class ModelDescribed:
    """What the workspace and the artefact say."""

    attempt: int
    facts: ModelFacts
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ModelPlacing:
    """Being copied; look again."""

    attempt: int
    check: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ModelPlaced:
    """It is where the stage takes it from; the hash is of what lies there now."""

    attempt: int
    asset: str
    sha256: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ReleaseStarted:
    """The pipeline was started, or had been."""

    attempt: int
    run: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ReleaseSeen:
    """How the pipeline's run is."""

    attempt: int
    check: int
    status: Literal["running", "succeeded", "failed"]
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class RecordKept:
    """The model's record is among the evidence and named on the version."""

    attempt: int
    url: str
    at: datetime.datetime


type Answer = (
    ModelDescribed
    | ModelPlacing
    | ModelPlaced
    | ReleaseStarted
    | ReleaseSeen
    | RecordKept
    | ChampionTold
    | Reminded
    | CommandRefused
    | CommandErrored
)
type Event = ModelRegistered | DeliveryRequested | Decided | StageEnded | Answer


# Commands ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class DescribeModel:
    """Read the version, hash its artefact, look for its images in the healthy registry. Answer: ModelDescribed."""

    model: ModelRef
    serve: Serving
    max_size: int
    """Bytes above which nothing is read; the facts then have the size and an empty hash. 0: no limit."""
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class PlaceModel:
    """Have the version in a workspace, through a registry or by copying. Answer: ModelPlacing, ModelPlaced."""

    model: ModelRef
    workspace: WorkspaceRef
    registry: str
    """Azure ML registry; empty: copy the artefact."""
    attempt: int
    check: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class StartRelease:
    """Start the pipeline with model, version and stage as its parameters. Answer: ReleaseStarted."""

    pipeline: ReleasePipeline
    model: ModelRef
    stage: str
    delivery: str
    """Makes the run findable: twice is one run as far as the service allows."""
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class CheckRelease:
    """Answer: ReleaseSeen."""

    pipeline: ReleasePipeline
    run: str
    attempt: int
    check: int


@dataclasses.dataclass(frozen=True, slots=True)
class KeepRecord:
    """Keep the statement as evidence and name it on the model's version. Answer: RecordKept."""

    model: ModelRef
    stage: str
    statement: str
    attempt: int


type Effect = DescribeModel | PlaceModel | StartRelease | CheckRelease | KeepRecord | Remind
type Command = Effect | After[Effect] | Tell[RolloutWanted | VersionRejected | ChampionAsked] | Publish
