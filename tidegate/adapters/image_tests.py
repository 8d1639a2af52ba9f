"""Image tests as quick runs of ACR Tasks, on the staging registry."""

from __future__ import annotations

import base64
import json
import math
import re
import urllib.parse
from collections.abc import Sequence
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.containerregistrytasks import ContainerRegistryTasksMgmtClient
from azure.mgmt.containerregistrytasks.models import (
    AgentProperties,
    EncodedTaskRunRequest,
    PlatformProperties,
    RunProperties,
)
from azure.storage.blob import BlobClient

from tidegate.adapters.azure_calls import BOUNDED, registry_id, translated
from tidegate.adapters.storage_account import BLOB_BOUNDED
from tidegate.adapters.task_text import task_text
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.image_gate import ImageTest
from tidegate.ports import Call, TestErrored, TestFailed, TestPassed, TestRunning, TestStatus
from tidegate.references import ImageRef
from tidegate.settings import Settings

_SLACK = 120
"""Seconds the run may take beside its one step, so that the step's own time runs out first."""
_LEAST_CPU = 2
"""Cores of the default agent."""
_RUN_ID = re.compile(r"[A-Za-z0-9]{1,64}\Z")
_EXIT = re.compile(r"exit status (\d+)")
_DOCKER_FAILED = 125  # docker run: docker itself failed; 126 and 127: the command cannot be run, or is not there
_CANNOT_RUN = {126: "cannot be executed", 127: "is not in the image"}
_KILLED = 137


class RegistryTasks:
    """The ImageTests port. `log_origins`: origins that logs may be read from, beside Azure's own blob hosts."""

    def __init__(
        self, settings: Settings, credential: TokenCredential, log_origins: Sequence[str] = (), **options: Any
    ) -> None:
        """`options` go to the SDK's client."""
        self._client = ContainerRegistryTasksMgmtClient(credential, settings.subscription_id, **BOUNDED, **options)
        self._group = settings.resource_group
        self._registry = settings.staging_registry
        self._id = registry_id(settings, settings.staging_registry)
        self._log_origins = tuple(log_origins)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def start(self, image: ImageRef, test: ImageTest) -> str:
        self._check(image)
        request = EncodedTaskRunRequest(
            encoded_task_content=base64.b64encode(task_text(image, test).encode()).decode(),
            timeout=test.timeout + _SLACK,
            platform=PlatformProperties(os="Linux", architecture="amd64"),
            agent_configuration=AgentProperties(cpu=_cores(test)),
            is_archive_enabled=False,
        )
        with translated(f"test of {image}", refusable=True):
            run = self._client.registries.schedule_run(self._group, self._registry, request)
        run_id = run.properties.run_id if run.properties else None
        if not run_id:
            raise TransientError(f"test of {image}: the service named no run")
        return run_id

    def start_call(self, image: ImageRef, test: ImageTest) -> Call:
        self._check(image)
        body = {
            "type": "EncodedTaskRunRequest",
            "timeout": test.timeout + _SLACK,
            "platform": {"os": "Linux", "architecture": "amd64"},
            "agentConfiguration": {"cpu": _cores(test)},
            "task": task_text(image, test),  # sent in base64, shown as it is
        }
        return Call("POST scheduleRun", self._id, json.dumps(body, ensure_ascii=False))

    def status(self, run: str) -> TestStatus:
        if not _RUN_ID.match(run):
            return TestErrored(f"{run[:80]!a} is not an id of a run")
        with translated(f"run {run}"):
            try:
                properties = self._client.runs.get(self._group, self._registry, run).properties
            except ResourceNotFoundError:
                return TestErrored(f"run {run} is not known any more")
        return verdict(properties) if properties else TestErrored(f"run {run}: the service says nothing about it")

    def log(self, run: str, limit: int) -> bytes:
        if not _RUN_ID.match(run) or limit <= 0:
            return b""
        with translated(f"log of run {run}"):
            try:
                link = self._client.runs.get_log_sas_url(self._group, self._registry, run).log_link
                return self._end_of(link, limit) if link else b""
            except ResourceNotFoundError:  # the run, or its log: there is none yet
                return b""

    def stop(self, run: str) -> None:
        """Unverified: what Azure answers for a run that has ended; any refusal counts as ended."""
        if not _RUN_ID.match(run):
            return
        with translated(f"run {run}"):
            try:
                self._client.runs.cancel(self._group, self._registry, run)
            except HttpResponseError as error:
                if error.status_code not in (400, 404, 409):
                    raise

    def _check(self, image: ImageRef) -> None:
        if image.registry != self._registry:
            raise PermanentError(f"{image}: tests run in registry {self._registry} only")

    def _end_of(self, link: str, limit: int) -> bytes:
        """The link carries its own signature; no token of ours is sent along."""
        parts = urllib.parse.urlsplit(link)
        of_azure = parts.scheme == "https" and parts.netloc.endswith(".blob.core.windows.net")
        if not of_azure and f"{parts.scheme}://{parts.netloc}" not in self._log_origins:
            raise TransientError(f"log: {parts.netloc!a} is not a host that logs are read from")
        with BlobClient.from_blob_url(link, **BLOB_BOUNDED) as blob:
            size = blob.get_blob_properties().size
            start = max(size - limit, 0)
            return b"" if start == size else blob.download_blob(offset=start, length=size - start).readall()


def verdict(run: RunProperties) -> TestStatus:
    """What a run's record means. Its `provisioningState` says nothing: it is Succeeded for failed runs too."""
    message = run.run_error_message or ""
    match str(getattr(run.status, "value", run.status)):
        case "Succeeded":
            return TestPassed()
        case "Timeout":
            return TestFailed(_too_long(run))
        case "Failed":
            return _failed(run, message)
        case "Canceled" | "Error" as status:
            return TestErrored(f"run {run.run_id} ended as {status}: {message or 'no reason given'}")
        case _:  # Queued, Started, Running, and words we do not know: the flow's deadline ends the wait
            return TestRunning()


def _failed(run: RunProperties, message: str) -> TestStatus:
    if "deadline exceeded" in message:
        return TestFailed(_too_long(run))
    found = _EXIT.search(message)
    code = int(found[1]) if found else _DOCKER_FAILED
    if code == _DOCKER_FAILED:
        return TestErrored(f"run {run.run_id}: the image could not be run ({message or 'no reason given'})")
    if code in _CANNOT_RUN:
        return TestFailed(f"the command {_CANNOT_RUN[code]} (exit status {code})")
    if code == _KILLED:
        return TestFailed(f"the command was killed, for example for its memory (exit status {code})")
    return TestFailed(f"the command ended with exit status {code}")


def _too_long(run: RunProperties) -> str:
    if run.start_time is None or run.finish_time is None:
        return "the test took longer than its time"
    return f"the test took longer than its time, and was stopped after {(run.finish_time - run.start_time).total_seconds():.0f} s"


def _cores(test: ImageTest) -> int:
    return max(_LEAST_CPU, math.ceil(test.cpu))
