"""Stand-in for Azure Container Instances: container groups that serve models, as processes of this machine.

Emulated. No container is run: a group's one container stands for a scoring image, and is the inference server of
`.tools/serving`, behind the command that the group gives it (which finds `python` and `azmlinfsrv`). Volumes are folders: where
variables and the command say a volume's mountPath, they say its folder here.

The server answers at `http://<dnsNameLabel>.westeurope.azurecontainer.io:5001`, by plain HTTP through the front and without a
key, as on Azure. Unverified: the states and events of a group whose container ends again and again. Not there: several
containers, init containers, volumes that are no emptyDir, private addresses, start and stop, the group's identity.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiohttp import web

from local import world
from local.cloud.arm import GROUP, ArmCall
from local.cloud.container_group import Group, host_of
from local.cloud.container_launch import container_of, launch
from local.cloud.core import Cloud
from local.cloud.errors import ArmError, ServiceError
from local.cloud.ml_images import require_image
from local.cloud.ml_operations import CONTAINER_INSTANCE, MlOperations
from local.cloud.ml_served import Served
from local.cloud.ml_server import NotReadyError
from local.cloud.ml_serving import fault
from local.cloud.state import StateFile

_GROUPS = GROUP + "/providers/Microsoft.ContainerInstance/containerGroups"
_GROUP = _GROUPS + "/{name}"
_HOST = f"*.{world.LOCATION}.azurecontainer.io"
_PORT = 5001
_STARTS = 3
"""Of a container that ends before it is healthy; then it is given up."""
_ANSWER_LIMIT_S = 60


def install(cloud: Cloud) -> None:
    """Add the routes and the addresses."""
    operations = MlOperations(cloud.options.poll_after, CONTAINER_INSTANCE)
    operations.install(cloud.arm)
    service = _Groups(cloud, operations)
    arm = cloud.arm
    arm.add("GET", _GROUPS, service.list)
    arm.add("GET", _GROUP, service.get)
    arm.add("PUT", _GROUP, service.put)
    arm.add("PATCH", _GROUP, service.patch)
    arm.add("DELETE", _GROUP, service.delete)
    arm.add("GET", _GROUP + "/containers/{container}/logs", service.logs)
    arm.add("GET", _GROUP + "/providers/microsoft.insights/metrics", service.metrics)
    for host in (_HOST, f"{_HOST}:{_PORT}"):
        cloud.host(host).router.add_route("*", "/{path:.*}", service.ask)
    cloud.lifetime(operations.running)
    cloud.lifetime(service.running)


class _Groups:
    def __init__(self, cloud: Cloud, operations: MlOperations) -> None:
        self._cloud = cloud
        self._operations = operations
        self._folder = Path(cloud.options.state) / "container-groups"
        self._state = StateFile(self._folder / "groups.json")
        self._groups = {raw["name"].lower(): Group(**raw) for raw in self._state.value.get("groups", ())}
        self._served: dict[str, Served] = {}
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """Groups of an earlier run of the stand-in run again; at the end their processes are ended."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        for group in self._groups.values():
            if group.state != "Failed":
                group.state, group.started = "Pending", ""
                self._in_background(group)
        yield
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(each.stop(0) for each in self._served.values()))
        await self._session.close()

    # ARM -----------------------------------------------------------------------------------------------------------------

    async def list(self, _call: ArmCall) -> web.Response:
        return web.json_response({"value": [each.resource() for each in self._groups.values()]})

    async def get(self, call: ArmCall) -> web.Response:
        return web.json_response(self._find(call).resource())

    async def put(self, call: ArmCall) -> web.Response:
        """201: it is being made. 200: one of the name is there, and only its tags are taken over (emulated)."""
        body, name = await call.json(), call.names["name"]
        container_of(body.get("properties") or {})
        known = self._groups.get(name.lower())
        if known is not None:
            known.body["tags"] = body.get("tags") or {}
            self._save()
            return web.json_response(known.resource())
        group = self._groups[name.lower()] = Group(name, body)
        if any(each.label == group.label for each in self._groups.values() if each is not group and group.label):
            del self._groups[name.lower()]
            raise ArmError(400, "DnsNameLabelAlreadyTaken", f"The DNS label '{group.label}' is taken.")
        self._save()
        operation = self._operations.begin(call.request, self._bring_up(group), lambda why: self._failed(group, why))
        headers = self._operations.headers(operation, call.api_version)
        return web.json_response(group.resource(), status=201, headers=headers)

    async def patch(self, call: ArmCall) -> web.Response:
        """Tags alone can be changed so."""
        group, body = self._find(call), await call.json()
        group.body["tags"] = body.get("tags") or {}
        self._save()
        return web.json_response(group.resource())

    async def delete(self, call: ArmCall) -> web.Response:
        """204 when there is none. Requests in flight are answered first."""
        group = self._groups.pop(call.names["name"].lower(), None)
        if group is None:
            return web.Response(status=204)
        self._save()
        operation = self._operations.begin(call.request, self._end(group), lambda _why: None)
        headers = self._operations.headers(operation, call.api_version)
        return web.json_response(group.resource(), status=202, headers=headers)

    async def logs(self, call: ArmCall) -> web.Response:
        group = self._find(call)
        served = self._served.get(group.name.lower())
        lines = served.log().splitlines() if served else [each["message"] for each in group.events]
        tail = call.request.query.get("tail", "")
        return web.json_response({"content": "\n".join(lines[-int(tail) :] if tail.isdigit() else lines)})

    async def metrics(self, call: ArmCall) -> web.Response:
        """MemoryUsage in bytes, of the minute that goes on; what else Azure Monitor has of groups is not there."""
        group = self._find(call)
        served = self._served.get(group.name.lower())
        data = []
        if served is not None and served.server.alive:
            minute = dt.datetime.fromtimestamp(time.time() // 60 * 60, dt.UTC).isoformat().replace("+00:00", "Z")
            resident = served.server.memory()[0]
            data = [{"timeStamp": minute, "average": resident, "maximum": resident}]
        name = {"value": "MemoryUsage", "localizedValue": "Memory Usage"}
        series = [{"metadatavalues": [], "data": data}]
        metric = {"name": name, "unit": "Bytes", "errorCode": "Success", "timeseries": series}
        wanted = call.request.query.get("metricnames", "").lower()
        return web.json_response({"interval": "PT1M", "value": [metric] if wanted == "memoryusage" else []})

    def _find(self, call: ArmCall) -> Group:
        group = self._groups.get(call.names["name"].lower())
        if group is None:
            kind = "Microsoft.ContainerInstance/containerGroups"
            raise ArmError(404, "ResourceNotFound", f"The Resource '{kind}/{call.names['name']}' was not found.")
        return group

    # The public address ----------------------------------------------------------------------------------------------------

    async def ask(self, request: web.Request) -> web.Response:
        """One request to the group's server. On Azure a group that is not there has no address, and its port is closed."""
        label = request.host.partition(".")[0].lower()
        group = next((each for each in self._groups.values() if each.label == label), None)
        served = self._served.get(group.name.lower()) if group else None
        if served is None:
            return web.Response(status=502, text=f"Nothing answers at {host_of(label)}.\n")
        body, assigned = await request.read(), {"host", "connection", "content-length", "proxy-connection"}
        headers = {key: value for key, value in request.headers.items() if key.lower() not in assigned}
        assert self._session is not None  # noqa: S101  open while the application runs
        limit = aiohttp.ClientTimeout(total=_ANSWER_LIMIT_S)
        try:
            async with served.request() as server:
                url = f"http://127.0.0.1:{server.port}{request.path_qs}"
                asked = self._session.request(request.method, url, data=body, headers=headers, timeout=limit)
                async with asked as answer:
                    content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return web.Response(status=502, text=f"{type(error).__name__}: {error}\n")
        return web.Response(status=answer.status, body=content, content_type=answer.content_type)

    # Work --------------------------------------------------------------------------------------------------------------------

    async def _bring_up(self, group: Group) -> None:
        container = container_of(group.properties)
        await require_image(self._cloud, str(container["image"]), "InaccessibleImage")
        assert self._session is not None  # noqa: S101  open while the application runs
        reason = ""
        while group.restarts < _STARTS and self._groups.get(group.name.lower()) is group:
            folder = self._folder / "work" / group.name.lower() / uuid.uuid4().hex[:8]
            served = Served(launch(folder, container, self._cloud.options), self._session)
            try:
                await served.start()
            except NotReadyError as error:
                code, reason = fault(served.log(), str(error))
                group.restarts += 1
                group.happened("BackOff", f"{code or 'Error'}: {reason}", warning=True)
                continue
            self._served[group.name.lower()] = served
            group.run()
            self._save()
            return
        raise ArmError(400, "ContainerCrashed", reason or "The group was deleted.")

    async def _end(self, group: Group) -> None:
        served = self._served.pop(group.name.lower(), None)
        if served is not None:
            await served.stop()

    def _failed(self, group: Group, refusal: ServiceError) -> None:
        group.state, group.started = "Failed", ""
        group.happened(refusal.code, refusal.message, warning=True)
        self._save()

    def _in_background(self, group: Group) -> None:
        async def again() -> None:
            try:
                await self._bring_up(group)
            except ServiceError as refusal:
                self._failed(group, refusal)

        task = asyncio.create_task(again())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _save(self) -> None:
        self._state.value["groups"] = [
            {name: getattr(each, name) for name in ("name", "body", "state", "started", "restarts", "events")}
            for each in self._groups.values()
        ]
        self._state.save()
