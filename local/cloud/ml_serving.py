"""Brings deployments up and takes them down: what each is served by, now and after a restart of the stand-in."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from azure.core.exceptions import ServiceRequestError

from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.ml_assets import Assets
from local.cloud.ml_images import require_image
from local.cloud.ml_instances import kubernetes_memory, machine_memory
from local.cloud.ml_online import BUSY, Deployment, Endpoint, Online
from local.cloud.ml_served import Served, prepare
from local.cloud.ml_server import Launch, NotReadyError
from local.cloud.ml_storage import MlStorage
from local.cloud.ml_workspaces import Workspaces

_FAULTS = (
    ("UserScriptImportException", "UserScriptImportError"),
    ("User's init function failed", "UserScriptInitFailed"),
    ("does not have a", "UserScriptFunctionNotFound"),
)
"""What the inference server writes -> the code that Azure ML has for it."""
_RAISED = re.compile(r"((?!azureml_inference_server_http\.)\w[\w.]*(?:Error|Exception|Exit|Interrupt)\b.*)")
"""A line of a log that says what the scoring script raised, the server's own wrapping left out."""
_STORAGE_LIMIT_S = 60
_log = logging.getLogger(__name__)


class Serving:
    """The servers of all deployments, by endpoint and deployment."""

    def __init__(
        self,
        cloud: Cloud,
        folder: Path,
        workspaces: Workspaces,
        assets: Assets,
        storage: MlStorage | None,
        online: Online,
    ) -> None:
        self._cloud = cloud
        self._folder = folder
        self._workspaces = workspaces
        self._assets = assets
        self._storage = storage
        self._online = online
        self._served: dict[tuple[str, str], Served] = {}
        self._logs: dict[tuple[str, str], str] = {}
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def session(self) -> aiohttp.ClientSession:
        """Asks servers: no limit of connections, none is kept (they close each)."""
        assert self._session is not None  # noqa: S101  open while the application runs
        return self._session

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """What served when the stand-in ended serves again, or has failed; at the end every server is ended."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        for endpoint in self._online:
            if endpoint.state in BUSY:  # its operation is gone; what it has is applied
                endpoint.state = "Succeeded"
            for deployment in endpoint.deployments.values():
                if deployment.serves is not None or deployment.state in BUSY:
                    task = asyncio.create_task(self._again(endpoint, deployment))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        yield
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(each.stop(0) for each in self._served.values()))
        await self._session.close()

    def served(self, endpoint: Endpoint, deployment: str) -> Served | None:
        """What answers for a deployment now."""
        return self._served.get((endpoint.name.lower(), deployment.lower()))

    def log(self, endpoint: Endpoint, deployment: str) -> str:
        """Of the server that is up, else of the one that did not come up."""
        served = self.served(endpoint, deployment)
        return served.log() if served else self._logs.get((endpoint.name.lower(), deployment.lower()), "")

    def memory(self, endpoint: Endpoint, body: dict[str, Any]) -> int:
        """Bytes of one instance that a deployment's body asks for. ArmError 400: there are none of this type."""
        properties = body["properties"]
        if not endpoint.compute:
            return machine_memory(str(properties.get("instanceType") or ""))
        compute = self._workspaces.compute(endpoint.workspace, endpoint.compute) or {}
        return kubernetes_memory(properties, compute["properties"]["properties"]["instanceTypes"])

    async def bring_up(self, endpoint: Endpoint, deployment: Deployment, body: dict[str, Any]) -> None:
        """Serve by this body. What served before goes on until the new one is up, then it is ended without losing a request.

        ArmError: why it cannot serve; what served before still does.
        """
        key = endpoint.name.lower(), deployment.name.lower()
        environment = self._assets.find(str(body["properties"].get("environmentId") or ""))
        refused = "ImagePullLoopBackOff" if endpoint.compute else "BadArgument"
        await require_image(self._cloud, str(environment["properties"].get("image") or ""), refused)
        folder = self._folder / endpoint.name.lower() / deployment.name.lower() / uuid.uuid4().hex[:8]
        variables = await prepare(folder, body["properties"], endpoint.workspace, self._assets, self._storage)
        capacity = int((body.get("sku") or {}).get("capacity") or 1)
        served = Served(Launch(folder, variables, self.memory(endpoint, body), capacity), self.session)
        try:
            await served.start()
        except NotReadyError as error:
            self._logs[key] = served.log()
            raise _refusal(endpoint, served.log(), str(error)) from error
        earlier, self._served[key] = self._served.get(key), served
        if earlier is not None:
            await earlier.stop()

    async def end(self, endpoint: Endpoint, deployment: Deployment) -> None:
        """Twice: the same."""
        served = self._served.pop((endpoint.name.lower(), deployment.name.lower()), None)
        if served is not None:
            await served.stop()

    async def _again(self, endpoint: Endpoint, deployment: Deployment) -> None:
        try:
            await self._once_storage_answers(endpoint, deployment, deployment.serves or deployment.body)
        except ArmError as error:
            deployment.failed(error)
        except Exception as error:  # noqa: BLE001  one deployment must not keep the others down
            _log.exception("deployment %s/%s", endpoint.name, deployment.name)
            deployment.failed(ArmError(500, "InternalServerError", str(error)))
        else:
            deployment.state, deployment.serves = "Succeeded", deployment.serves or deployment.body
        self._online.save()

    async def _once_storage_answers(self, endpoint: Endpoint, deployment: Deployment, body: dict[str, Any]) -> None:
        """The parts of the local stack start together, and the storage account may be the last of them."""
        deadline = time.monotonic() + _STORAGE_LIMIT_S
        while True:
            try:
                return await self.bring_up(endpoint, deployment, body)
            except ServiceRequestError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.5)


def fault(log: str, fallback: str) -> tuple[str, str]:
    """Code and reason of a server that did not come up, by what it wrote; the code may be empty."""
    code = next((code for words, code in _FAULTS if words in log), "")
    raised = [found[1] for line in log.splitlines() if (found := _RAISED.fullmatch(line.rstrip()))]
    return code, raised[-1] if raised else fallback


def _refusal(endpoint: Endpoint, log: str, fallback: str) -> ArmError:
    """Why a deployment failed. On Kubernetes the code says it; on managed endpoints one code stands for all (emulated)."""
    code, last = fault(log, fallback)
    if endpoint.compute:
        return ArmError(400, code or "DeploymentCrashLoopBackOff", last)
    said = f"{code}: {last}" if code else last
    return ArmError(400, "ResourceNotReady", f"User container has crashed or terminated: {said}")
