"""What answers for one deployment: its files, its server, started again when it dies, and the requests it is busy with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from local.cloud.errors import ArmError
from local.cloud.ml_assets import Assets
from local.cloud.ml_server import Launch, NotReadyError, Server
from local.cloud.ml_storage import MlStorage

RESTARTS = 5
"""In a row; after that it stays down, as a pod that crashes again and again in effect does."""
_STEADY_S = 60
"""A server that lived so long before it died begins a new row."""
DRAIN_S = 30
"""What requests in flight have before their server is ended."""
_LOG_LENGTH = 2**18
_APP = "/var/azureml-app"
"""Where Azure ML puts code and models in a container; in the variables of a deployment it stands for the server's own folder."""
_log = logging.getLogger(__name__)


class Served:
    """One server at a time. While there is none, requests find nobody."""

    def __init__(self, launch: Launch, session: aiohttp.ClientSession) -> None:
        self._launch = launch
        self._session = session
        self._server = Server(launch)
        self._watch: asyncio.Task[None] | None = None
        self.in_flight = 0
        """Requests that it is busy with."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._earlier = ""
        self.restarts = 0

    async def start(self) -> None:
        """NotReadyError: it does not come up; nothing of it is left then."""
        try:
            await self._server.start(self._session)
        except NotReadyError:
            await self._remove()
            raise
        self._watch = asyncio.create_task(self._keep_up())

    async def stop(self, drain_s: float = DRAIN_S) -> None:
        """Requests in flight are answered first, as far as `drain_s` seconds are enough. Twice: the same."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                await self._idle.wait()
        await self._server.stop()
        await self._remove()

    @contextlib.asynccontextmanager
    async def request(self) -> AsyncIterator[Server]:
        """Counts the request as in flight; gives the server to ask, which may be down."""
        self.in_flight += 1
        self._idle.clear()
        try:
            yield self._server
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    @property
    def server(self) -> Server:
        return self._server

    def log(self) -> str:
        """Of this server and those that died before it."""
        return self._earlier + self._server.log()

    async def _keep_up(self) -> None:
        row = 0
        while row < RESTARTS:
            began = time.monotonic()
            code = await self._server.wait()
            row = 1 if time.monotonic() - began > _STEADY_S else row + 1
            await self._server.stop(0)
            self.restarts += 1
            self._earlier = (self.log() + f"The process ended with {code}; it is started again.\n")[-_LOG_LENGTH:]
            await asyncio.sleep(0.2 * 2 ** (row - 1))
            self._server = Server(self._launch)
            try:
                await self._server.start(self._session)
            except NotReadyError as error:
                _log.warning("server in %s: %s", self._launch.folder, error)

    async def _remove(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self._launch.folder, ignore_errors=True)


async def prepare(
    folder: Path, properties: Mapping[str, Any], workspace: str, assets: Assets, storage: MlStorage | None
) -> dict[str, str]:
    """Put model and code where Azure ML does, below `folder`; gives the variables that say where. ArmError: why it cannot."""
    variables = {"AZUREML_MODEL_DIR": str(folder / "azureml-models")}
    if properties.get("model"):
        asset = assets.find(str(properties["model"]))
        *_, name, _, version = asset["id"].split("/")
        place = folder / "azureml-models" / name / version
        await _fetch(asset["properties"]["modelUri"], place, _workspace_of(asset, workspace), storage)
        variables["AZUREML_MODEL_DIR"] = str(place)
    code = properties.get("codeConfiguration") or {}
    if code:
        asset = assets.find(str(code.get("codeId")))
        await _fetch(asset["properties"]["codeUri"], folder / "code", _workspace_of(asset, workspace), storage)
        variables |= {"AML_APP_ROOT": _root(folder / "code", code), "AZUREML_ENTRY_SCRIPT": str(code["scoringScript"])}
    given = properties.get("environmentVariables") or {}
    variables |= {str(key): str(value).replace(_APP, str(folder)) for key, value in given.items()}
    if "AZUREML_ENTRY_SCRIPT" not in variables:
        message = "There is neither a codeConfiguration nor AZUREML_ENTRY_SCRIPT: images are not run on this machine."
        raise ArmError(400, "BadArgument", message)
    variables.setdefault("AML_APP_ROOT", variables["AZUREML_MODEL_DIR"])
    return variables


def _root(folder: Path, code: Mapping[str, Any]) -> str:
    """A folder of code arrives under its own name, files alone do not."""
    script = str(code.get("scoringScript") or "")
    inner = [each for each in folder.iterdir() if each.is_dir()]
    return str(inner[0] if len(inner) == 1 and not (folder / script).exists() else folder)


async def _fetch(uri: str, folder: Path, workspace: str, storage: MlStorage | None) -> None:
    if storage is None:
        raise ArmError(503, "ServiceUnavailable", "The stand-in was started without a storage account.")
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    try:
        await storage.download(storage.locate(uri, workspace), folder)
    except FileNotFoundError as error:
        raise ArmError(400, "BadArgument", f"There is no file at '{uri}'.") from error


def _workspace_of(asset: Mapping[str, Any], otherwise: str) -> str:
    parts = str(asset["id"]).split("/")
    return parts[parts.index("workspaces") + 1] if "workspaces" in parts else otherwise
