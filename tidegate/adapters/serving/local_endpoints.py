"""Endpoints on this machine, for fast iteration: every deployment is a real inference server on a port of its own.

Only where a folder for them is set. Under it a deployment is `<endpoint>/<deployment>/`, with the artefact in `files/`, where the
scoring script may be edited, and is loaded again. Who serves is named by the file `serving` of the endpoint's folder.
"""

from __future__ import annotations

import datetime
import pathlib
import re
import threading
from collections.abc import Callable
from typing import override

from tidegate.adapters.serving import local_servers
from tidegate.adapters.serving.scoring_requests import ScoringRequests
from tidegate.adapters.storage.blob_folders import Folder
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_facts import Candidate, Traffic, Weights
from tidegate.flows.models.model_gate import Instance, Target
from tidegate.model_ports import Answered, DeploymentSeen, Endpoints, EndpointSeen

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,31}\Z")
_SERVING = "serving"
_ALIVE_TIMEOUT = 3.0


class LocalEndpoints(Endpoints):
    """The Endpoints port, for targets of the kind local. May be shared by threads."""

    def __init__(self, folder: str, python: str, folder_of: Callable[[str], Folder]) -> None:
        """`folder`: where deployments are kept; empty: not enabled. `python`: of an environment with the inference server."""
        self._folder = pathlib.Path(folder).resolve() if folder else None
        self._python = python
        self._folder_of = folder_of
        self._requests = ScoringRequests(direct=True)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connections back; the servers go on."""
        self._requests.close()

    @override
    def ensure(self, target: Target) -> EndpointSeen:
        self._endpoint(target).mkdir(parents=True, exist_ok=True)
        return self.look(target)

    @override
    def look(self, target: Target) -> EndpointSeen:
        place = self._endpoint(target)
        if not place.is_dir():
            return EndpointSeen("missing", "", Weights(()))
        return EndpointSeen("ready", "", self._weights(target))

    @override
    def create(self, target: Target, deployment: str, candidate: Candidate, instance: Instance) -> None:
        place = self._place(target, deployment)
        if not candidate.script:
            raise PermanentError(
                "NoScript: a local deployment needs serve.script, since there is no image that brings one"
            )
        with self._lock:
            known = local_servers.find(place, self._python)
            if known is not None and known.model != candidate.sha256:
                raise PermanentError(f"NameTaken: deployment {deployment} serves other bytes")
            if known is not None and known.is_alive:
                return
            _download(self._folder_of(candidate.asset), place / local_servers.FILES)
            local_servers.start(place, self._python, candidate.sha256, candidate.script, dict(candidate.environment))

    @override
    def deployment(self, target: Target, deployment: str) -> DeploymentSeen:
        place = self._place(target, deployment)
        server = local_servers.find(place, self._python)
        if server is None:
            return DeploymentSeen("missing", "", "")
        if not server.is_alive:
            return DeploymentSeen("failed", "UserScriptInitFailed", local_servers.last_words(place))
        match self._requests.status(f"http://127.0.0.1:{server.port}/", _ALIVE_TIMEOUT):
            case 200:
                return DeploymentSeen("ready", "", "")
            case status if status >= 500:  # what gunicorn answers while the script has a syntax error
                return DeploymentSeen("failed", "UserScriptInitFailed", local_servers.last_words(place))
            case _:
                return DeploymentSeen("busy", "", "")

    @override
    def shift(self, target: Target, weights: Weights) -> None:
        wanted = dict(weights.live)
        if weights.mirror or sorted(wanted.values()) not in ([], [100]):
            raise PermanentError("local servers do not share traffic: one deployment serves all of it")
        for deployment in wanted:
            if not self._place(target, deployment).is_dir():
                raise PermanentError(f"deployment {deployment}: it is not there")
        written = self._endpoint(target) / f"{_SERVING}.part"
        written.write_text("".join(wanted))
        written.replace(written.with_suffix(""))

    @override
    def remove(self, target: Target, deployment: str) -> bool:
        if self._weights(target).of(deployment):
            raise PermanentError(f"deployment {deployment}: it has traffic")
        with self._lock:
            local_servers.stop(self._place(target, deployment))
        return True

    @override
    def ask(self, target: Target, deployment: str, body: bytes, timeout: float) -> Answered:
        """TransientError: there is no such deployment."""
        place = self._place(target, deployment)
        server = local_servers.find(place, self._python)
        if server is None:
            raise TransientError(f"deployment {deployment}: it is not there")
        key = (f"http://127.0.0.1:{server.port}/score", "")
        return self._requests.ask(f"{place} {server.port}", lambda: key, "", body, timeout)

    @override
    def traffic(self, target: Target, deployment: str, since: datetime.datetime, mirrored: bool) -> Traffic:
        """Nothing counts the requests of a local server."""
        return Traffic(0, 0, None)

    @override
    def memory(self, target: Target, deployment: str, instance: Instance) -> int | None:
        server = local_servers.find(self._place(target, deployment), self._python)
        return local_servers.peak_memory(server) if server else None

    @override
    def started(self, target: Target, deployment: str) -> float | None:
        place = self._place(target, deployment)
        server = local_servers.find(place, self._python)
        return local_servers.seconds_to_ready(place, server) if server else None

    def _weights(self, target: Target) -> Weights:
        try:
            serving = (self._endpoint(target) / _SERVING).read_text().strip()
        except FileNotFoundError:
            serving = ""
        return Weights(((serving, 100),) if serving else ())

    def _endpoint(self, target: Target) -> pathlib.Path:
        if self._folder is None:
            raise PermanentError(
                "LocalNotEnabled: targets of kind local are not enabled here (TIDEGATE_LOCAL_ENDPOINTS)"
            )
        return self._folder / _checked(target.endpoint)

    def _place(self, target: Target, deployment: str) -> pathlib.Path:
        return self._endpoint(target) / _checked(deployment)


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise PermanentError(f"{name[:80]!a}: no name of an endpoint or a deployment")
    return name


def _download(source: Folder, target: pathlib.Path) -> None:
    """The artefact as it is there; PermanentError: a name in it leads out of the folder."""
    for file in source.files():
        parts = file.path.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise PermanentError(f"{file.path[:120]!a}: leads out of the artefact")
        place = target.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as written:
            for chunk in source.chunks(file):
                written.write(chunk)
