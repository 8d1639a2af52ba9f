"""Container groups as values: the body of the PUT, and what a GET of a group says. Pure.

Unverified against live Azure: the words of a group's events, which are only shown to people.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.adapters.serving import container_boot
from tidegate.adapters.serving.deployment_assets import PORT
from tidegate.adapters.serving.online_bodies import properties_of
from tidegate.flows.models.model_facts import Candidate, Weights
from tidegate.flows.models.model_gate import Instance, Target
from tidegate.model_ports import DeploymentSeen

ENDPOINT, DEPLOYMENT, MODEL, TRAFFIC = "tidegate.endpoint", "tidegate.deployment", "tidegate.model", "tidegate.traffic"
"""Tags of a group: which endpoint it is of, what it is called there, what it serves, and whether it takes traffic (100)."""
MODEL_FOLDER = "/var/azureml-app/model"
LONGEST = 63
"""Characters of a group's name, and of a DNS label."""
_RESTARTS = 3
"""Starts after which a container that ends each time is given up on."""
_GB = 1 << 30


def group_name(endpoint: str, deployment: str) -> str:
    """Of the group, and its DNS label. Where it is too long, it loses the end of the hash that a deployment's name ends with."""
    return f"{endpoint}-{deployment}".lower()[:LONGEST].rstrip("-")


def new_group(
    target: Target,
    deployment: str,
    location: str,
    candidate: Candidate,
    instance: Instance,
    *,
    files: Sequence[tuple[str, str, int]],
    identity: str,
    subnet: str,
) -> dict[str, Any]:
    """A group that serves this version. `files`: path, address and bytes of each; `identity` pulls the image and reads them."""
    name = group_name(target.endpoint, deployment)
    ports = [{"protocol": "TCP", "port": PORT}]
    container = {
        "image": candidate.image,
        "command": ["python", "-c", inspect.getsource(container_boot)],
        "ports": ports,
        "environmentVariables": _environment(candidate, files, identity),
        "resources": {"requests": {"cpu": instance.cpu, "memoryInGB": round(instance.memory / _GB, 2)}},
        "volumeMounts": [{"name": "model", "mountPath": MODEL_FOLDER}],
    }
    properties: dict[str, Any] = {
        "osType": "Linux",
        "sku": "Standard",
        "restartPolicy": "Always",
        "containers": [{"name": "scoring", "properties": container}],
        "volumes": [{"name": "model", "emptyDir": {}}],
        "ipAddress": {"type": "Public", "dnsNameLabel": name, "ports": ports},
    }
    if subnet:
        properties |= {"subnetIds": [{"id": subnet}], "ipAddress": {"type": "Private", "ports": ports}}
    body: dict[str, Any] = {"location": location, "properties": properties}
    if identity:
        body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
        properties["imageRegistryCredentials"] = [{"server": candidate.image.partition("/")[0], "identity": identity}]
    tags = {ENDPOINT: target.endpoint, DEPLOYMENT: deployment, MODEL: str(candidate.model), TRAFFIC: "0"}
    return {**body, "tags": tags}


def _environment(candidate: Candidate, files: Sequence[tuple[str, str, int]], identity: str) -> list[dict[str, str]]:
    """What the gate sets comes first, so that it cannot take the place of what the server needs."""
    fixed = {"AZUREML_MODEL_DIR": MODEL_FOLDER, "TIDEGATE_PORT": str(PORT), "AML_APP_INSIGHTS_ENABLED": "false"}
    if candidate.script:
        directory, _, script = candidate.script.rpartition("/")
        fixed |= {"AML_APP_ROOT": f"{MODEL_FOLDER}/{directory}".rstrip("/"), "AZUREML_ENTRY_SCRIPT": script}
    if identity:
        fixed["TIDEGATE_IDENTITY"] = identity
    given = {**dict(candidate.environment), **fixed}
    listed = json.dumps([[path, address, str(size)] for path, address, size in files])
    return [
        *({"name": name, "value": value} for name, value in given.items()),
        {"name": "TIDEGATE_FILES", "secureValue": listed},  # addresses may be signed
    ]


def weights_of(groups: Sequence[Mapping[str, Any]]) -> Weights:
    """Who serves, by the groups' tags."""
    tags = [group.get("tags") or {} for group in groups]
    return Weights(tuple(sorted((each[DEPLOYMENT], 100) for each in tags if each.get(TRAFFIC) == "100")))


def address_of(group: Mapping[str, Any]) -> str:
    """`http://host:port`; empty: it has none yet."""
    found = properties_of(group).get("ipAddress") or {}
    host = str(found.get("fqdn") or (found.get("ip") if found.get("type") == "Private" else "") or "")
    return f"http://{host}:{PORT}" if host else ""


def seen(group: Mapping[str, Any] | None) -> DeploymentSeen:
    """As far as a GET says: `ready` means that its container runs, not yet that the server answers."""
    if group is None:
        return DeploymentSeen("missing", "", "")
    state = str(properties_of(group).get("provisioningState") or "").lower()
    if state in ("failed", "unhealthy", "canceled"):
        return DeploymentSeen("failed", *_fault(group))
    container = _container(group)
    current = str((container.get("currentState") or {}).get("state") or "").lower()
    if current != "running" and int(container.get("restartCount") or 0) >= _RESTARTS:
        return DeploymentSeen("failed", *_fault(group))
    return DeploymentSeen("ready" if state == "succeeded" and current == "running" else "busy", "", "")


def _container(group: Mapping[str, Any]) -> Mapping[str, Any]:
    """The instance view of the one container; empty: not told."""
    containers = properties_of(group).get("containers") or [{}]
    view: Mapping[str, Any] = properties_of(containers[0]).get("instanceView") or {}
    return view


def _fault(group: Mapping[str, Any]) -> tuple[str, str]:
    """Code and reason, by the newest warning, or by how the container ended."""
    container = _container(group)
    events = [*(container.get("events") or ()), *((properties_of(group).get("instanceView") or {}).get("events") or ())]
    warnings = [each for each in events if str(each.get("type") or "").lower() != "normal"]
    if warnings:
        newest = max(warnings, key=lambda each: str(each.get("lastTimestamp") or ""))
        return str(newest.get("name") or "Failed"), " ".join(str(newest.get("message") or "").split())[:300]
    state = container.get("previousState") or container.get("currentState") or {}
    ended = f"the container ended with exit code {state.get('exitCode')}" if "exitCode" in state else "it did not start"
    return str(state.get("detailStatus") or "Failed"), ended
