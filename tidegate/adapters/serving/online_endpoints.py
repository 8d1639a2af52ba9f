"""Online endpoints of Azure Machine Learning, managed and on a Kubernetes compute.

What is changed is asked for by one request of ARM, which goes on by itself; how it is, a GET says (invariant C8). An endpoint has
no ETag: a division of traffic is always written whole, and whoever wrote last is seen by the next look.
Unverified against live Azure: where a failed deployment names its fault. It is looked for behind the link that the resource
notes (AzureAsyncOperationUri), and a failure without a word there has the code DeploymentFailed.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from azure.core.credentials import TokenCredential

from tidegate.adapters import arm
from tidegate.adapters.azure_calls import translated
from tidegate.adapters.machine_learning.workspaces import Workspaces
from tidegate.adapters.serving import online_bodies
from tidegate.adapters.serving.azure_metrics import AzureMetrics
from tidegate.adapters.serving.deployment_assets import DeploymentAssets
from tidegate.adapters.serving.scoring_requests import Key, ScoringRequests, is_endpoint
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_facts import Candidate, Traffic, Weights
from tidegate.flows.models.model_gate import Instance, Target
from tidegate.model_ports import Answered, DeploymentSeen, EndpointSeen

ENDPOINT_API = "2022-02-01-preview"
DEPLOYMENT_API = "2023-04-01-preview"
_TOKEN_SCOPE = "https://ml.azure.com/.default"  # noqa: S105  a scope
_LONG_AGO = datetime.datetime.min.replace(tzinfo=datetime.UTC)


class OnlineEndpoints:
    """The Endpoints port, for targets of the kinds managed and kubernetes. May be shared by threads."""

    def __init__(
        self,
        workspaces: Workspaces,
        assets: DeploymentAssets,
        requests: ScoringRequests,
        metrics: AzureMetrics,
        credential: TokenCredential,
        identity: str = "",
    ) -> None:
        """`identity`: ARM id of the user-assigned identity that endpoints made here pull images and read models as."""
        self._workspaces = workspaces
        self._arm = workspaces.arm
        self._assets = assets
        self._requests = requests
        self._metrics = metrics
        self._credential = credential
        self._identity = identity

    # The endpoint ----------------------------------------------------------------------------------------------------

    def ensure(self, target: Target) -> EndpointSeen:
        found = self._get(target)
        if online_bodies.state_of(found) not in ("missing", "failed"):
            return _seen(found)
        body = online_bodies.with_weights(found, online_bodies.weights_of(found)) if found else self._new(target)
        self._arm.call("PUT", self._id(target), ENDPOINT_API, f"endpoint {target.endpoint}", body)
        return self.look(target)

    def look(self, target: Target) -> EndpointSeen:
        found = self._get(target)
        seen = _seen(found)
        if seen.state != "failed" or found is None:
            return seen
        code, words = arm.fault(self._arm.operation(online_bodies.operation_link(found)).get("error"))
        return EndpointSeen("failed", f"{code}: {words}" if words else "its last change failed", seen.weights)

    def shift(self, target: Target, weights: Weights) -> None:
        found = self._get(target)
        if found is None:
            raise PermanentError(f"endpoint {target.endpoint}: it is not there")
        if online_bodies.weights_of(found) == _sorted(weights):
            return
        if online_bodies.state_of(found) == "busy":
            raise TransientError(f"endpoint {target.endpoint}: another change is under way")
        body = online_bodies.with_weights(found, weights)
        self._arm.call("PUT", self._id(target), ENDPOINT_API, f"endpoint {target.endpoint}: traffic", body)
        after = self._get(target)
        if online_bodies.state_of(after) == "ready" and online_bodies.weights_of(after or {}) != _sorted(weights):
            raise TransientError(f"endpoint {target.endpoint}: somebody else divided its traffic at the same moment")

    def _new(self, target: Target) -> dict[str, Any]:
        workspace = self._workspaces.find(target.workspace)
        return online_bodies.new_endpoint(target, workspace.location, workspace.id, self._identity)

    # Deployments -----------------------------------------------------------------------------------------------------

    def create(self, target: Target, deployment: str, candidate: Candidate, instance: Instance) -> None:
        found = self._get_deployment(target, deployment)
        if found is not None and _model_of(found) != candidate.asset.lower():
            raise PermanentError(f"NameTaken: deployment {deployment} serves {_model_of(found)[:200]}")
        if online_bodies.state_of(found) in ("ready", "busy"):
            return
        workspace = self._workspaces.find(target.workspace)
        body = online_bodies.new_deployment(
            target,
            workspace.location,
            candidate,
            instance,
            environment=self._assets.environment(workspace.id, candidate.image),
            code=self._assets.code(workspace.id, candidate),
        )
        self._arm.call("PUT", self._id(target, deployment), DEPLOYMENT_API, f"deployment {deployment}", body)

    def deployment(self, target: Target, deployment: str) -> DeploymentSeen:
        found = self._get_deployment(target, deployment)
        state = online_bodies.state_of(found)
        if found is None or state != "failed":
            return DeploymentSeen(state, "", "")
        code, words = arm.fault(self._arm.operation(online_bodies.operation_link(found)).get("error"))
        return DeploymentSeen("failed", code or "DeploymentFailed", words or "the service does not say why")

    def remove(self, target: Target, deployment: str) -> bool:
        endpoint = self._get(target)
        if endpoint is None:
            return True
        weights = online_bodies.weights_of(endpoint)
        if weights.of(deployment) or deployment in dict(weights.mirror):
            raise PermanentError(f"deployment {deployment}: it has traffic")
        found = self._get_deployment(target, deployment)
        if found is None:
            return True
        if online_bodies.is_leaving(found):
            return False
        self._arm.call("DELETE", self._id(target, deployment), DEPLOYMENT_API, f"deployment {deployment}: delete")
        return False

    def ask(self, target: Target, deployment: str, body: bytes, timeout: float) -> Answered:
        """TransientError: its address or its key could not be had."""
        return self._requests.ask(self._id(target), lambda: self._key(target), deployment, body, timeout)

    # Figures ---------------------------------------------------------------------------------------------------------

    def traffic(self, target: Target, deployment: str, since: datetime.datetime, mirrored: bool) -> Traffic:
        if mirrored:
            return self._metrics.mirrored(self._id(target, deployment), since)
        return self._metrics.live(self._id(target), deployment, since)

    def memory(self, target: Target, deployment: str, instance: Instance) -> int | None:
        found = self._get_deployment(target, deployment)
        if found is None:
            return None
        since = _created(found) or _LONG_AGO
        metric = "CpuMemoryUtilizationPercentage"
        percent = self._metrics.highest(self._id(target, deployment), metric, since, "maximum")
        return None if percent is None else round(percent * instance.memory / 100)

    def started(self, target: Target, deployment: str) -> float | None:
        """By the start and end of the operation that made it, as far as the service tells of that."""
        found = self._get_deployment(target, deployment)
        if online_bodies.state_of(found) != "ready" or found is None:
            return None
        operation = self._arm.operation(online_bodies.operation_link(found))
        began, ended = _time(operation.get("startTime")), _time(operation.get("endTime"))
        return max(0.0, (ended - began).total_seconds()) if began and ended else None

    # ARM -------------------------------------------------------------------------------------------------------------

    def _id(self, target: Target, deployment: str = "") -> str:
        place = f"{self._workspaces.id(target.workspace)}/onlineEndpoints/{target.endpoint}"
        return f"{place}/deployments/{deployment}" if deployment else place

    def _get(self, target: Target) -> dict[str, Any] | None:
        return self._arm.get(self._id(target), ENDPOINT_API, f"endpoint {target.endpoint}")

    def _get_deployment(self, target: Target, deployment: str) -> dict[str, Any] | None:
        return self._arm.get(self._id(target, deployment), DEPLOYMENT_API, f"deployment {deployment}")

    def _key(self, target: Target) -> Key:
        endpoint = self._get(target) or {}
        properties = online_bodies.properties_of(endpoint)
        address = str(properties.get("scoringUri") or "")
        if not is_endpoint(address, private=target.kind == "kubernetes"):
            raise TransientError(f"endpoint {target.endpoint}: {address[:120]!a} is no address to ask at")
        what = f"endpoint {target.endpoint}: its key"
        match str(properties.get("authMode") or "").lower():
            case "aadtoken":
                with translated(what):
                    return address, self._credential.get_token(_TOKEN_SCOPE).token
            case "amltoken":
                token = self._arm.call("POST", f"{self._id(target)}/token", ENDPOINT_API, what)
                return address, str(token.get("accessToken") or "")
            case _:
                keys = self._arm.call("POST", f"{self._id(target)}/listKeys", ENDPOINT_API, what)
                return address, str(keys.get("primaryKey") or "")


def _seen(endpoint: Mapping[str, Any] | None) -> EndpointSeen:
    return EndpointSeen(online_bodies.state_of(endpoint), "", online_bodies.weights_of(endpoint or {}))


def _sorted(weights: Weights) -> Weights:
    """As `weights_of` writes them."""
    return Weights(
        tuple(sorted(each for each in weights.live if each[1])),
        tuple(sorted(each for each in weights.mirror if each[1])),
    )


def _model_of(deployment: Mapping[str, Any]) -> str:
    return str(online_bodies.properties_of(deployment).get("model") or "").lower()


def _created(resource: Mapping[str, Any]) -> datetime.datetime | None:
    return _time((resource.get("systemData") or {}).get("createdAt"))


def _time(value: Any) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC) if moment else None
