"""Tries what each role may and may not do, as that role, against Azure's or the local control plane.

    python -m infra.tests.roles RESOURCE_GROUP PRINCIPAL ...

One sign-in a principal, from the environment: TIDEGATE_ROLE_<PRINCIPAL>_CLIENT_ID and either ..._CLIENT_SECRET or
..._TOKEN_FILE (a federated token); AZURE_TENANT_ID and AZURE_SUBSCRIPTION_ID as everywhere. The bodies are empty, so
that a call which is allowed changes nothing: Azure asks who it is before it looks at what is asked. 403 is a refusal,
everything else is not.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest
from azure.identity import ClientAssertionCredential, ClientSecretCredential
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

ARM = "https://management.azure.com"
CASES = Path(__file__).with_name("role_cases.json")
TYPES = {
    "staging-registry": ("Microsoft.ContainerRegistry/registries", "2025-11-01", "tidegatestaging"),
    "healthy-registry": ("Microsoft.ContainerRegistry/registries", "2025-11-01", "tidegatehealthy"),
    "state-account": ("Microsoft.Storage/storageAccounts", "2025-08-01", "tgstate"),
    "workspace": ("Microsoft.MachineLearningServices/workspaces", "2025-12-01", "mlw-"),
}
"""Scope -> resource type, api-version and how the names that main.bicep gives begin. Tasks have an api-version of their own."""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One call of one role, and whether it must be refused."""

    principal: str
    scope: str
    method: str
    path: str
    action: str
    allowed: bool
    why: str
    data: bool = False


def read(path: Path = CASES) -> tuple[Case, ...]:
    """All cases."""
    return tuple(Case(**each) for each in json.loads(path.read_text())["cases"])


def url(case: Case, group: str, resources: Iterable[Mapping[str, Any]]) -> str | None:
    """Address of the call in this resource group; None: its resource is not deployed."""
    if case.scope == "resource-group":
        version = "2022-04-01" if "/Microsoft.Authorization/" in case.path else "2021-04-01"
        return f"{ARM}{group}{case.path}?api-version={version}"
    kind, version, start = TYPES[case.scope]
    for each in resources:
        if each["type"].lower() == kind.lower() and each["name"].startswith(start):
            tasks = case.path.startswith(("/scheduleRun", "/runs"))
            return f"{ARM}{each['id']}{case.path}?api-version={'2025-03-01-preview' if tasks else version}"
    return None


def credential(principal: str, environ: Mapping[str, str]) -> TokenCredential:
    """The sign-in of a principal. KeyError: the environment has none."""
    prefix = f"TIDEGATE_ROLE_{principal.upper().replace('-', '_')}"
    tenant, client = environ["AZURE_TENANT_ID"], environ[f"{prefix}_CLIENT_ID"]
    if secret := environ.get(f"{prefix}_CLIENT_SECRET"):
        return ClientSecretCredential(tenant, client, secret)
    return ClientAssertionCredential(tenant, client, Path(environ[f"{prefix}_TOKEN_FILE"]).read_text)


def outcomes(cases: Iterable[Case], send: Callable[[Case], int | None]) -> Iterator[tuple[Case, str]]:
    """Each case with what is wrong about its answer; empty: nothing. `send` gives the status, None: the resource is not there."""
    for case in cases:
        status = send(case)
        if status is None:
            yield case, f"no resource for {case.scope}"
        elif status == 401:
            yield case, "not signed in: says nothing about the role"
        elif case.allowed == (status == 403):
            yield case, f"{'refused' if status == 403 else f'answered with {status}'}, but the role {case.why}"
        else:
            yield case, ""


class Arm:
    """Calls ARM as one principal; nothing is tried again, and nothing is waited for."""

    def __init__(
        self, who: TokenCredential, subscription: str, group: str, transport: HttpTransport[Any, Any] | None = None
    ) -> None:
        policy = ARMChallengeAuthenticationPolicy(who, f"{ARM}/.default")
        options = {} if transport is None else {"transport": transport}
        self._client: ARMPipelineClient[Any, Any] = ARMPipelineClient(ARM, policies=[policy], **options)
        self.group = f"/subscriptions/{subscription}/resourceGroups/{group}"

    def resources(self) -> list[dict[str, Any]]:
        answer = self._client.send_request(HttpRequest("GET", f"{ARM}{self.group}/resources?api-version=2021-04-01"))
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["value"]
        return found

    def status(self, method: str, address: str) -> int:
        body: dict[str, str] | None = {} if method in {"PUT", "POST"} else None
        return int(self._client.send_request(HttpRequest(method, address, json=body)).status_code)


def tried(cases: Iterable[Case], connect: Callable[[str], Arm]) -> Iterator[tuple[Case, str]]:
    """The outcomes of the cases that are calls of ARM, each as its own principal."""
    calls = [case for case in cases if case.method]
    resources = connect("operator").resources()
    for principal in dict.fromkeys(case.principal for case in calls):
        arm = connect(principal)

        def send(case: Case, arm: Arm = arm) -> int | None:
            address = url(case, arm.group, resources)
            return None if address is None else arm.status(case.method, address)

        yield from outcomes([case for case in calls if case.principal == principal], send)


def main(group: str, principals: list[str], environ: Mapping[str, str] = os.environ) -> int:
    def connect(principal: str) -> Arm:
        return Arm(credential(principal, environ), environ["AZURE_SUBSCRIPTION_ID"], group)

    passed = failed = 0
    for case, wrong in tried([case for case in read() if case.principal in principals], connect):
        passed, failed = passed + (not wrong), failed + bool(wrong)
        sys.stdout.write(f"{'FAIL' if wrong else 'ok  '} {case.principal}: {case.action} {wrong or case.why}\n")
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
