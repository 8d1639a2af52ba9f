"""`deploy(model, target)`: a model on this machine, a container instance, Kubernetes, or managed by Azure ML."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal, Protocol, overload

from scoring.local_service import LocalService

type Target = Literal["local", "aci", "aks", "managed"]

_SKELETON = Path(__file__).parent / "examples" / "classifier" / "score.py"


class Service(Protocol):
    """A model that answers."""

    @property
    def scoring_uri(self) -> str:
        """Where images are posted."""

    def score(self, image: bytes, timeout: float = 60.0) -> bytes:
        """The answer to one image, as the service gave it."""

    def stop(self) -> None:
        """Take it away. Idempotent."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Where in Azure."""

    subscription_id: str
    resource_group: str
    name: str
    location: str = "westeurope"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of it."""

    instance_type: str = "Standard_DS3_v2"
    """Of a managed deployment; the other targets take `cpu`, `memory_gb` and, on Kubernetes, `gpus`."""
    cpu: float = 1
    memory_gb: float = 2
    gpus: int = 0
    replicas: int = 1
    """Fixed number, as dev-test clusters want it."""
    most_replicas: int = 0
    """More than `replicas`: the number follows the load between the two (production clusters)."""
    target_utilization: int = 70
    """Percent of concurrent requests at which another replica starts."""


class DeployError(ValueError):
    """A deployment that cannot be asked for like that."""


@overload
def deploy(
    model: str | Path, target: Literal["local"] = "local", *, script: Path = ..., port: int = ..., warm: str = ...
) -> LocalService: ...
@overload
def deploy(
    model: str | Path,
    target: Literal["aci", "aks", "managed"],
    *,
    workspace: Workspace,
    image: str,
    name: str,
    size: Size = ...,
    compute_target_name: str = ...,
    identity: str = ...,
) -> Service: ...
def deploy(  # noqa: PLR0913  # one keyword a choice; the overloads say which belong together
    model: str | Path,
    target: Target = "local",
    *,
    script: Path = _SKELETON,
    port: int = 0,
    warm: str = "litert",
    workspace: Workspace | None = None,
    image: str = "",
    name: str = "",
    size: Size | None = None,
    compute_target_name: str = "",
    identity: str = "",
) -> Service:
    """A running service of `model`; returns when it answers.

    `local`: `model` is a folder and the result has `reload()`. The others: `model` is a registered one, `<name>:<version>`
    and `image` a scoring image in the healthy registry, by digest. `aks` wants the attached cluster (`compute_target_name`).
    `aci` wants the resource id of a user-assigned identity that may pull the image and read the blobs of the model's datastore
    (`identity`); the container fetches the model when it starts, for nothing mounts one.
    """
    if target == "local":
        service = LocalService(script, Path(model), port=port, warm=warm)
        service.start()
        return service
    if workspace is None or "@sha256:" not in image or not name:
        raise DeployError(
            f"target {target!r} needs a workspace, a name, and an image by digest (repository@sha256:...)"
        )
    if target == "aks" and not compute_target_name:
        raise DeployError("target 'aks' needs compute_target_name: the cluster as it is attached to the workspace")
    if target == "aci" and not identity:
        raise DeployError(
            "target 'aci' needs identity: the resource id of the one that pulls the image and reads the model"
        )
    from scoring import azure_targets

    request = azure_targets.Request(str(model), workspace, image, name, size or Size(), compute_target_name, identity)
    return azure_targets.start(target, request)
