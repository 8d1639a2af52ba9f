"""A workspace with a datastore in the storage emulator, as ARM shows it, and the adapters over it."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import generate_container_sas

from tests.adapters.scripted_azure import Identity, ScriptedAzure
from tests.azurite import ACCOUNT, KEY
from tidegate.adapters.arm import Arm
from tidegate.adapters.machine_learning.artefact_places import ArtefactPlaces
from tidegate.adapters.machine_learning.models import MachineLearningModels
from tidegate.adapters.machine_learning.workspaces import Workspaces
from tidegate.adapters.storage.storage_account import StorageAccount
from tidegate.flows.models.model_facts import Candidate
from tidegate.flows.models.model_gate import Instance, Target, WorkspaceRef
from tidegate.references import ModelRef
from tidegate.settings import Settings

SETTINGS = Settings("contosostaging", "contosohealthy", "sub", "rg", "", "")
PROVIDER = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.MachineLearningServices"
MODEL = ModelRef("vision", "digits", "7")
DIGEST = "sha256:" + "ab" * 32
IMAGE = f"contosohealthy.azurecr.io/serving/digits@{DIGEST}"
NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)


def workspace(name: str) -> str:
    return f"{PROVIDER}/workspaces/{name}"


def version(name: str, model: str = "digits", number: str = "7") -> str:
    return f"{workspace(name)}/models/{model}/versions/{number}"


def target(kind: Any = "managed", endpoint: str = "digits-int", compute: str = "") -> Target:
    return Target(kind, WorkspaceRef("vision-int"), endpoint, compute)


def instance(kind: str = "Standard_DS2_v2", count: int = 1) -> Instance:
    return Instance(kind, count, cpu=2, memory=7 << 30)


def candidate(asset: str = "", script: str = "scoring/score.py", **environment: str) -> Candidate:
    return Candidate(
        model=MODEL,
        asset=asset or version("vision-int"),
        order="7",
        sha256="cd" * 32,
        size=5,
        image=IMAGE,
        script=script,
        samples="samples.json",
        environment=tuple(environment.items()),
    )


def add_workspace(azure: ScriptedAzure, name: str, container: str, kind: str = "AccountKey") -> None:
    """A workspace whose default datastore, and the one of its runs, is a container of the emulator."""
    azure.resources[workspace(name)] = {
        "id": workspace(name),
        "location": "westeurope",
        "properties": {"workspaceId": f"guid-of-{name}"},
    }
    for store in ("workspaceblobstore", "workspaceartifactstore"):
        place = f"{workspace(name)}/datastores/{store}"
        properties = {
            "datastoreType": "AzureBlob",
            "accountName": ACCOUNT,
            "containerName": container,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "credentials": {"credentialsType": kind},
        }
        azure.resources[place] = {"id": place, "properties": properties}
        secret = {"key": KEY} if kind == "AccountKey" else {"sasToken": signature(container, "racwdl")}
        azure.answers[f"POST {place}/listSecrets"] = {"secretsType": kind, **secret}


def signature(container: str, permission: str) -> str:
    """Of a whole container, good for many years."""
    return generate_container_sas(
        ACCOUNT, container, account_key=KEY, permission=permission, expiry="2099-01-01T00:00:00Z"
    )


def add_model(azure: ScriptedAzure, place: str, uri: str, tags: Mapping[str, str] | None = None) -> None:
    """A registered version, as a GET shows it."""
    azure.resources[place] = {
        "id": place,
        "name": place.rpartition("/")[2],
        "properties": {
            "modelUri": uri,
            "modelType": "custom_model",
            "tags": dict(tags or {}),
            "properties": {"image": "contosohealthy/x"},
            "flavors": {},
        },
        "systemData": {"createdAt": "2026-03-02T07:00:00.1234567Z", "createdBy": "trainer"},
    }


def upload(account: StorageAccount, container: str, files: Mapping[str, bytes]) -> None:
    with account.blobs() as service:
        with contextlib.suppress(ResourceExistsError):
            service.create_container(container)
        for name, content in files.items():
            service.get_blob_client(container, name).upload_blob(content, overwrite=True)


def stored(account: StorageAccount, container: str) -> dict[str, bytes]:
    with account.blobs() as service:
        blobs = service.get_container_client(container)
        return {str(each.name): blobs.download_blob(each.name).readall() for each in blobs.list_blobs()}


@contextlib.contextmanager
def models() -> Iterator[MachineLearningModels]:
    with contextlib.ExitStack() as stack:
        arm = stack.enter_context(contextlib.closing(Arm(Identity())))
        workspaces = Workspaces(SETTINGS, arm)
        places = stack.enter_context(contextlib.closing(ArtefactPlaces(workspaces, Identity())))
        yield MachineLearningModels(workspaces, places)


def long_uri(workspace_name: str, path: str, store: str = "workspaceblobstore") -> str:
    """The form of an address that the service shows."""
    group = "/subscriptions/sub/resourcegroups/rg"
    return f"azureml:/{group}/workspaces/{workspace_name}/datastores/{store}/paths/{path}"


def container_name(stem: str) -> str:
    return re.sub(r"[^a-z0-9]", "", stem.lower())
