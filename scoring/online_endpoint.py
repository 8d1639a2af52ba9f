"""Online endpoints of Azure ML: managed, or on a Kubernetes cluster that is attached to the workspace."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any, Literal

from scoring.azure_targets import PORT, Request, post


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
        return post(self.scoring_uri, image, headers, timeout)

    def stop(self) -> None:
        """Deletes the endpoint with its deployment; one that is gone already is as good."""
        from azure.core.exceptions import ResourceNotFoundError

        with contextlib.suppress(ResourceNotFoundError):
            self.client.online_endpoints.begin_delete(self.name).result()


def create(target: Literal["aks", "managed"], request: Request, client: Any) -> Endpoint:
    """With its deployment and all traffic on it; `client` is azure-ai-ml's."""
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

    route = {"port": PORT, "path": "/"}
    routes = {"liveness_route": route, "readiness_route": route, "scoring_route": {"port": PORT, "path": "/score"}}
    return Environment(image=image, inference_config=routes)


def _model_id(model: str) -> str:
    return model if model.startswith("azureml:") or "/" in model else f"azureml:{model}"
