"""What is known of a run of Azure Machine Learning, as plain values."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

from tidegate.flows.base import Pairs
from tidegate.references import JobRef

type Tier = Literal["dedicated", "low_priority", ""]
type InHealthy = Literal["yes", "no", "elsewhere", ""]
"""Whether the image's digest is in the healthy registry; `elsewhere`: it names another registry; empty: not known."""

FAILED = frozenset({"failed"})
CANCELED = frozenset({"canceled"})
ENDED = frozenset({"completed", "failed", "canceled"})

ATTEMPT_TAG = "tidegate.attempt"
"""Tag of a resubmitted run: which attempt it is; the first resubmission is 1."""
PARENT_TAG = "tidegate.parent"
"""Tag of a resubmitted run: the run it goes on from."""
ROOT_TAG = "tidegate.root"
"""Tag of a resubmitted run: the run that a person submitted."""
TEST_TAG = "tidegate.test"
"""Tag of a run that is the test of an image: the image."""


@dataclasses.dataclass(frozen=True, slots=True)
class FailedStep:
    """A step of a pipeline that failed."""

    run: str
    name: str
    compute: str
    error_code: str
    error: str


@dataclasses.dataclass(frozen=True, slots=True)
class JobFacts:
    """One run, as the workspace describes it. Text comes from outside: bounded, masked, never markup."""

    job: JobRef
    status: str
    """In lower case, as the service spells it."""
    experiment: str = ""
    display_name: str = ""
    owner: str = ""
    compute: str = ""
    tier: Tier = ""
    image: str = ""
    in_healthy: InHealthy = ""
    commit: str = ""
    parent: str = ""
    """The pipeline run it is a step of."""
    failing_child: str = ""
    """Of a pipeline: its first child that failed."""
    steps: tuple[FailedStep, ...] = ()
    """Of a pipeline: its children that failed, the first first."""
    created: datetime.datetime | None = None
    started: datetime.datetime | None = None
    seconds: int = 0
    """How long it ran; 0: not known."""
    last_good: str = ""
    """The newest run of the same experiment that completed."""
    studio: str = ""
    """Its page in the studio."""
    error_code: str = ""
    error: str = ""
    log: str = ""
    """The end of its log; of a pipeline: of its first step that failed, whose log says why."""
    log_name: str = ""
    """Where the end of its log is kept among the evidence."""
    tags: Pairs = ()
    is_read: bool = True
    """False: the workspace did not tell; only the run's name and its experiment are known."""
    can_resubmit: bool = False
    """Whether it is a command or a pipeline of its own, which can be submitted again as it is."""

    def tag(self, name: str) -> str:
        """The value of a tag; empty: it has none."""
        return dict(self.tags).get(name, "")

    @property
    def computes(self) -> tuple[str, ...]:
        """Where what failed ran: the computes of its steps, or its own."""
        return tuple(dict.fromkeys(step.compute for step in self.steps)) or (self.compute,)

    @property
    def ended(self) -> datetime.datetime | None:
        """When it ended, by the service's clock."""
        return self.started + datetime.timedelta(seconds=self.seconds) if self.started and self.seconds else None

    @property
    def attempt(self) -> int:
        """How many resubmissions led to this run."""
        text = self.tag(ATTEMPT_TAG)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0

    @property
    def root(self) -> str:
        """The run that a person submitted."""
        return self.tag(ROOT_TAG) or self.job.run
