"""Services on Azure: what all of them are asked for with, and which of them is meant.

Unverified against live Azure; the requests are those of azure-ai-ml 1.35 and of the ARM API that infra/ uses.
"""

from __future__ import annotations

import dataclasses
import urllib.request
from typing import TYPE_CHECKING, Any, Literal

from scoring.model_files import Files, files_of

if TYPE_CHECKING:
    from scoring.deploy import Service, Size, Workspace

PORT = 5001
"""Of the inference server."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What `deploy` was asked for."""

    model: str
    workspace: Workspace
    image: str
    name: str
    size: Size
    compute_target_name: str
    identity: str = ""


def start(
    target: Literal["aci", "aks", "managed"], request: Request, *, client: Any = None, files: Files | None = None
) -> Service:
    """Returns when Azure says that it runs. `client` is azure-ai-ml's, or an ARM pipeline for `aci`; by default made here.

    `files`: what a container instance fetches; by default asked from the workspace.
    """
    from scoring import container_instance, online_endpoint

    match target:
        case "managed" | "aks":
            return online_endpoint.create(target, request, client or ml_client(request.workspace))
        case "aci":
            wanted = files_of(request.model, ml_client(request.workspace)) if files is None else files
            return container_instance.create(request, client or container_instance.arm_client(), wanted)


def ml_client(workspace: Workspace) -> Any:
    """As the identity of whoever calls."""
    from azure.ai.ml import MLClient
    from azure.identity import DefaultAzureCredential

    return MLClient(DefaultAzureCredential(), workspace.subscription_id, workspace.resource_group, workspace.name)


def post(url: str, body: bytes, headers: dict[str, str], timeout: float) -> bytes:
    """The answer."""
    with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=timeout) as answer:
        content: bytes = answer.read()
        return content
