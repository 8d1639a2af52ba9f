"""Machine learning workspaces by name: their ids, what their region is, and which storage their datastores stand for."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.adapters.arm import Arm
from tidegate.errors import PermanentError
from tidegate.flows.models.model_gate import WorkspaceRef
from tidegate.references import ModelRef
from tidegate.settings import Settings

WORKSPACE_API = "2024-10-01-preview"
MODEL_API = "2023-08-01-preview"
JOB_API = "2024-01-01-preview"


@dataclasses.dataclass(frozen=True, slots=True)
class Workspace:
    """What never changes of a workspace."""

    id: str
    location: str
    guid: str


class Workspaces:
    """Those of this installation, and those that gates name elsewhere. May be shared by threads."""

    def __init__(self, settings: Settings, arm: Arm) -> None:
        self.arm = arm
        self._settings = settings
        self._known: dict[str, Any] = {}
        self._lock = threading.Lock()

    def id(self, workspace: WorkspaceRef) -> str:
        """ARM id."""
        return f"{self.group(workspace)}/providers/Microsoft.MachineLearningServices/workspaces/{workspace.name}"

    def group(self, workspace: WorkspaceRef) -> str:
        """ARM id of its resource group."""
        subscription = workspace.subscription or self._settings.subscription_id
        return (
            f"/subscriptions/{subscription}/resourceGroups/{workspace.resource_group or self._settings.resource_group}"
        )

    def find(self, workspace: WorkspaceRef) -> Workspace:
        """PermanentError: there is no such workspace."""
        identity = self.id(workspace)
        found = self._once(identity, lambda: self._read(identity, WORKSPACE_API, f"workspace {workspace.name}"))
        properties = _properties(found)
        return Workspace(identity, str(found.get("location") or ""), str(properties.get("workspaceId") or ""))

    def model(self, model: ModelRef) -> dict[str, Any]:
        """A version in the workspace it was registered in. PermanentError: there is none."""
        return self._read(self.model_id(WorkspaceRef(model.workspace), model), MODEL_API, f"model {model}")

    def model_id(self, workspace: WorkspaceRef, model: ModelRef) -> str:
        """ARM id that the version has, or would have, in a workspace."""
        return f"{self.id(workspace)}/models/{model.name}/versions/{model.version}"

    def datastore(self, workspace_id: str, name: str) -> Mapping[str, Any]:
        """Properties of a datastore. PermanentError: there is none."""
        place = f"{workspace_id}/datastores/{name}"
        return _properties(self._once(place, lambda: self._read(place, WORKSPACE_API, f"datastore {name}")))

    def secrets(self, workspace_id: str, name: str) -> Mapping[str, Any]:
        """What a datastore signs its calls with, for an hour; only asked of one that has a credential of its own."""
        place = f"{workspace_id}/datastores/{name}/listSecrets"
        body = {"expirableSecret": True, "expireAfterHours": 1}
        return self.arm.call("POST", place, WORKSPACE_API, f"datastore {name}", body)

    def job(self, workspace_id: str, name: str) -> Mapping[str, Any]:
        """Properties of a job. PermanentError: there is none."""
        return _properties(self._read(f"{workspace_id}/jobs/{name}", JOB_API, f"run {name}"))

    def _read(self, path: str, version: str, what: str) -> dict[str, Any]:
        found = self.arm.get(path, version, what)
        if found is None:
            raise PermanentError(f"{what}: there is none")
        return found

    def _once(self, key: str, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        with self._lock:
            if key in self._known:
                known: dict[str, Any] = self._known[key]
                return known
        found = read()
        with self._lock:
            self._known[key] = found
        return found


def _properties(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = resource.get("properties")
    return properties if isinstance(properties, dict) else {}
