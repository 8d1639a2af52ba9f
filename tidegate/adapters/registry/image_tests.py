"""Image tests as quick runs of ACR Tasks, on the staging registry."""

from __future__ import annotations

import base64
import json
import math
import re
import urllib.parse
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.containerregistrytasks import ContainerRegistryTasksMgmtClient
from azure.mgmt.containerregistrytasks.models import (
    AgentProperties,
    EncodedTaskRunRequest,
    PlatformProperties,
)
from azure.storage.blob import BlobClient

from tidegate.adapters.azure_calls import BOUNDED, registry_id, translated
from tidegate.adapters.registry.task_text import task_text
from tidegate.adapters.registry.task_verdicts import END_OF_LOG, Ended, verdict
from tidegate.adapters.storage.storage_account import BLOB_BOUNDED
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.images.image_gate import ImageTest
from tidegate.ports import Call, TestErrored, TestStatus
from tidegate.references import ImageRef
from tidegate.settings import Settings

_SLACK = 120
"""Seconds the run may take beside its one step, so that the step's own time runs out first."""
_LEAST_CPU = 2
"""Cores of the default agent."""
_RUN_ID = re.compile(r"[A-Za-z0-9]{1,64}\Z")
_LOG_HOSTS = ".blob.core.windows.net"


class RegistryTasks:
    """The ImageTests port."""

    def __init__(self, settings: Settings, credential: TokenCredential, **options: Any) -> None:
        """`options` go to the SDK's client."""
        self._client = ContainerRegistryTasksMgmtClient(credential, settings.subscription_id, **BOUNDED, **options)
        self._group = settings.resource_group
        self._registry = settings.staging_registry
        self._id = registry_id(settings, settings.staging_registry)

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
        if properties is None:
            return TestErrored(f"run {run}: the service says nothing about it")
        ended = Ended(
            run=run,
            status=str(getattr(properties.status, "value", properties.status)),
            message=properties.run_error_message or "",
            started=properties.start_time,
            finished=properties.finish_time,
        )
        return verdict(ended, lambda: self.log(run, END_OF_LOG))

    def log(self, run: str, limit: int) -> bytes:
        if not _RUN_ID.match(run) or limit <= 0:
            return b""
        with translated(f"log of run {run}"):
            try:
                link = self._client.runs.get_log_sas_url(self._group, self._registry, run).log_link
                return _end_of(link, limit) if link else b""
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


def _end_of(link: str, limit: int) -> bytes:
    """The end of a log. The link carries its own signature; no token of ours is sent along."""
    parts = urllib.parse.urlsplit(link)
    if parts.scheme != "https" or not parts.netloc.endswith(_LOG_HOSTS):
        raise TransientError(f"log: {parts.netloc!a} is not a host that logs are read from")
    with BlobClient.from_blob_url(link, **BLOB_BOUNDED) as blob:
        size = blob.get_blob_properties().size
        start = max(size - limit, 0)
        return b"" if start == size else blob.download_blob(offset=start, length=size - start).readall()


def _cores(test: ImageTest) -> int:
    return max(_LEAST_CPU, math.ceil(test.cpu))
