"""What a model must pass on its way through the environments: one model gate of `gates.yaml` as plain values."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tidegate.flows.base import Pairs

type TargetKind = Literal["managed", "kubernetes", "container-instance", "local"]
"""A managed online endpoint, an online endpoint on a Kubernetes compute, a container group, a server on this machine."""
SHARES_TRAFFIC: tuple[TargetKind, ...] = ("managed", "kubernetes")
"""Targets that divide traffic between deployments; on the others the whole of it moves at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class WorkspaceRef:
    """A machine learning workspace. An empty subscription or resource group is the installation's own."""

    name: str
    resource_group: str = ""
    subscription: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where a stage serves."""

    kind: TargetKind
    workspace: WorkspaceRef
    endpoint: str
    """Name of the endpoint, 3-32 letters, digits and -; unique in its region."""
    compute: str = ""
    """For kubernetes: the attached compute."""


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """What one replica runs on."""

    type: str
    """Size of the machine (managed), name of the instance type (kubernetes); empty for the others."""
    count: int
    """Replicas; set by hand where nothing scales them (dev-test clusters)."""
    cpu: float
    """Cores of one replica."""
    memory: int
    """Bytes of one replica."""


@dataclasses.dataclass(frozen=True, slots=True)
class FitRules:
    """What a deployment may need, measured before it gets any traffic. 0: not limited."""

    memory: float
    """Largest share of the instance's memory at its peak, 0-1."""
    latency: float
    """Seconds, 95th percentile of the sample requests."""
    startup: float
    """Seconds from its creation to its first answer, as far as the target tells."""
    size: int
    """Bytes of the artefact."""


@dataclasses.dataclass(frozen=True, slots=True)
class TrafficStep:
    """One share of the endpoint's traffic."""

    percent: int
    """1-100."""
    mirror: bool = False
    """Copied to the challenger, whose answers nobody gets; at most 50 % (azure-ai-ml, mirror_traffic)."""


@dataclasses.dataclass(frozen=True, slots=True)
class AnalysisRules:
    """When a challenger is as good as the champion. Looked at after every step but the last."""

    window: int
    """Seconds a step lasts at least."""
    requests: int
    """Answers of the challenger below which nothing can be said."""
    errors: float
    """Largest share of failed answers, 0-1."""
    latency: float
    """Largest ratio of its p95 to the champion's."""
    shift: float
    """Largest share of sample requests that champion and challenger answer differently, 0-1; 1: not looked at."""
    patience: int
    """Seconds a step may stay inconclusive before the rollout pauses and people are asked."""
    expires: int
    """Seconds a pause may last before the rollout is taken back."""
    slack: float = 0.0
    """Seconds by which its p95 may be above the champion's whatever the ratio says: of few milliseconds, noise is a multiple."""


@dataclasses.dataclass(frozen=True, slots=True)
class ApprovalRules:
    """Who must say yes before a stage begins."""

    quorum: int
    """Different people."""
    roles: tuple[str, ...]
    """App roles of which an approver has at least one, for example `Approver.pro`."""
    expires: int
    """Seconds until it counts as a no."""


@dataclasses.dataclass(frozen=True, slots=True)
class Freeze:
    """A time of every week in which no stage begins, in UTC; minutes since Monday 00:00. May wrap round the week's end."""

    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class ReleasePipeline:
    """A stage that another system carries out, which is started and waited for."""

    kind: Literal["azure-devops", "github"]
    project: str
    """`organization/project` or `owner/repository`."""
    pipeline: str
    """Number of the pipeline's definition, or file name of the workflow."""
    ref: str
    """Branch that is run."""
    timeout: int
    """Seconds until it counts as failed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """One environment on the way."""

    name: str
    target: Target
    instance: Instance
    fit: FitRules
    traffic: tuple[TrafficStep, ...]
    """Rising; the last one is 100 and no mirror."""
    analysis: AnalysisRules
    soak: int
    """Seconds the old deployment stays after the new one serves everything."""
    approval: ApprovalRules | None = None
    freeze: tuple[Freeze, ...] = ()
    release: ReleasePipeline | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class MetricRule:
    """One metric of the model. Whether more or less is better follows from which bound is given."""

    name: str
    at_least: float | None = None
    at_most: float | None = None
    tolerance: float | None = None
    """How much worse than the champion's it may be; None: not compared."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelRequirements:
    """What must be known of a version before anything is deployed."""

    tags: tuple[str, ...]
    """Tags (or properties) that must be there and not empty."""
    lineage: tuple[Literal["run", "image", "data"], ...]
    """What it must say it was made by; `image` must be a digest in the healthy registry."""
    metrics: tuple[MetricRule, ...]
    max_size: int
    """Bytes of the artefact; 0: no limit."""


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """How a deployment of the model answers."""

    image: str
    """`repository:tag` or `repository@digest` in the healthy registry; a tag is resolved once, at screening (invariant C1)."""
    script: str
    """Path of the scoring script in the artefact; empty: the image brings its own."""
    samples: str
    """Path in the artefact of the sample requests: a JSON list of request bodies, or of {request, response}."""
    environment: Pairs = ()
    """Environment variables of the deployment; settings, never secrets."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelGate:
    """One gate. `version` changes with every meaning-bearing field."""

    name: str
    version: str
    require: ModelRequirements
    serve: Serving
    registry: str
    """Azure ML registry through which models move between workspaces; empty: the artefact is copied."""
    stages: tuple[Stage, ...]
