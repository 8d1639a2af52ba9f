"""What the delivery of models needs of the outside; each method says what carrying it out twice means.

As in `ports`: every method may raise TransientError; PermanentError only where a method says so; nothing waits.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from tidegate.flows.models.model_facts import Artefact, Candidate, Traffic, Weights
from tidegate.flows.models.model_gate import Instance, ReleasePipeline, Target, WorkspaceRef
from tidegate.references import ModelRef


@dataclasses.dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A version as its workspace has it."""

    model: ModelRef
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    run: str
    """Empty: unknown."""
    registered_by: str
    created: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """Where a stage takes the version from."""

    asset: str
    """ARM id, or `azureml://registries/...`."""
    sha256: str
    """Of what lies there, read now."""


class Models(Protocol):
    """Versions of models in the machine learning workspaces, and their artefacts."""

    def describe(self, model: ModelRef) -> RegisteredModel:
        """Reading. PermanentError: no such version."""

    def artefact(self, model: ModelRef, max_size: int) -> Artefact:
        """Hash the files as they are; above `max_size` bytes (0: no limit) nothing is read and the hash is empty. Reading."""

    def file(self, model: ModelRef, path: str, limit: int) -> bytes | None:
        """One file of the artefact, at most `limit` bytes; None: it is not there. Reading. PermanentError: larger."""

    def place(self, model: ModelRef, workspace: WorkspaceRef, registry: str) -> Placed | None:
        """Have it in a workspace; None: being copied, ask again. Twice: what is there is left as it is, and hashed again.

        PermanentError: refused, or other bytes are there under this name and version.
        """

    def mark(self, model: ModelRef, properties: Mapping[str, str]) -> None:
        """Add tags to the version (properties cannot be changed once it exists). Twice: the same."""

    def recent(self, workspace: str, limit: int) -> Sequence[RegisteredModel]:
        """The newest versions, for what no event told of. Reading."""


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointSeen:
    """An endpoint as a GET shows it."""

    state: Literal["ready", "busy", "failed", "missing"]
    reason: str
    weights: Weights


@dataclasses.dataclass(frozen=True, slots=True)
class DeploymentSeen:
    """A deployment as a GET shows it."""

    state: Literal["ready", "busy", "failed", "missing"]
    code: str
    """Of the failure, as the service has it."""
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Answered:
    """One answer of a deployment."""

    status: int
    """HTTP; 0: none came."""
    body: bytes
    """At most 1 MiB."""
    seconds: float


class Endpoints(Protocol):
    """Where models are served: one kind of target. Named by the target; nothing is ever contacted but what it names."""

    def ensure(self, target: Target) -> EndpointSeen:
        """Make it if it is missing or failed; gives what a GET shows. Twice: one endpoint. PermanentError: refused."""

    def look(self, target: Target) -> EndpointSeen:
        """Reading."""

    def create(self, target: Target, deployment: str, candidate: Candidate, instance: Instance) -> None:
        """Begin to make a deployment without traffic. Twice, or while it is made: nothing. PermanentError: `code: reason`."""

    def deployment(self, target: Target, deployment: str) -> DeploymentSeen:
        """Reading."""

    def shift(self, target: Target, weights: Weights) -> None:
        """Begin to divide the traffic so; other deployments get none. Twice: nothing. PermanentError: refused."""

    def remove(self, target: Target, deployment: str) -> bool:
        """Begin to delete it; whether it is gone. Twice, or not there: nothing. PermanentError: it has traffic."""

    def ask(self, target: Target, deployment: str, body: bytes, timeout: float) -> Answered:
        """One request to this deployment alone, past the traffic rules. Never an error: status 0 says no answer came."""

    def traffic(self, target: Target, deployment: str, since: datetime.datetime, mirrored: bool) -> Traffic:
        """How it did since then. Reading."""

    def memory(self, target: Target, deployment: str, instance: Instance) -> int | None:
        """Bytes at its peak so far; None: not told (yet). Reading."""

    def started(self, target: Target, deployment: str) -> float | None:
        """Seconds from its creation until it was ready; None: not told. Reading."""


class Releases(Protocol):
    """Pipelines of other systems that carry out a stage."""

    def start(self, pipeline: ReleasePipeline, model: ModelRef, stage: str, delivery: str) -> str:
        """Start it; gives the run. Twice: the first run, as far as it can be found by `delivery`. PermanentError: refused."""

    def status(self, pipeline: ReleasePipeline, run: str) -> tuple[Literal["running", "succeeded", "failed"], str]:
        """And the reason. Reading."""
