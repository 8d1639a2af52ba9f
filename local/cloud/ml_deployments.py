"""Routes of the deployments of online endpoints: made, changed, read, listed, deleted; their logs; and what befalls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local.cloud.arm import ArmCall
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.ml_assets import Assets
from local.cloud.ml_endpoints import ENDPOINT, Endpoints
from local.cloud.ml_jobs import now
from local.cloud.ml_online import BUSY, Deployment, Endpoint, Online, require_name
from local.cloud.ml_operations import MlOperations
from local.cloud.ml_serving import Serving

DEPLOYMENT = f"{ENDPOINT}/deployments/{{deployment}}"


def install(
    cloud: Cloud, endpoints: Endpoints, online: Online, assets: Assets, serving: Serving, operations: MlOperations
) -> None:
    """Add the routes."""
    service = _Deployments(endpoints, online, assets, serving, operations)
    arm = cloud.arm
    arm.add("GET", f"{ENDPOINT}/deployments", service.list)
    arm.add("GET", DEPLOYMENT, service.get)
    arm.add("PUT", DEPLOYMENT, service.put)
    arm.add("DELETE", DEPLOYMENT, service.delete)
    arm.add("POST", f"{DEPLOYMENT}/getLogs", service.get_logs)
    router = cloud.local.router
    router.add_get("/admin/endpoints", service.admin_list)
    router.add_delete("/admin/endpoints/{endpoint}", service.admin_delete)
    router.add_delete("/admin/endpoints/{endpoint}/{deployment}", service.admin_delete)
    router.add_post("/admin/endpoints/{endpoint}/{deployment}/kill", service.admin_kill)


class _Deployments:
    def __init__(
        self, endpoints: Endpoints, online: Online, assets: Assets, serving: Serving, operations: MlOperations
    ) -> None:
        self._endpoints = endpoints
        self._online = online
        self._assets = assets
        self._serving = serving
        self._operations = operations

    async def list(self, call: ArmCall) -> web.Response:
        endpoint = self._endpoints.find(call)
        return web.json_response({"value": [each.resource(endpoint) for each in endpoint.deployments.values()]})

    async def get(self, call: ArmCall) -> web.Response:
        endpoint = self._endpoints.find(call)
        return web.json_response(endpoint.deployment(call.names["deployment"]).resource(endpoint))

    async def put(self, call: ArmCall) -> web.Response:
        """201 for a new deployment, 200 for a changed one. The same body again changes nothing and starts nothing anew."""
        endpoint, name = self._endpoints.find(call), call.names["deployment"]
        body = await call.json()
        self._check(endpoint, name, body)
        known = endpoint.deployments.get(name.lower())
        if endpoint.state in BUSY or (known is not None and known.state in BUSY):
            raise ArmError(409, "Conflict", f"The deployment '{name}' has an operation in progress. Try again later.")
        if known is None:
            deployment = endpoint.deployments[name.lower()] = Deployment(name, body)
        else:
            deployment, known.state, known.body, known.error = known, "Updating", body, None
        self._online.save()
        work = self._bring_up(endpoint, deployment, body)
        operation = self._operations.begin(call.request, work, lambda why: self._failed(deployment, why))
        headers = self._operations.headers(operation, call.api_version)
        deployment.operation = headers["Azure-AsyncOperation"]
        return web.json_response(deployment.resource(endpoint), status=200 if known else 201, headers=headers)

    async def delete(self, call: ArmCall) -> web.Response:
        """204 when there is none; 400 while it has traffic."""
        endpoint = self._endpoints.find(call)
        deployment = endpoint.deployments.get(call.names["deployment"].lower())
        if deployment is None:
            return web.Response(status=204)
        if deployment.state in BUSY or endpoint.state in BUSY:
            raise ArmError(409, "Conflict", f"The deployment '{deployment.name}' has an operation in progress.")
        if deployment.name.lower() in {*endpoint.traffic, *endpoint.mirror}:
            message = f"The deployment '{deployment.name}' has traffic. Set it to 0 before you delete the deployment."
            raise ArmError(400, "BadArgument", message)
        deployment.state = "Deleting"
        work = self._remove(endpoint, deployment)
        operation = self._operations.begin(call.request, work, lambda why: self._failed(deployment, why))
        headers = self._operations.headers(operation, call.api_version)
        deployment.operation = headers["Azure-AsyncOperation"]
        return web.Response(status=202, headers=headers)

    async def get_logs(self, call: ArmCall) -> web.Response:
        endpoint = self._endpoints.find(call)
        deployment = endpoint.deployment(call.names["deployment"])
        lines = self._serving.log(endpoint, deployment.name).splitlines()
        tail = int((await call.json()).get("tail") or len(lines) or 1)
        return web.json_response({"content": "\n".join(lines[-tail:])})

    # Admin: what befalls real deployments --------------------------------------------------------------------------------

    async def admin_list(self, _request: web.Request) -> web.Response:
        """GET /admin/endpoints: what serves, with its processes."""
        return web.json_response({"endpoints": [self._shown(each) for each in self._online]})

    async def admin_delete(self, request: web.Request) -> web.Response:
        """DELETE /admin/endpoints/{endpoint}[/{deployment}]: gone at once, whatever traffic it has."""
        endpoint = self._by_name(request)
        name = request.match_info.get("deployment")
        if name is None:
            await self._endpoints.remove(endpoint)
        else:
            deployment = endpoint.deployment(name)
            endpoint.traffic.pop(name.lower(), None)
            endpoint.mirror.pop(name.lower(), None)
            await self._remove(endpoint, deployment)
        return web.Response(status=204)

    async def admin_kill(self, request: web.Request) -> web.Response:
        """POST /admin/endpoints/{endpoint}/{deployment}/kill: its processes are lost; they are started again."""
        endpoint = self._by_name(request)
        served = self._serving.served(endpoint, request.match_info["deployment"])
        if served is None:
            raise ArmError(409, "Conflict", "The deployment does not serve.")
        served.server.kill()
        return web.Response(status=204)

    def _by_name(self, request: web.Request) -> Endpoint:
        name = request.match_info["endpoint"]
        endpoint = self._online.by_name(name)
        if endpoint is None:
            raise ArmError(404, "ResourceNotFound", f"The online endpoint '{name}' was not found.")
        return endpoint

    def _shown(self, endpoint: Endpoint) -> dict[str, Any]:
        return {
            "workspace": endpoint.workspace,
            "name": endpoint.name,
            "state": endpoint.state,
            "traffic": endpoint.traffic,
            "mirror": endpoint.mirror,
            "deployments": [self._process(endpoint, each) for each in endpoint.deployments.values()],
        }

    def _process(self, endpoint: Endpoint, deployment: Deployment) -> dict[str, Any]:
        shown = {"name": deployment.name, "state": deployment.state, "error": deployment.error}
        served = self._serving.served(endpoint, deployment.name)
        if served is None:
            return shown
        now_bytes, peak = served.server.memory()
        return {
            **shown,
            "pid": served.server.pid,
            "port": served.server.port,
            "restarts": served.restarts,
            "inFlight": served.in_flight,
            "startedSeconds": served.server.started_s,
            "memory": now_bytes,
            "peak": peak,
        }

    # Work ----------------------------------------------------------------------------------------------------------------

    async def _bring_up(self, endpoint: Endpoint, deployment: Deployment, body: dict[str, Any]) -> None:
        if deployment.serves is None or _means(deployment.serves) != _means(body):
            await self._serving.bring_up(endpoint, deployment, body)
        if endpoint.deployments.get(deployment.name.lower()) is not deployment:  # deleted by hand meanwhile
            await self._serving.end(endpoint, deployment)
            raise ArmError(404, "ResourceNotFound", f"The deployment '{deployment.name}' was deleted.")
        deployment.state, deployment.serves, deployment.changed = "Succeeded", body, now()
        self._online.save()

    async def _remove(self, endpoint: Endpoint, deployment: Deployment) -> None:
        endpoint.deployments.pop(deployment.name.lower(), None)
        await self._serving.end(endpoint, deployment)
        self._online.save()

    def _failed(self, deployment: Deployment, refusal: Any) -> None:
        deployment.failed(refusal)
        self._online.save()

    def _check(self, endpoint: Endpoint, name: str, body: Mapping[str, Any]) -> None:
        """What is wrong with the body, as far as it can be seen at once."""
        properties = body.get("properties")
        if not isinstance(properties, dict):
            raise ArmError(400, "ValidationError", "The body has no properties.")
        require_name(name)
        kind = "Kubernetes" if endpoint.compute else "Managed"
        if properties.get("endpointComputeType", "Managed") != kind:
            raise ArmError(400, "BadArgument", f"The endpointComputeType of '{endpoint.name}' is {kind}.")
        if int((body.get("sku") or {}).get("capacity") or 1) < 1:
            raise ArmError(400, "BadArgument", "The capacity is at least 1.")
        self._serving.memory(endpoint, dict(body))
        if not properties.get("environmentId"):
            raise ArmError(400, "BadArgument", "The deployment names no environmentId.")
        for identity in (properties["environmentId"], properties.get("model")):
            if identity:
                self._assets.find(str(identity))


def _means(body: Mapping[str, Any]) -> tuple[Any, Any]:
    """What a server is started by: tags may change without a new one."""
    properties = {key: value for key, value in body["properties"].items() if value is not None}
    return properties, (body.get("sku") or {}).get("capacity")
