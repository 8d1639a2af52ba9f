"""Tries what each role may and may not do, as that role, against Azure or the local stack.

    python -m infra.tests.roles RESOURCE_GROUP PRINCIPAL ...

One sign-in a principal, from the environment: TIDEGATE_ROLE_<PRINCIPAL>_CLIENT_ID and either ..._CLIENT_SECRET or
..._TOKEN_FILE (a federated token); AZURE_TENANT_ID and AZURE_SUBSCRIPTION_ID as everywhere. Without an own sign-in
`pipeline` is whoever is signed in: the pipeline that runs this. The bodies are empty, so
that a call which is allowed changes nothing: Azure asks who it is before it looks at what is asked.

Blobs, queues and tables are not tried: whoever may write there would write, and the local stack's storage has no roles.
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
from azure.core.exceptions import HttpResponseError
from azure.eventgrid import EventGridPublisherClient
from azure.identity import ClientAssertionCredential, ClientSecretCredential, DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

from infra.azure import ARM, Arm, Registry

CASES = Path(__file__).with_name("role_cases.json")
TYPES = {
    "staging-registry": ("Microsoft.ContainerRegistry/registries", "2025-11-01", "staging"),
    "healthy-registry": ("Microsoft.ContainerRegistry/registries", "2025-11-01", "healthy"),
    "state-account": ("Microsoft.Storage/storageAccounts", "2025-08-01", "state"),
    "workspace": ("Microsoft.MachineLearningServices/workspaces", "2025-12-01", ""),
    "key-vault": ("Microsoft.KeyVault/vaults", "2025-05-01", ""),
    "outcomes-topic": ("Microsoft.EventGrid/topics", "2025-02-15", "outcomes"),
}
"""Scope -> resource type, api-version and a word of the name. Tasks have an api-version of their own."""


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

    @property
    def is_storage(self) -> bool:
        """Of a plane that is not tried here."""
        return not self.method and self.action.startswith("Microsoft.Storage/")


def read(path: Path = CASES) -> tuple[Case, ...]:
    """All cases."""
    return tuple(Case(**each) for each in json.loads(path.read_text())["cases"])


def find(scope: str, resources: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The resource of a scope; of several workspaces the first."""
    kind, _, word = TYPES[scope]
    found = [each for each in resources if each["type"].lower() == kind.lower() and word in each["name"]]
    return found[0] if found else None


def url(case: Case, group: str, resources: Iterable[Mapping[str, Any]]) -> str | None:
    """Address of a call of ARM in this resource group; None: its resource is not deployed."""
    if case.scope == "resource-group":
        version = "2022-04-01" if "/Microsoft.Authorization/" in case.path else "2021-04-01"
        return f"{ARM}{group}{case.path}?api-version={version}"
    resource = find(case.scope, resources)
    if resource is None:
        return None
    tasks = case.path.startswith(("/scheduleRun", "/runs"))
    version = "2025-03-01-preview" if tasks else TYPES[case.scope][1]
    return f"{ARM}{resource['id']}{case.path}?api-version={version}"


def data_status(case: Case, who: TokenCredential, resources: Iterable[Mapping[str, Any]]) -> int | None:
    """The status of a call of a data plane; a refusal is 403 here, whatever the service says (registries and Event Grid
    say 401 to a principal that they know and that has no role). None: the resource is not deployed."""
    resource = find(case.scope, resources)
    if resource is None:
        return None
    match case.action.rpartition("Microsoft.")[2]:
        case "ContainerRegistry/registries/pull/read":
            return _refused(Registry(who, resource["name"]).pull_status())
        case "ContainerRegistry/registries/push/write":
            return _refused(Registry(who, resource["name"]).push_status())
        case "KeyVault/vaults/secrets/getSecret/action":
            vault = SecretClient(f"https://{resource['name']}.vault.azure.net", who)
            return _status(lambda: vault.get_secret("role-test"))
        case "EventGrid/events/send/action":
            host = f"{resource['name']}.{resource['location']}-1.eventgrid.azure.net"
            topic = EventGridPublisherClient(f"https://{host}/api/events", who)
            return _refused(_status(lambda: topic.send({})))  # no event: whoever may send is told so
        case _:
            raise ValueError(f"{case.action}: there is no call that tries it")


def _status(call: Callable[[], object]) -> int:
    try:
        call()
    except HttpResponseError as error:
        return error.status_code or 0
    return 200


def _refused(status: int) -> int:
    return 403 if status == 401 else status


def credential(principal: str, environ: Mapping[str, str]) -> TokenCredential:
    """The sign-in of a principal. KeyError: the environment has none."""
    prefix = f"TIDEGATE_ROLE_{principal.upper().replace('-', '_')}"
    if principal == "pipeline" and f"{prefix}_CLIENT_ID" not in environ:
        return DefaultAzureCredential()
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


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """One principal's way to Azure."""

    arm: Arm
    who: TokenCredential


type DataPlane = Callable[[Case, TokenCredential, Iterable[Mapping[str, Any]]], int | None]


def tried(
    cases: Iterable[Case], connect: Callable[[str], Session], data_plane: DataPlane = data_status
) -> Iterator[tuple[Case, str]]:
    """The outcomes of all cases but those of storage, each as its own principal; the operator looks up the resources."""
    calls = [case for case in cases if not case.is_storage]
    resources = connect("operator").arm.resources()
    for principal in dict.fromkeys(case.principal for case in calls):
        session = connect(principal)

        def send(case: Case, session: Session = session) -> int | None:
            if not case.method:
                return data_plane(case, session.who, resources)
            address = url(case, session.arm.group, resources)
            return None if address is None else session.arm.status(case.method, address)

        yield from outcomes([case for case in calls if case.principal == principal], send)


def main(group: str, principals: list[str], environ: Mapping[str, str] = os.environ) -> int:
    def connect(principal: str) -> Session:
        who = credential(principal, environ)
        return Session(Arm(who, environ["AZURE_SUBSCRIPTION_ID"], group), who)

    cases = [case for case in read() if case.principal in principals]
    passed = failed = 0
    for case, wrong in tried(cases, connect):
        passed, failed = passed + (not wrong), failed + bool(wrong)
        sys.stdout.write(f"{'FAIL' if wrong else 'ok  '} {case.principal}: {case.action} {wrong or case.why}\n")
    storage = sum(case.is_storage for case in cases)
    sys.stdout.write(f"{passed} passed, {failed} failed, {storage} of storage not tried\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
