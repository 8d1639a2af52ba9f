"""A container instance that serves a model: for a trial, where there is no cluster yet."""

from __future__ import annotations

import dataclasses
import json
import time
from http import HTTPStatus
from typing import Any

from scoring import fetch_model
from scoring.azure_targets import PORT, Request, post
from scoring.model_files import Files

_ACI_API = "2025-09-01"


def arm_client() -> Any:
    """Azure Resource Manager, as the identity of whoever calls."""
    from azure.identity import DefaultAzureCredential
    from azure.mgmt.core import ARMPipelineClient
    from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

    authenticate = ARMChallengeAuthenticationPolicy(DefaultAzureCredential(), "https://management.azure.com/.default")
    return ARMPipelineClient("https://management.azure.com", policies=[authenticate])


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """A container group with a public name, for a trial: no key guards it."""

    client: Any
    url: str
    scoring_uri: str

    def score(self, image: bytes, timeout: float = 60.0) -> bytes:
        """The answer to one image."""
        return post(self.scoring_uri, image, {"Content-Type": "application/octet-stream"}, timeout)

    def stop(self) -> None:
        """Deletes the group; one that is gone already is as good."""
        from azure.core.rest import HttpRequest

        answer = self.client.send_request(HttpRequest("DELETE", self.url))
        if answer.status_code != HTTPStatus.NOT_FOUND:
            answer.raise_for_status()


def create(request: Request, client: Any, files: Files, wait: float = 10.0, attempts: int = 90) -> Instance:
    """Returns when the group's container runs; `client` is an ARM pipeline. `files`: what the container fetches."""
    from azure.core.rest import HttpRequest

    where = request.workspace
    url = (
        f"https://management.azure.com/subscriptions/{where.subscription_id}/resourceGroups/{where.resource_group}"
        f"/providers/Microsoft.ContainerInstance/containerGroups/{request.name}?api-version={_ACI_API}"
    )
    answer = client.send_request(HttpRequest("PUT", url, json=container_group(request, files)))
    answer.raise_for_status()
    for _ in range(attempts):
        group = client.send_request(HttpRequest("GET", url)).json()
        match group["properties"]["provisioningState"]:
            case "Succeeded":
                host = group["properties"]["ipAddress"]["fqdn"]
                return Instance(client, url, f"http://{host}:{PORT}/score")
            case "Failed" | "Unhealthy" | "Canceled" as state:
                raise RuntimeError(f"container group {request.name}: {state}; its events say why")
            case _:
                time.sleep(wait)
    raise TimeoutError(f"container group {request.name} did not start within {wait * attempts:.0f} s")


def container_group(request: Request, files: Files) -> dict[str, Any]:
    """The body of the PUT, as in infra's scoring-container.bicep; the identity pulls the image and reads the model's files."""
    probe = {"httpGet": {"path": "/", "port": PORT, "scheme": "http"}, "initialDelaySeconds": 10, "periodSeconds": 10}
    container = {
        "name": "scoring",
        "properties": {
            "image": request.image,
            "command": ["python", "-m", "scoring.fetch_model"],
            "environmentVariables": [
                {"name": "AZUREML_MODEL_DIR", "value": fetch_model.FOLDER},
                {"name": fetch_model.IDENTITY, "value": request.identity},
                {"name": fetch_model.FILES, "value": json.dumps(files)},
            ],
            "volumeMounts": [{"name": "model", "mountPath": fetch_model.FOLDER}],
            "ports": [{"protocol": "TCP", "port": PORT}],
            "resources": {"requests": {"cpu": request.size.cpu, "memoryInGB": request.size.memory_gb}},
            "readinessProbe": probe,
        },
    }
    address = {"type": "Public", "dnsNameLabel": request.name, "ports": [{"protocol": "TCP", "port": PORT}]}
    properties = {
        "osType": "Linux",
        "restartPolicy": "Always",
        "imageRegistryCredentials": [{"server": request.image.partition("/")[0], "identity": request.identity}],
        "containers": [container],
        "volumes": [{"name": "model", "emptyDir": {}}],
        "ipAddress": address,
    }
    identity = {"type": "UserAssigned", "userAssignedIdentities": {request.identity: {}}}
    return {"location": request.workspace.location, "identity": identity, "properties": properties}
