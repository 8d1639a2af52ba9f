"""Services on Azure: online endpoints of Azure ML (managed, or on attached Kubernetes), and a container instance.

Unverified against live Azure; the requests are those of azure-ai-ml 1.35 and of the ARM API that infra/ uses.
"""

from __future__ import annotations

import dataclasses
import time
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from scoring.deploy import Service, Size, Workspace

_PORT = 5001
_ACI_API = "2025-09-01"


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


def start(target: Literal["aci", "aks", "managed"], request: Request, *, client: Any = None) -> Service:
    """Returns when Azure says that it runs. `client` is azure-ai-ml's, or an ARM pipeline for `aci`; by default made here."""
    match target:
        case "managed" | "aks":
            return _endpoint(target, request, client or ml_client(request.workspace))
        case "aci":
            return _instance(request, client or arm_client())


def ml_client(workspace: Workspace) -> Any:
    """As the identity of whoever calls."""
    from azure.ai.ml import MLClient
    from azure.identity import DefaultAzureCredential

    return MLClient(DefaultAzureCredential(), workspace.subscription_id, workspace.resource_group, workspace.name)


def arm_client() -> Any:
    """Azure Resource Manager, as the identity of whoever calls."""
    from azure.identity import DefaultAzureCredential
    from azure.mgmt.core import ARMPipelineClient
    from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

    authenticate = ARMChallengeAuthenticationPolicy(DefaultAzureCredential(), "https://management.azure.com/.default")
    return ARMPipelineClient("https://management.azure.com", policies=[authenticate])


# -- Endpoints of Azure ML


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """An online endpoint with one deployment that takes all traffic."""

    client: Any
    name: str
    scoring_uri: str

    def score(self, image: bytes, timeout: float = 60.0) -> bytes:
        """Our own request: the SDK's `invoke` sends files, and remembers a deployment's name from one call to the next."""
        key = self.client.online_endpoints.get_keys(self.name)
        token = getattr(key, "primary_key", None) or key.access_token
        headers = {"Content-Type": "application/octet-stream", "Authorization": f"Bearer {token}"}
        return _post(self.scoring_uri, image, headers, timeout)

    def stop(self) -> None:
        """Deletes the endpoint with its deployment."""
        self.client.online_endpoints.begin_delete(self.name).result()


def _endpoint(target: Literal["aks", "managed"], request: Request, client: Any) -> Endpoint:
    endpoint, deployment = (kubernetes if target == "aks" else managed)(request)
    client.online_endpoints.begin_create_or_update(endpoint).result()
    client.online_deployments.begin_create_or_update(deployment).result()
    endpoint.traffic = {deployment.name: 100}
    return Endpoint(client, request.name, client.online_endpoints.begin_create_or_update(endpoint).result().scoring_uri)


def managed(request: Request) -> tuple[Any, Any]:
    """Entities of a managed online endpoint."""
    from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint

    endpoint = ManagedOnlineEndpoint(name=request.name, auth_mode="key")
    deployment = ManagedOnlineDeployment(
        name="blue",
        endpoint_name=request.name,
        model=_model_id(request.model),
        environment=environment(request.image),
        instance_type=request.size.instance_type,
        instance_count=request.size.replicas,
    )
    return endpoint, deployment


def kubernetes(request: Request) -> tuple[Any, Any]:
    """Entities of an endpoint on an attached cluster: fixed replicas, or as many as the load asks for."""
    from azure.ai.ml.entities import (
        KubernetesOnlineDeployment,
        KubernetesOnlineEndpoint,
        ResourceRequirementsSettings,
        ResourceSettings,
        TargetUtilizationScaleSettings,
    )

    size = request.size
    endpoint = KubernetesOnlineEndpoint(name=request.name, auth_mode="key", compute=request.compute_target_name)
    needs = ResourceSettings(
        cpu=f"{size.cpu:g}", memory=f"{size.memory_gb:g}Gi", gpu=str(size.gpus) if size.gpus else None
    )
    scales = size.most_replicas > size.replicas
    deployment = KubernetesOnlineDeployment(
        name="blue",
        endpoint_name=request.name,
        model=_model_id(request.model),
        environment=environment(request.image),
        resources=ResourceRequirementsSettings(requests=needs, limits=needs),
        instance_count=None if scales else size.replicas,
        scale_settings=TargetUtilizationScaleSettings(
            min_instances=size.replicas,
            max_instances=size.most_replicas,
            target_utilization_percentage=size.target_utilization,
            polling_interval=10,
        )
        if scales
        else None,
    )
    return endpoint, deployment


def environment(image: str) -> Any:
    """The image as it is, with the routes of the inference server; Azure ML builds nothing on top."""
    from azure.ai.ml.entities import Environment

    route = {"port": _PORT, "path": "/"}
    routes = {"liveness_route": route, "readiness_route": route, "scoring_route": {"port": _PORT, "path": "/score"}}
    return Environment(image=image, inference_config=routes)


def _model_id(model: str) -> str:
    return model if model.startswith("azureml:") or "/" in model else f"azureml:{model}"


# -- A container instance


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """A container group with a public name, for a trial: no key guards it."""

    client: Any
    url: str
    scoring_uri: str

    def score(self, image: bytes, timeout: float = 60.0) -> bytes:
        """The answer to one image."""
        return _post(self.scoring_uri, image, {"Content-Type": "application/octet-stream"}, timeout)

    def stop(self) -> None:
        """Deletes the group; one that is gone already is as good."""
        from azure.core.rest import HttpRequest

        answer = self.client.send_request(HttpRequest("DELETE", self.url))
        if answer.status_code != HTTPStatus.NOT_FOUND:
            answer.raise_for_status()


def _instance(request: Request, client: Any, wait: float = 10.0, attempts: int = 90) -> Instance:
    from azure.core.rest import HttpRequest

    where = request.workspace
    url = (
        f"https://management.azure.com/subscriptions/{where.subscription_id}/resourceGroups/{where.resource_group}"
        f"/providers/Microsoft.ContainerInstance/containerGroups/{request.name}?api-version={_ACI_API}"
    )
    answer = client.send_request(HttpRequest("PUT", url, json=container_group(request)))
    answer.raise_for_status()
    for _ in range(attempts):
        group = client.send_request(HttpRequest("GET", url)).json()
        match group["properties"]["provisioningState"]:
            case "Succeeded":
                host = group["properties"]["ipAddress"]["fqdn"]
                return Instance(client, url, f"http://{host}:{_PORT}/score")
            case "Failed" | "Unhealthy" | "Canceled" as state:
                raise RuntimeError(f"container group {request.name}: {state}; its events say why")
            case _:
                time.sleep(wait)
    raise TimeoutError(f"container group {request.name} did not start within {wait * attempts:.0f} s")


def container_group(request: Request) -> dict[str, Any]:
    """The body of the PUT, as in infra/modules/scoring-container.bicep: the identity pulls the image, no password does."""
    probe = {"httpGet": {"path": "/", "port": _PORT, "scheme": "http"}, "initialDelaySeconds": 10, "periodSeconds": 10}
    container = {
        "name": "scoring",
        "properties": {
            "image": request.image,
            "ports": [{"protocol": "TCP", "port": _PORT}],
            "resources": {"requests": {"cpu": request.size.cpu, "memoryInGB": request.size.memory_gb}},
            "readinessProbe": probe,
        },
    }
    address = {"type": "Public", "dnsNameLabel": request.name, "ports": [{"protocol": "TCP", "port": _PORT}]}
    properties = {
        "osType": "Linux",
        "restartPolicy": "Always",
        "imageRegistryCredentials": [{"server": request.image.partition("/")[0], "identity": request.identity}],
        "containers": [container],
        "ipAddress": address,
    }
    identity = {"type": "UserAssigned", "userAssignedIdentities": {request.identity: {}}}
    return {"location": request.workspace.location, "identity": identity, "properties": properties}


def _post(url: str, body: bytes, headers: dict[str, str], timeout: float) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=timeout) as answer:
        content: bytes = answer.read()
        return content
