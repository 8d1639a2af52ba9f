"""What the flow of runs hears and says."""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.alerts.incident import Raised
from tidegate.flows.base import After, CommandErrored, CommandRefused, Pairs, Publish, Tell
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.references import JobRef


@dataclasses.dataclass(frozen=True, slots=True)
class RunEnded:
    """The workspace says that a run failed or was canceled; a hint: the run is read before anything is done."""

    job: JobRef
    status: str
    experiment: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class RunDescribed:
    """What the workspace knows of the run."""

    attempt: int
    facts: JobFacts
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class RunMissing:
    """The workspace knows no such run."""

    attempt: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class RunResubmitted:
    """Its successor was submitted, or had been."""

    attempt: int
    name: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ResubmitRequested:
    """A person wants the run submitted again, from its checkpoint."""

    who: str
    at: datetime.datetime


type Answer = RunDescribed | RunMissing | RunResubmitted | CommandRefused | CommandErrored
type Event = RunEnded | ResubmitRequested | Answer


@dataclasses.dataclass(frozen=True, slots=True)
class DescribeRun:
    """Read the run, and keep the end of its log."""

    job: JobRef
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class ResubmitRun:
    """Submit the run once more under another name; it finds its checkpoint where the first one left it."""

    job: JobRef
    name: str
    """Made of the first run's name and the attempt: twice is the same run."""
    moves: Pairs
    """(compute, compute instead of it); empty: everything runs where it ran before."""
    tags: Pairs
    """Its lineage."""
    attempt: int


type Effect = DescribeRun | ResubmitRun
type Command = Effect | After[Effect] | Tell[Raised] | Publish
