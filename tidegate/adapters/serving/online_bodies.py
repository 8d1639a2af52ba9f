"""What is sent to make endpoints and deployments, and what their GETs say: pure, from values to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tidegate.flows.models.model_facts import Candidate, Weights
from tidegate.flows.models.model_gate import Instance, Target

type State = Literal["ready", "busy", "failed", "missing"]

_KEPT = ("authMode", "compute", "description", "publicNetworkAccess")
"""Properties of an endpoint that a change of its traffic must repeat; what is left out of a PUT is gone."""
_GIB = 1 << 30


def state_of(resource: Mapping[str, Any] | None) -> State:
    """By provisioningState: Creating, Updating, Scaling, Deleting, Succeeded, Failed, Canceled (azure-ai-ml)."""
    if resource is None:
        return "missing"
    match str(properties_of(resource).get("provisioningState") or "").lower():
        case "succeeded":
            return "ready"
        case "failed" | "canceled":
            return "failed"
        case _:
            return "busy"


def is_leaving(resource: Mapping[str, Any]) -> bool:
    """Whether it is being deleted."""
    return str(properties_of(resource).get("provisioningState") or "").lower() == "deleting"


def weights_of(endpoint: Mapping[str, Any]) -> Weights:
    """As the endpoint has them; without deployments that get nothing."""
    properties = properties_of(endpoint)
    return Weights(_shares(properties.get("traffic")), _shares(properties.get("mirrorTraffic")))


def new_endpoint(target: Target, location: str, workspace_id: str, identity: str) -> dict[str, Any]:
    """An endpoint with keys and without traffic. Empty identity: one of its own."""
    properties: dict[str, Any] = {"authMode": "Key", "properties": {}, "traffic": {}, "mirrorTraffic": {}}
    if target.kind == "kubernetes":
        properties["compute"] = f"{workspace_id}/computes/{target.compute}"
    assigned = {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    return {
        "location": location,
        "properties": properties,
        "identity": assigned if identity else {"type": "SystemAssigned"},
        "tags": {"tidegate": "model-delivery"},
    }


def with_weights(endpoint: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    """The endpoint as it is, but for its traffic: there is no ETag, so the whole of the division is written each time."""
    known = properties_of(endpoint)
    kept = {name: known[name] for name in _KEPT if known.get(name) is not None}
    noted = {name: value for name, value in (known.get("properties") or {}).items() if not name.startswith("AzureA")}
    divided = {"traffic": dict(weights.live), "mirrorTraffic": dict(weights.mirror)}
    body: dict[str, Any] = {
        "location": endpoint.get("location"),
        "properties": {**kept, "properties": noted, **divided},
        **{name: endpoint[name] for name in ("tags", "kind", "sku") if endpoint.get(name)},
    }
    if identity := endpoint.get("identity"):
        assigned = identity.get("userAssignedIdentities") or {}
        body["identity"] = {"type": identity.get("type")}
        body["identity"] |= {"userAssignedIdentities": {name: {} for name in assigned}} if assigned else {}
    return body


def new_deployment(
    target: Target,
    location: str,
    candidate: Candidate,
    instance: Instance,
    *,
    environment: str,
    code: Mapping[str, str] | None,
) -> dict[str, Any]:
    """A deployment of exactly this version, image and code."""
    managed = target.kind == "managed"
    properties: dict[str, Any] = {
        "endpointComputeType": "Managed" if managed else "Kubernetes",
        "environmentId": environment,
        "model": candidate.asset,
        "environmentVariables": dict(candidate.environment),
        "properties": {},
        "appInsightsEnabled": False,
    }
    if code is not None:
        properties["codeConfiguration"] = dict(code)
    if instance.type:
        properties["instanceType"] = instance.type
    if not managed and instance.memory:
        needs = {"cpu": f"{instance.cpu:g}", "memory": f"{instance.memory / _GIB:g}Gi"}
        properties["containerResourceRequirements"] = {
            "containerResourceRequests": needs,
            "containerResourceLimits": needs,
        }
    return {
        "location": location,
        "properties": properties,
        "sku": {"name": "Default", "capacity": instance.count},
        "tags": {"tidegate.model": str(candidate.model), "tidegate.sha256": candidate.sha256},
    }


def properties_of(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """Empty: it has none."""
    properties = resource.get("properties")
    return properties if isinstance(properties, dict) else {}


def operation_link(resource: Mapping[str, Any]) -> str:
    """Where the service tells how the last change went; empty: it does not say (deploy-rest of azureml-examples)."""
    noted = properties_of(resource).get("properties")
    return str((noted if isinstance(noted, dict) else {}).get("AzureAsyncOperationUri") or "")


def _shares(traffic: Any) -> tuple[tuple[str, int], ...]:
    pairs = traffic.items() if isinstance(traffic, dict) else ()
    return tuple(sorted((str(name), int(share)) for name, share in pairs if share))
