"""ACR Tasks through Azure's own client, and the few words that its tests need."""

from __future__ import annotations

import base64
import dataclasses
import time
import urllib.request
from typing import Any, override
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from azure.mgmt.containerregistrytasks import ContainerRegistryTasksMgmtClient
from azure.mgmt.containerregistrytasks.models import (
    EncodedTaskRunRequest,
    PlatformProperties,
    ProvisioningState,
    Run,
    RunStatus,
)

from local import world
from local.cloud.task_runs import FINAL
from local.cloud.tokens import issue_token

UNITTEST = "python3 -m unittest discover -s /opt/litter -t /opt/litter"
SANDBOX = (
    "--rm --network none --read-only --tmpfs /tmp:size=16m --cap-drop ALL --security-opt no-new-privileges "
    "--pids-limit 64 --memory 128m --user 65534:65534"
)


class LocalCredential:
    """Tokens that the stand-in accepts."""

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(issue_token("https://management.azure.com"), int(time.time()) + 3600)


class LoopbackTransport(RequestsTransport):  # type: ignore[misc]  # azure-core gives it lazily, untyped
    """Sends calls for management.azure.com to the stand-in, whose front does this in the whole stack."""

    def __init__(self, port: int) -> None:
        super().__init__(use_env_settings=False)
        self._port = port

    @override
    def send(self, request: Any, **options: Any) -> Any:
        parts = urlsplit(request.url)
        request.headers["Host"] = parts.netloc
        request.url = parts._replace(scheme="http", netloc=f"127.0.0.1:{self._port}").geturl()
        return super().send(request, **options)


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """A run as the client saw it; the client's models call every property optional."""

    id: str
    name: str
    status: str
    error: str | None
    provisioning_state: str

    @classmethod
    def of(cls, run: Run) -> Seen:
        properties = run.properties
        assert properties is not None
        assert run.name == properties.run_id
        status, provisioning = (
            RunStatus(properties.status).value,
            ProvisioningState(properties.provisioning_state).value,
        )
        return cls(str(run.id), str(run.name), status, properties.run_error_message, provisioning)


@dataclasses.dataclass(frozen=True, slots=True)
class Tasks:
    """The client, bound to the staging registry."""

    client: ContainerRegistryTasksMgmtClient
    blobs: str
    """Base URL of the account's blobs; the whole stack's front leads Azure's host name there."""

    def schedule(self, *commands: str, timeout: int = 60, head: str = "") -> Seen:
        steps = "".join(f"  - cmd: >-\n      {command}\n" for command in commands)
        return self.schedule_text(f"version: v1.1.0\n{head}steps:\n{steps}", timeout)

    def schedule_text(self, text: str, timeout: int = 60) -> Seen:
        request = EncodedTaskRunRequest(
            platform=PlatformProperties(os="Linux", architecture="amd64"),
            encoded_task_content=base64.b64encode(text.encode()).decode(),
            timeout=timeout,
        )
        return Seen.of(self.client.registries.schedule_run(world.RESOURCE_GROUP, world.STAGING, request))

    def run(self, *commands: str, timeout: int = 60) -> Seen:
        """Schedule and wait for the end."""
        return self.ended(self.schedule(*commands, timeout=timeout))

    def get(self, run: Seen) -> Seen:
        return Seen.of(self.client.runs.get(world.RESOURCE_GROUP, world.STAGING, run.name))

    def ended(self, run: Seen, within_s: float = 45) -> Seen:
        return self.until(run, FINAL, within_s)

    def until(self, run: Seen, statuses: frozenset[str], within_s: float = 30) -> Seen:
        deadline = time.monotonic() + within_s
        while (now := self.get(run)).status not in statuses:
            assert time.monotonic() < deadline, f"{now.status} after {within_s} s: {self.log(run)}"
            time.sleep(0.05)
        return now

    def cancel(self, run: Seen) -> None:
        self.client.runs.cancel(world.RESOURCE_GROUP, world.STAGING, run.name)

    def log(self, run: Seen) -> str:
        """The log, fetched with nothing but its link."""
        link = self.client.runs.get_log_sas_url(world.RESOURCE_GROUP, world.STAGING, run.name).log_link
        assert link is not None
        azure = f"https://{world.STORAGE_ACCOUNT}.blob.core.windows.net/"
        assert link.startswith(f"{azure}tasklogs/{world.STAGING}/{run.name}.log?"), link
        address = f"{self.blobs}/{link.removeprefix(azure)}"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=10) as answer:
            text: bytes = answer.read()
        return text.decode(errors="replace")
