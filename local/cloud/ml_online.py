"""What the emulated workspaces know of online endpoints and their deployments: kept on disk, shown in the shapes of ARM."""

from __future__ import annotations

import dataclasses
import re
import secrets
import uuid
from collections.abc import Iterator
from typing import Any

from local import world
from local.cloud.errors import ArmError, ServiceError
from local.cloud.ml_jobs import now
from local.cloud.state import StateFile

BUSY = frozenset({"Creating", "Updating", "Deleting"})
"""States in which an operation of the resource is in progress."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]")
_KIND = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"


@dataclasses.dataclass(slots=True)
class Deployment:
    """One deployment. `body` is what the client put: properties, sku, tags, location, identity."""

    name: str
    body: dict[str, Any]
    state: str = "Creating"
    error: dict[str, str] | None = None
    created: str = dataclasses.field(default_factory=now)
    changed: str = dataclasses.field(default_factory=now)
    serves: dict[str, Any] | None = None
    """The body that it serves by: that of the last operation which succeeded."""
    operation: str = ""
    """Where the last operation tells how it went."""

    @property
    def properties(self) -> dict[str, Any]:
        properties: dict[str, Any] = self.body["properties"]
        return properties

    @property
    def capacity(self) -> int:
        return int((self.body.get("sku") or {}).get("capacity") or 1)

    def failed(self, refusal: ServiceError) -> None:
        """The operation came to nothing."""
        self.state, self.changed = "Failed", now()
        self.error = {"code": refusal.code, "message": refusal.message}

    def resource(self, endpoint: Endpoint) -> dict[str, Any]:
        """As ARM shows it. Why one failed only the operation says, which `properties.properties` names."""
        defaults = {
            "appInsightsEnabled": False,
            "environmentVariables": {},
            "scaleSettings": {"scaleType": "Default"},  # the SDK cannot do without it
            "requestSettings": {
                "maxConcurrentRequestsPerInstance": 1,
                "requestTimeout": "PT5S",
                "maxQueueWait": "PT0.5S",
            },
        }
        properties = defaults | {key: value for key, value in self.properties.items() if value is not None}
        properties["properties"] = _noted(self.properties, self.operation)
        return {
            "id": f"{endpoint.id}/deployments/{self.name}",
            "name": self.name,
            "type": f"{_KIND}/deployments",
            "kind": self.properties.get("endpointComputeType", "Managed"),
            "location": self.body.get("location") or world.LOCATION,
            "tags": self.body.get("tags") or {},
            "identity": self.body.get("identity"),
            "sku": {"name": "Default", "capacity": self.capacity},
            "properties": {**properties, "provisioningState": self.state},
            "systemData": _system_data(self.created, self.changed),
        }


@dataclasses.dataclass(slots=True)
class Endpoint:
    """One endpoint. `body` is what the client put; its traffic is what is applied, not what was asked for."""

    workspace: str
    name: str
    body: dict[str, Any]
    state: str = "Creating"
    traffic: dict[str, int] = dataclasses.field(default_factory=dict)
    mirror: dict[str, int] = dataclasses.field(default_factory=dict)
    keys: dict[str, str] = dataclasses.field(default_factory=dict)
    created: str = dataclasses.field(default_factory=now)
    changed: str = dataclasses.field(default_factory=now)
    deployments: dict[str, Deployment] = dataclasses.field(default_factory=dict)
    """By name in lower case."""
    operation: str = ""
    """Where the last operation tells how it went."""

    @property
    def id(self) -> str:
        return f"{world.workspace_id(self.workspace)}/onlineEndpoints/{self.name}"

    @property
    def host(self) -> str:
        return f"{self.name}.{world.LOCATION}.inference.ml.azure.com".lower()

    @property
    def compute(self) -> str:
        """Name of its Kubernetes compute; empty: it is a managed one."""
        return str(self.body["properties"].get("compute") or "").rstrip("/").rpartition("/")[2]

    @property
    def auth_mode(self) -> str:
        """`key`, `amltoken` or `aadtoken`."""
        return str(self.body["properties"].get("authMode") or "Key").lower()

    def deployment(self, name: str) -> Deployment:
        """ArmError 404: there is none of this name."""
        found = self.deployments.get(name.lower())
        if found is None:
            message = f"The deployment '{name}' was not found in the endpoint '{self.name}'."
            raise ArmError(404, "ResourceNotFound", message)
        return found

    def failed(self, _refusal: ServiceError) -> None:
        """The operation came to nothing; the traffic is what it was."""
        self.state, self.changed = "Failed", now()

    def resource(self) -> dict[str, Any]:
        """As ARM shows it."""
        given = self.body["properties"]
        own = {
            "authMode": given.get("authMode") or "Key",
            "description": given.get("description"),
            "properties": _noted(given, self.operation),
            "publicNetworkAccess": given.get("publicNetworkAccess") or "Enabled",
            "compute": given.get("compute"),
            "traffic": self.traffic,
            "mirrorTraffic": self.mirror,
            "scoringUri": f"https://{self.host}/score",
            "swaggerUri": f"https://{self.host}/swagger.json",
            "provisioningState": self.state,
        }
        return {
            "id": self.id,
            "name": self.name,
            "type": _KIND,
            "kind": "Kubernetes" if self.compute else "Managed",
            "location": self.body.get("location") or world.LOCATION,
            "tags": self.body.get("tags") or {},
            "identity": _identity(self),
            "properties": {key: value for key, value in own.items() if value is not None},
            "systemData": _system_data(self.created, self.changed),
        }


class Online:
    """All endpoints of all workspaces."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._endpoints = {raw["name"].lower(): _endpoint(raw) for raw in state.value.get("endpoints", ())}

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(tuple(self._endpoints.values()))

    def find(self, workspace: str, name: str) -> Endpoint:
        """ArmError 404: the workspace has none of this name."""
        found = self._endpoints.get(name.lower())
        if found is None or found.workspace != workspace:
            raise ArmError(404, "ResourceNotFound", f"The online endpoint '{name}' was not found in '{workspace}'.")
        return found

    def by_name(self, name: str) -> Endpoint | None:
        """The one endpoint of the region that has this name."""
        return self._endpoints.get(name.lower())

    def add(self, endpoint: Endpoint) -> None:
        """ArmError 400: the name is taken, be it by another workspace (unverified: the code)."""
        if endpoint.name.lower() in self._endpoints:
            raise ArmError(
                400, "EndpointAlreadyExists", f"The endpoint name '{endpoint.name}' is taken in {world.LOCATION}."
            )
        endpoint.keys = {"primaryKey": secrets.token_urlsafe(24), "secondaryKey": secrets.token_urlsafe(24)}
        self._endpoints[endpoint.name.lower()] = endpoint
        self.save()

    def remove(self, endpoint: Endpoint) -> None:
        """Twice: the same."""
        self._endpoints.pop(endpoint.name.lower(), None)
        self.save()

    def save(self) -> None:
        self._state.value["endpoints"] = [dataclasses.asdict(each) for each in self._endpoints.values()]
        self._state.save()


def require_name(name: str) -> None:
    """Of endpoints and deployments. ArmError 400: it is not 3-32 letters, digits and -, with a letter first."""
    if not _NAME.fullmatch(name):
        raise ArmError(400, "BadArgument", f"The name '{name}' is not 3-32 letters, digits and -, with a letter first.")


def _endpoint(raw: dict[str, Any]) -> Endpoint:
    deployments = {name: Deployment(**each) for name, each in raw.pop("deployments").items()}
    return Endpoint(**raw, deployments=deployments)


def _identity(endpoint: Endpoint) -> dict[str, Any] | None:
    identity = endpoint.body.get("identity")
    if not identity or identity.get("type") != "SystemAssigned":
        return identity
    return {**identity, "principalId": str(uuid.uuid5(uuid.NAMESPACE_URL, endpoint.id)), "tenantId": world.TENANT}


def _noted(properties: dict[str, Any], operation: str) -> dict[str, Any]:
    """As Azure's own examples show it; its name has no other source."""
    return {**(properties.get("properties") or {}), **({"AzureAsyncOperationUri": operation} if operation else {})}


def _system_data(created: str, changed: str) -> dict[str, str]:
    return {"createdAt": created, "createdByType": "Application", "lastModifiedAt": changed}
