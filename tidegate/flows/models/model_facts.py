"""What is known of a registered model and of what serves it: read from the services, never taken from an event."""

from __future__ import annotations

import dataclasses

from tidegate.flows.base import Pairs
from tidegate.references import ModelRef

COPY_TAG = "tidegate.copy-of"
"""Tag of a version that a delivery copied to the workspace of a stage, with the version it is of (`ModelRef` as text). Its
registration starts no delivery."""


@dataclasses.dataclass(frozen=True, slots=True)
class Artefact:
    """The files of a model, as one hash."""

    sha256: str
    """Over `<sha256 of the file>  <path>\\n` for every file, sorted by path (what `sha256sum` of the files prints)."""
    size: int
    """Bytes of all files."""
    files: int


@dataclasses.dataclass(frozen=True, slots=True)
class ModelFacts:
    """A version of a model."""

    model: ModelRef
    artefact: Artefact
    tags: Pairs
    """Tags and properties together, by name; a tag wins over a property of its name."""
    metrics: tuple[tuple[str, float], ...]
    """By name, from tags and properties called `metrics.<name>`."""
    run: str
    """The job that made it; empty: unknown."""
    image: str
    """Image that trained it, `<login server>/<repository>@<digest>`; empty: unknown."""
    image_in_healthy: bool
    data: str
    """What it was trained on (tag `data`); empty: unknown."""
    registered_by: str
    """Object id, or name, of the identity that registered it."""
    serving_image: str
    """`<login server>/<repository>@<digest>` that will serve it, found in the healthy registry; empty: it is not there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A version on its way to an endpoint, or serving there: all that a deployment is made of (invariant C1)."""

    model: ModelRef
    """In the workspace it was registered in."""
    asset: str
    """Its id where the endpoint takes it from, as the Models port gave it."""
    order: str
    """Sorts versions of the model (invariant C5)."""
    sha256: str
    size: int
    """Bytes."""
    image: str
    """`<login server>/<repository>@<digest>`."""
    script: str
    samples: str
    environment: Pairs = ()
    metrics: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.model.name}:{self.model.version}"


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """What a deployment needed while it started and answered the sample requests. None: the target does not tell."""

    memory: int | None
    """Bytes at its peak."""
    latency: float | None
    """Seconds, 95th percentile of the sample requests."""
    startup: float | None
    """Seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Traffic:
    """How one deployment did in a window of time."""

    requests: int
    failed: int
    """Answers that were no 2xx, timeouts included; 4xx that are the caller's fault not."""
    p95: float | None
    """Seconds; None: no answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Weights:
    """How an endpoint divides its traffic, in percent by deployment; deployments with 0 are left out."""

    live: tuple[tuple[str, int], ...]
    mirror: tuple[tuple[str, int], ...] = ()

    def of(self, deployment: str) -> int:
        """The live percentage of a deployment."""
        return dict(self.live).get(deployment, 0)
