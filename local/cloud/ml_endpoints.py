"""Routes of online endpoints: made, read, listed, deleted; their traffic, keys and tokens.

Unverified rules: which writes are refused while an operation goes on (409), what traffic may be given to (400), and that
a deletion takes deployments with it. An operation is over as soon as its work is; a test can ask for it to be slow.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local.cloud.arm import ArmCall
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.ml_jobs import now
from local.cloud.ml_online import BUSY, Endpoint, Online, require_name
from local.cloud.ml_operations import MlOperations
from local.cloud.ml_serving import Serving
from local.cloud.ml_workspaces import WORKSPACE, Workspaces

ENDPOINT = f"{WORKSPACE}/onlineEndpoints/{{endpoint}}"
_TOKEN_LIFE_S = 3600
_MOST_MIRRORED = 50
"""Percent, by the documentation of mirrored traffic."""


def install(
    cloud: Cloud, workspaces: Workspaces, online: Online, serving: Serving, operations: MlOperations
) -> Endpoints:
    """Add the routes."""
    service = Endpoints(workspaces, online, serving, operations)
    arm = cloud.arm
    arm.add("GET", f"{WORKSPACE}/onlineEndpoints", service.list)
    arm.add("GET", ENDPOINT, service.get)
    arm.add("PUT", ENDPOINT, service.put)
    arm.add("DELETE", ENDPOINT, service.delete)
    arm.add("POST", f"{ENDPOINT}/listKeys", service.list_keys)
    arm.add("POST", f"{ENDPOINT}/regenerateKeys", service.regenerate_keys)
    arm.add("POST", f"{ENDPOINT}/token", service.token)
    return service


class Endpoints:
    """The endpoints' own routes; those of deployments are in ml_deployments."""

    def __init__(self, workspaces: Workspaces, online: Online, serving: Serving, operations: MlOperations) -> None:
        self._workspaces = workspaces
        self._online = online
        self._serving = serving
        self._operations = operations
        self._tokens: dict[str, tuple[str, float]] = {}

    def accepts(self, endpoint: Endpoint, secret: str) -> bool:
        """Whether it is a key of the endpoint or a token that it gave and that has not expired."""
        if endpoint.auth_mode == "key":
            return any(secrets.compare_digest(secret.encode(), each.encode()) for each in endpoint.keys.values())
        owner, expires = self._tokens.get(secret, ("", 0.0))
        return owner == endpoint.id and time.time() < expires

    async def list(self, call: ArmCall) -> web.Response:
        workspace = self._workspaces.name(call)
        return web.json_response({"value": [each.resource() for each in self._online if each.workspace == workspace]})

    async def get(self, call: ArmCall) -> web.Response:
        return web.json_response(self.find(call).resource())

    async def put(self, call: ArmCall) -> web.Response:
        """201 for a new endpoint, 200 for a changed one. The traffic is what it was until the operation is over."""
        workspace, name = self._workspaces.name(call), call.names["endpoint"]
        body = await call.json()
        if not isinstance(body.get("properties"), dict):
            raise ArmError(400, "ValidationError", "The body has no properties.")
        require_name(name)
        known = self._online.by_name(name)
        if known is None or known.workspace != workspace:
            endpoint, status = Endpoint(workspace, name, body), 201
            self._check(endpoint, body["properties"])
            self._online.add(endpoint)
        else:
            endpoint, status = known, 200
            self._refuse_while_busy(endpoint)
            self._check(endpoint, body["properties"])
            endpoint.state = "Updating"
        operation = self._operations.begin(call.request, self._apply(endpoint, body), endpoint.failed)
        headers = self._operations.headers(operation, call.api_version)
        endpoint.operation = headers["Azure-AsyncOperation"]
        shown = endpoint.resource()
        shown["properties"] |= {"traffic": body["properties"].get("traffic") or {}}
        return web.json_response(shown, status=status, headers=headers)

    async def delete(self, call: ArmCall) -> web.Response:
        """204 when there is none. Its deployments go with it, whatever traffic they have."""
        try:
            endpoint = self.find(call)
        except ArmError:
            return web.Response(status=204)
        self._refuse_while_busy(endpoint)
        endpoint.state = "Deleting"
        operation = self._operations.begin(call.request, self.remove(endpoint), endpoint.failed)
        headers = self._operations.headers(operation, call.api_version)
        endpoint.operation = headers["Azure-AsyncOperation"]
        return web.Response(status=202, headers=headers)

    async def list_keys(self, call: ArmCall) -> web.Response:
        endpoint = self.find(call)
        if endpoint.auth_mode != "key":
            raise ArmError(400, "BadArgument", f"The endpoint '{endpoint.name}' is not authenticated by keys.")
        return web.json_response(endpoint.keys)

    async def regenerate_keys(self, call: ArmCall) -> web.Response:
        """One of the two is new at once; no operation (emulated)."""
        endpoint = self.find(call)
        body = await call.json()
        kind = "primaryKey" if str(body.get("keyType", "")).lower() == "primary" else "secondaryKey"
        endpoint.keys[kind] = str(body.get("keyValue") or secrets.token_urlsafe(24))
        self._online.save()
        return web.json_response({}, status=200)

    async def token(self, call: ArmCall) -> web.Response:
        """A token for an hour; of no use to endpoints that are authenticated by keys or by Entra tokens."""
        endpoint = self.find(call)
        if endpoint.auth_mode != "amltoken":
            raise ArmError(
                400, "BadArgument", f"The endpoint '{endpoint.name}' is not authenticated by its own tokens."
            )
        token, expires = secrets.token_urlsafe(48), time.time() + _TOKEN_LIFE_S
        self._tokens[token] = (endpoint.id, expires)
        times = {"expiryTimeUtc": int(expires), "refreshAfterTimeUtc": int(expires) - _TOKEN_LIFE_S // 2}
        return web.json_response({"accessToken": token, "tokenType": "Bearer", **times})

    def find(self, call: ArmCall) -> Endpoint:
        return self._online.find(self._workspaces.name(call), call.names["endpoint"])

    async def remove(self, endpoint: Endpoint) -> None:
        """The endpoint, its deployments and their servers; requests in flight are answered first."""
        endpoint.traffic, endpoint.mirror = {}, {}
        for each in tuple(endpoint.deployments.values()):
            await self._serving.end(endpoint, each)
        endpoint.deployments.clear()
        self._online.remove(endpoint)

    async def _apply(self, endpoint: Endpoint, body: dict[str, Any]) -> None:
        """What was right when it was asked for may have become wrong meanwhile, so it is looked at again."""
        self._check(endpoint, body["properties"])
        endpoint.body = body
        endpoint.traffic = _weights(body["properties"].get("traffic"))
        endpoint.mirror = _weights(body["properties"].get("mirrorTraffic"))
        endpoint.state, endpoint.changed = "Succeeded", now()
        self._online.save()

    def _check(self, endpoint: Endpoint, properties: Mapping[str, Any]) -> None:
        mode = str(properties.get("authMode") or "Key").lower()
        if mode not in ("key", "amltoken", "aadtoken"):
            raise ArmError(400, "ValidationError", f"The authMode '{properties['authMode']}' is not known.")
        compute = str(properties.get("compute") or "").rstrip("/").rpartition("/")[2]
        if compute:
            found = self._workspaces.compute(endpoint.workspace, compute)
            if found is None or found["properties"]["computeType"] != "Kubernetes":
                message = f"The compute '{compute}' is no Kubernetes compute of '{endpoint.workspace}'."
                raise ArmError(400, "BadArgument", message)
        live, mirror = _weights(properties.get("traffic")), _weights(properties.get("mirrorTraffic"))
        if live and sum(live.values()) != 100:
            raise ArmError(400, "BadArgument", f"The traffic adds up to {sum(live.values())} percent, not to 0 or 100.")
        if len(mirror) > 1 or sum(mirror.values()) > _MOST_MIRRORED or live.keys() & mirror.keys():
            message = (
                f"Mirrored traffic goes to one deployment without traffic, and is at most {_MOST_MIRRORED} percent."
            )
            raise ArmError(400, "BadArgument", message)
        for name in (*live, *mirror):
            if (deployment := endpoint.deployments.get(name)) is None or deployment.serves is None:
                raise ArmError(400, "BadArgument", f"The deployment '{name}' is not there or does not serve.")

    def _refuse_while_busy(self, endpoint: Endpoint) -> None:
        """On Kubernetes an operation of a deployment counts too."""
        inner = [each.name for each in endpoint.deployments.values() if each.state in BUSY]
        if endpoint.state in BUSY or (endpoint.compute and inner):
            message = f"The endpoint '{endpoint.name}' has an operation in progress. Try again when it is over."
            raise ArmError(409, "Conflict", message)


def _weights(given: Any) -> dict[str, int]:
    """Positive percentages by deployment, names in lower case."""
    try:
        return {str(name).lower(): int(percent) for name, percent in (given or {}).items() if int(percent) > 0}
    except (AttributeError, TypeError, ValueError) as error:
        raise ArmError(400, "ValidationError", "Traffic is a map of names to whole percentages.") from error
