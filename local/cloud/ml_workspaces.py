"""The emulated workspaces and their computes: those of infra/data/workspaces.json, plain and once an environment."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from local import world
from local.cloud.arm import GROUP, ArmCall, ArmRoutes
from local.cloud.errors import ArmError

WORKSPACE = GROUP + "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
HISTORY_HOST = f"{world.LOCATION}.api.azureml.ms"

_DATA = Path(__file__).parents[2] / "infra" / "data" / "workspaces.json"
_CLUSTER = f"{world.GROUP_ID}/providers/Microsoft.ContainerService/managedClusters/aks-tidegate"
_INSTANCE_TYPES = {
    "defaultinstancetype": {
        "nodeSelector": {"workload": "inference"},
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
    }
}
"""As infra/modules/kubernetes-attachment.bicep makes them."""


class Workspaces:
    """What there is; found without case."""

    def __init__(self) -> None:
        stored = json.loads(_DATA.read_text())["workspaces"]
        self._workspaces: dict[str, Mapping[str, Any]] = {}
        for each in stored:
            for name in (each["name"], *(f"{each['name']}-{one}" for one in world.ENVIRONMENTS)):
                self._workspaces[name] = {**each, "name": name}

    def names(self) -> tuple[str, ...]:
        """All of them, in lower case."""
        return tuple(self._workspaces)

    def find(self, name: str) -> Mapping[str, Any]:
        """A workspace as the data file describes it; else ArmError 404."""
        found = self._workspaces.get(name.lower())
        if found is None:
            kind = "Microsoft.MachineLearningServices/workspaces"
            raise ArmError(404, "ResourceNotFound", f"The Resource '{kind}/{name}' was not found.")
        return found

    def name(self, call: ArmCall) -> str:
        """The name, in its own case, of the workspace that a call is about; else ArmError 404."""
        return str(self.find(call.names["workspace"])["name"])

    def by_guid(self, guid: str) -> str | None:
        """The workspace that a `workspaceId` is of."""
        return next((name for name in self._workspaces if workspace_guid(name) == guid.lower()), None)

    def compute(self, workspace: str, name: str) -> Mapping[str, Any] | None:
        """A compute as ARM shows it, without its id; None: there is none of this name."""
        if name.lower() == world.KUBERNETES:
            properties = {"defaultInstanceType": "defaultinstancetype", "instanceTypes": _INSTANCE_TYPES}
            return {
                "name": world.KUBERNETES,
                "properties": {
                    "computeType": "Kubernetes",
                    "provisioningState": "Succeeded",
                    "resourceId": _CLUSTER,
                    "isAttachedCompute": True,
                    "properties": {**properties, "namespace": "default"},
                },
            }
        computes = self.find(workspace)["computes"]
        found = next((each for each in computes if each["name"].lower() == name.lower()), None)
        return None if found is None else {"name": found["name"], "properties": _cluster(found)}

    def install(self, arm: ArmRoutes) -> None:
        """Add the routes that read workspaces and computes."""
        arm.add("GET", WORKSPACE, self._get)
        arm.add("GET", f"{WORKSPACE}/computes/{{compute}}", self._get_compute)

    async def _get(self, call: ArmCall) -> web.Response:
        name = self.name(call)
        properties = {
            "friendlyName": name,
            "workspaceId": workspace_guid(name),
            "discoveryUrl": f"https://{HISTORY_HOST}/discovery",
            "mlFlowTrackingUri": f"azureml://{HISTORY_HOST}/mlflow/v1.0{world.workspace_id(name)}",
            "storageAccount": world.STORAGE_ACCOUNT_ID,
            "provisioningState": "Succeeded",
            "publicNetworkAccess": "Enabled",
        }
        return web.json_response(
            {
                "id": world.workspace_id(name),
                "name": name,
                "type": "Microsoft.MachineLearningServices/workspaces",
                "location": world.LOCATION,
                "tags": {},
                "identity": {"type": "SystemAssigned", "principalId": str(uuid.uuid5(uuid.NAMESPACE_DNS, name))},
                "kind": "Default",
                "sku": {"name": "Basic", "tier": "Basic"},
                "properties": properties,
            }
        )

    async def _get_compute(self, call: ArmCall) -> web.Response:
        workspace, wanted = self.name(call), call.names["compute"]
        found = self.compute(workspace, wanted)
        if found is None:
            raise ArmError(404, "ResourceNotFound", f"The compute '{wanted}' was not found in '{workspace}'.")
        identity = f"{world.workspace_id(workspace)}/computes/{found['name']}"
        kind = "Microsoft.MachineLearningServices/workspaces/computes"
        return web.json_response({"id": identity, "type": kind, "location": world.LOCATION, **found})


def workspace_guid(name: str) -> str:
    """`workspaceId` of a workspace, which asset ids across workspaces name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _cluster(found: Mapping[str, Any]) -> dict[str, Any]:
    scale = {"minNodeCount": found["minNodes"], "maxNodeCount": found["maxNodes"]}
    return {
        "computeType": "AmlCompute",
        "provisioningState": "Succeeded",
        "properties": {
            "vmSize": found["vmSize"],
            "vmPriority": found["tier"],
            "scaleSettings": {**scale, "nodeIdleTimeBeforeScaleDown": found["idleTime"]},
            "remoteLoginPortPublicAccess": "Disabled",
        },
    }
