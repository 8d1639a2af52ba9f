"""Container instances: an endpoint is the container groups that carry its name as a tag, one group a deployment.

A group cannot share traffic with another, nor take over its address: who serves is a tag, and whoever calls looks it up. No key
guards a group; it is for tests, where there is no cluster yet.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, override

from tidegate.adapters.arm import Arm
from tidegate.adapters.machine_learning.workspaces import Workspaces
from tidegate.adapters.serving import container_groups as groups
from tidegate.adapters.serving.azure_metrics import AzureMetrics
from tidegate.adapters.serving.scoring_requests import ScoringRequests
from tidegate.adapters.storage.blob_folders import Folder
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_facts import Candidate, Traffic, Weights
from tidegate.flows.models.model_gate import Instance, Target
from tidegate.model_ports import Answered, DeploymentSeen, Endpoints, EndpointSeen

API = "2025-09-01"
MOST_FILES = 200
"""Files of an artefact: their addresses are a variable of the container."""
_ALIVE_TIMEOUT = 3.0
_ADDRESSES = (".azurecontainer.io", ".azurecontainer.us", ".azurecontainer.cn")


class ContainerInstances(Endpoints):
    """The Endpoints port, for targets of the kind container-instance. May be shared by threads."""

    def __init__(
        self,
        workspaces: Workspaces,
        folder_of: Callable[[str], Folder],
        requests: ScoringRequests,
        metrics: AzureMetrics,
        identity: str,
        subnet: str = "",
    ) -> None:
        """`identity`: ARM id of the user-assigned identity of the groups. `subnet`: ARM id; empty: public addresses."""
        self._workspaces = workspaces
        self._folder_of = folder_of
        self._requests = requests
        self._metrics = metrics
        self._identity = identity
        self._subnet = subnet

    @override
    def ensure(self, target: Target) -> EndpointSeen:
        """There is nothing to make: an endpoint without groups is an endpoint."""
        return self.look(target)

    @override
    def look(self, target: Target) -> EndpointSeen:
        return EndpointSeen("ready", "", groups.weights_of(self._all(target)))

    @override
    def shift(self, target: Target, weights: Weights) -> None:
        """First the new one is marked, then the old ones are not any more: at no time does nobody serve."""
        wanted = dict(weights.live)
        if weights.mirror or sorted(wanted.values()) not in ([], [100]):
            raise PermanentError("container instances do not share traffic: one deployment serves all of it")
        found = self._all(target)
        if missing := wanted.keys() - {each["tags"][groups.DEPLOYMENT] for each in found}:
            raise PermanentError(f"deployment {min(missing)}: it is not there")
        for each in sorted(found, key=lambda group: group["tags"][groups.DEPLOYMENT] not in wanted):
            self._mark(each, "100" if each["tags"][groups.DEPLOYMENT] in wanted else "0")

    @override
    def create(self, target: Target, deployment: str, candidate: Candidate, instance: Instance) -> None:
        found = self._get(target, deployment)
        if found is not None:
            tags = found.get("tags") or {}
            if (tags.get(groups.ENDPOINT), tags.get(groups.MODEL)) != (target.endpoint, str(candidate.model)):
                raise PermanentError(f"NameTaken: container group {self._name(target, deployment)} is another one's")
            if groups.seen(found).state != "failed":
                return
            self.remove(target, deployment)  # a group that failed cannot be changed into another one
            raise TransientError(f"deployment {deployment}: the failed group is being deleted first")
        location = self._workspaces.find(target.workspace).location
        body = groups.new_group(
            target,
            deployment,
            location,
            candidate,
            instance,
            files=self._files(candidate),
            identity=self._identity,
            subnet=self._subnet,
        )
        self._arm.call("PUT", self._id(target, deployment), API, f"deployment {deployment}", body)

    @override
    def deployment(self, target: Target, deployment: str) -> DeploymentSeen:
        """Ready means that its server answers: the group runs before the model is loaded."""
        found = self._get(target, deployment)
        seen = groups.seen(found)
        if found is None or seen.state != "ready":
            return seen
        alive = self._requests.status(f"{self._address(found)}/", _ALIVE_TIMEOUT)
        return seen if alive == 200 else DeploymentSeen("busy", "", "")

    @override
    def remove(self, target: Target, deployment: str) -> bool:
        found = self._get(target, deployment)
        if found is None:
            return True
        if groups.weights_of([found]).of(deployment):
            raise PermanentError(f"deployment {deployment}: it has traffic")
        self._arm.call("DELETE", self._id(target, deployment), API, f"deployment {deployment}: delete")
        return False

    @override
    def ask(self, target: Target, deployment: str, body: bytes, timeout: float) -> Answered:
        """TransientError: its address could not be had."""

        def find() -> tuple[str, str]:
            found = self._get(target, deployment)
            if found is None:
                raise TransientError(f"deployment {deployment}: it is not there")
            return f"{self._address(found)}/score", ""

        return self._requests.ask(self._id(target, deployment), find, "", body, timeout)

    @override
    def traffic(self, target: Target, deployment: str, since: datetime.datetime, mirrored: bool) -> Traffic:
        """Nothing counts the requests of a container group."""
        return Traffic(0, 0, None)

    @override
    def memory(self, target: Target, deployment: str, instance: Instance) -> int | None:
        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        found = self._metrics.highest(self._id(target, deployment), "MemoryUsage", since, "average")
        return None if found is None else round(found)

    @override
    def started(self, target: Target, deployment: str) -> float | None:
        """A group says when its container began, not when the server was ready."""
        return None

    # ARM -------------------------------------------------------------------------------------------------------------

    @property
    def _arm(self) -> Arm:
        return self._workspaces.arm

    def _name(self, target: Target, deployment: str) -> str:
        return groups.group_name(target.endpoint, deployment)

    def _root(self, target: Target) -> str:
        return f"{self._workspaces.group(target.workspace)}/providers/Microsoft.ContainerInstance/containerGroups"

    def _id(self, target: Target, deployment: str) -> str:
        return f"{self._root(target)}/{self._name(target, deployment)}"

    def _get(self, target: Target, deployment: str) -> dict[str, Any] | None:
        return self._arm.get(self._id(target, deployment), API, f"deployment {deployment}")

    def _all(self, target: Target) -> list[dict[str, Any]]:
        every = self._arm.pages(self._root(target), API, f"endpoint {target.endpoint}")
        mine = ((each, each.get("tags") or {}) for each in every)
        return [
            each for each, tags in mine if tags.get(groups.ENDPOINT) == target.endpoint and groups.DEPLOYMENT in tags
        ]

    def _mark(self, group: dict[str, Any], traffic: str) -> None:
        if group["tags"].get(groups.TRAFFIC) != traffic:
            body = {"tags": {**group["tags"], groups.TRAFFIC: traffic}}
            self._arm.call("PATCH", str(group["id"]), API, f"container group {group.get('name')}", body)

    def _address(self, group: dict[str, Any]) -> str:
        address = groups.address_of(group)
        host = address.removeprefix("http://").partition(":")[0]
        if not address or not (self._subnet or host.endswith(_ADDRESSES)):
            raise TransientError(f"container group {group.get('name')}: no address yet")
        return address

    def _files(self, candidate: Candidate) -> list[tuple[str, str, int]]:
        """Addresses of the model's files: plain where the group's identity reads them, else signed."""
        folder = self._folder_of(candidate.asset)
        files = folder.files()
        if len(files) > MOST_FILES:
            raise PermanentError(f"TooManyFiles: {len(files)} of at most {MOST_FILES}")
        now = datetime.datetime.now(datetime.UTC)
        if self._identity and folder.account.is_by_identity:
            return [(file.path, folder.address(file), file.size) for file in files]
        return [(file.path, folder.link(file, now), file.size) for file in files]
