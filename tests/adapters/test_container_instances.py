"""Container groups: what is sent, what a GET says, who serves, and what the container does first."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.adapters import ml_world
from tests.adapters.ml_world import IMAGE, add_model, add_workspace, candidate, instance, target, upload, version
from tests.adapters.scripted_azure import Identity, ScriptedAzure, refusal
from tidegate.adapters.arm import Arm
from tidegate.adapters.machine_learning.artefact_places import ArtefactPlaces
from tidegate.adapters.machine_learning.models import MachineLearningModels
from tidegate.adapters.machine_learning.workspaces import Workspaces
from tidegate.adapters.serving import container_boot
from tidegate.adapters.serving.azure_metrics import AzureMetrics
from tidegate.adapters.serving.container_groups import LONGEST, MODEL_FOLDER, group_name, seen
from tidegate.adapters.serving.container_instances import MOST_FILES, ContainerInstances
from tidegate.adapters.serving.scoring_requests import ScoringRequests
from tidegate.adapters.storage.storage_account import StorageAccount
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_facts import Traffic, Weights
from tidegate.flows.models.model_gate import Target

GROUPS = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.ContainerInstance/containerGroups"
IDENTITY = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/serving"
SUBNET = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v/subnets/containers"
BLUE, GREEN = "digits-7-0f3c5a1b9d24", "digits-8-aaaaaaaaaaaa"
TARGET = target("container-instance", "digits-test")
FILES = {"m/model.bin": b"weights", "m/scoring/score.py": b"def run(): ..."}


@pytest.fixture
def source(azure: ScriptedAzure, account: StorageAccount, fresh_name: Callable[[str], str]) -> str:
    """Container with the artefact of version 7, in workspace `vision-int`."""
    container = fresh_name("groups")
    add_workspace(azure, "vision-int", container, "Sas")
    upload(account, container, FILES)
    add_model(azure, version("vision-int"), "azureml://datastores/workspaceblobstore/paths/m/")
    return container


@contextlib.contextmanager
def adapter(identity: str = IDENTITY, subnet: str = "") -> Iterator[ContainerInstances]:
    with contextlib.ExitStack() as stack:
        arm = stack.enter_context(contextlib.closing(Arm(Identity())))
        workspaces = Workspaces(ml_world.SETTINGS, arm)
        places = stack.enter_context(contextlib.closing(ArtefactPlaces(workspaces, Identity())))
        models = MachineLearningModels(workspaces, places)
        requests = stack.enter_context(contextlib.closing(ScoringRequests()))
        yield ContainerInstances(workspaces, models.folder_of, requests, AzureMetrics(arm), identity, subnet)


@pytest.fixture
def instances(source: str) -> Iterator[ContainerInstances]:
    with adapter() as each:
        yield each


def place(deployment: str = BLUE, of: Target = TARGET) -> str:
    return f"{GROUPS}/{group_name(of.endpoint, deployment)}"


def group(azure: ScriptedAzure, deployment: str = BLUE, traffic: str = "0", **more: Any) -> dict[str, Any]:
    """A group as a GET shows it, running."""
    path = place(deployment)
    name = path.rpartition("/")[2]
    running = {
        "currentState": {"state": "Running", "startTime": "2026-03-02T08:00:00Z"},
        "restartCount": 0,
        "events": [],
    }
    properties = {
        "provisioningState": "Succeeded",
        "ipAddress": {"type": "Public", "fqdn": f"{name}.westeurope.azurecontainer.io", "ip": "20.1.2.3"},
        "containers": [{"name": "scoring", "properties": {"instanceView": running}}],
        **more,
    }
    tags = {
        "tidegate.endpoint": "digits-test",
        "tidegate.deployment": deployment,
        "tidegate.model": "vision/digits:7",
        "tidegate.traffic": traffic,
    }
    azure.resources[path] = {"id": path, "name": name, "tags": tags, "properties": properties}
    azure.answers[f"GET {GROUPS}"] = lambda asked: {
        "value": [each for key, each in azure.resources.items() if key.startswith(f"{GROUPS}/")]
    }
    return azure.resources[path]


# The group


def test_a_group_is_made_of_exact_bytes(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    instances.create(TARGET, BLUE, candidate(MODE="fast", AZUREML_MODEL_DIR="/etc"), instance())
    (put,) = azure.calls("PUT")
    assert (put.path, put.query["api-version"]) == (place(), "2025-09-01")
    body = put.json
    assert body["tags"] == {
        "tidegate.endpoint": "digits-test",
        "tidegate.deployment": BLUE,
        "tidegate.model": "vision/digits:7",
        "tidegate.traffic": "0",
    }
    assert body["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
    properties = body["properties"]
    assert properties["imageRegistryCredentials"] == [{"server": "contosohealthy.azurecr.io", "identity": IDENTITY}]
    assert properties["ipAddress"]["dnsNameLabel"] == f"digits-test-{BLUE}"
    (container,) = (each["properties"] for each in properties["containers"])
    assert container["image"] == IMAGE
    assert container["resources"] == {"requests": {"cpu": 2, "memoryInGB": 7}}
    variables = {each["name"]: each.get("value") for each in container["environmentVariables"]}
    assert (variables["MODE"], variables["AZUREML_MODEL_DIR"]) == ("fast", MODEL_FOLDER)
    assert (variables["AML_APP_ROOT"], variables["AZUREML_ENTRY_SCRIPT"]) == (f"{MODEL_FOLDER}/scoring", "score.py")


def test_addresses_that_are_signed_are_secret_and_each_reads_its_file(
    instances: ContainerInstances, azure: ScriptedAzure, tmp_path: Path
) -> None:
    instances.create(TARGET, BLUE, candidate(), instance())
    (container,) = azure.calls("PUT")[0].json["properties"]["containers"]
    (secret,) = (each for each in container["properties"]["environmentVariables"] if "secureValue" in each)
    assert secret["name"] == "TIDEGATE_FILES"
    listed = json.loads(secret["secureValue"])
    assert [path for path, _, _ in listed] == ["model.bin", "scoring/score.py"]
    program = f"import pathlib, runpy; fetch = runpy.run_path({container_boot.__file__!r})['fetch']; "
    boot(program + f"fetch({listed!r}, pathlib.Path({str(tmp_path)!r}), '')", azure)
    assert (tmp_path / "model.bin").read_bytes() == b"weights"
    assert (tmp_path / "scoring/score.py").read_bytes() == b"def run(): ..."
    assert list(tmp_path.rglob("*.part")) == []


def test_where_the_identity_reads_the_files_no_address_is_signed(
    azure: ScriptedAzure, source: str, account: StorageAccount
) -> None:
    """The emulator takes no tokens, so the listing is the blobs' own; what is sent is what counts."""
    from tidegate.adapters.storage.blob_folders import Account, Folder

    with account.blobs() as service, adapter() as instances:
        by_identity = Folder(Account("tidegatestate", "core.windows.net", Identity(), service), source, "m")
        instances._folder_of = lambda asset: by_identity
        instances.create(TARGET, BLUE, candidate(), instance())
    (container,) = azure.calls("PUT")[0].json["properties"]["containers"]
    variables = container["properties"]["environmentVariables"]
    assert "sig=" not in json.dumps(variables)
    assert {"name": "TIDEGATE_IDENTITY", "value": IDENTITY} in variables


def test_in_a_network_a_group_has_a_private_address_only(azure: ScriptedAzure, source: str) -> None:
    with adapter(subnet=SUBNET) as instances:
        instances.create(TARGET, BLUE, candidate(), instance())
        properties = azure.calls("PUT")[0].json["properties"]
        assert properties["subnetIds"] == [{"id": SUBNET}]
        assert properties["ipAddress"]["type"] == "Private"
        assert "dnsNameLabel" not in properties["ipAddress"]


def test_a_group_that_is_there_is_left_and_one_of_another_model_is_never_written_over(
    instances: ContainerInstances, azure: ScriptedAzure
) -> None:
    made = group(azure)
    instances.create(TARGET, BLUE, candidate(), instance())
    made["tags"]["tidegate.model"] = "vision/digits:6"
    with pytest.raises(PermanentError, match=r"^NameTaken: "):
        instances.create(TARGET, BLUE, candidate(), instance())
    assert azure.calls("PUT") == []


def test_a_group_that_failed_goes_before_another_is_made(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    group(azure, provisioningState="Failed")
    with pytest.raises(TransientError, match="is being deleted first"):
        instances.create(TARGET, BLUE, candidate(), instance())
    instances.create(TARGET, BLUE, candidate(), instance())
    assert [each.method for each in azure.seen if each.method in ("PUT", "DELETE")] == ["DELETE", "PUT"]


def test_a_quota_of_groups_is_a_no(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    azure.answers[f"PUT {place()}"] = refusal(409, "ContainerGroupQuotaReached", "limit 100, used 100")
    with pytest.raises(PermanentError, match=r"^ContainerGroupQuotaReached: limit 100, used 100$"):
        instances.create(TARGET, BLUE, candidate(), instance())


def test_an_artefact_of_too_many_files_is_refused(
    instances: ContainerInstances, azure: ScriptedAzure, account: StorageAccount, source: str
) -> None:
    upload(account, source, {f"m/{number}": b"" for number in range(MOST_FILES)})
    with pytest.raises(PermanentError, match=r"^TooManyFiles: 202 of at most 200$"):
        instances.create(TARGET, BLUE, candidate(), instance())


@pytest.mark.parametrize("endpoint", ["e" * 32, "digits-test"])
def test_a_name_fits_and_keeps_endpoint_and_deployment(endpoint: str) -> None:
    name = group_name(endpoint, "d" * 19 + "-0f3c5a1b9d24")
    assert len(name) <= LONGEST
    assert name.startswith(f"{endpoint}-ddd")
    assert name.endswith(("0f3c5a1b9d24", "0f3c5a1b9d"))


# What a GET says


@pytest.mark.parametrize(
    ("state", "container", "expected"),
    [
        ("Pending", {}, "busy"),
        ("Creating", {}, "busy"),
        ("Succeeded", {"currentState": {"state": "Waiting"}}, "busy"),
        ("Succeeded", {"currentState": {"state": "Running"}}, "ready"),
        ("Succeeded", {"currentState": {"state": "Running"}, "restartCount": 9}, "ready"),
        ("Succeeded", {"currentState": {"state": "Terminated"}, "restartCount": 2}, "busy"),
        ("Succeeded", {"currentState": {"state": "Terminated"}, "restartCount": 3}, "failed"),
        ("Failed", {}, "failed"),
        ("Unhealthy", {}, "failed"),
    ],
)
def test_a_group_is_what_a_get_says(state: str, container: dict[str, Any], expected: str) -> None:
    shown = {"properties": {"provisioningState": state, "containers": [{"properties": {"instanceView": container}}]}}
    assert seen(shown).state == expected
    assert seen(None).state == "missing"


def test_a_group_that_failed_says_why() -> None:
    events = [
        {"name": "Pulled", "type": "Normal", "message": "ok", "lastTimestamp": "3"},
        {"name": "Failed", "type": "Warning", "message": "old", "lastTimestamp": "1"},
        {"name": "InaccessibleImage", "type": "Warning", "message": "no\n pull", "lastTimestamp": "2"},
    ]
    view = {"currentState": {"state": "Waiting"}, "restartCount": 3, "events": events}
    shown = {"properties": {"provisioningState": "Succeeded", "containers": [{"properties": {"instanceView": view}}]}}
    assert (seen(shown).code, seen(shown).reason) == ("InaccessibleImage", "no pull")
    view["events"] = []
    view["previousState"] = {"state": "Terminated", "exitCode": 3, "detailStatus": "Error"}
    assert (seen(shown).code, seen(shown).reason) == ("Error", "the container ended with exit code 3")


def test_a_group_is_ready_when_its_server_answers(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    group(azure)
    assert instances.deployment(TARGET, BLUE).state == "busy"
    azure.answers["GET /"] = web.Response(body=b"Healthy")
    assert instances.deployment(TARGET, BLUE).state == "ready"


def test_a_request_goes_to_the_group_without_a_key(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    group(azure)
    azure.answers["POST /score"] = web.Response(body=b"[7]")
    assert instances.ask(TARGET, BLUE, b"{}", 5).body == b"[7]"
    asked = azure.seen[-1]
    assert asked.host == f"digits-test-{BLUE}.westeurope.azurecontainer.io:5001"
    assert "authorization" not in asked.headers


def test_only_an_address_of_container_instances_is_asked(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    group(azure, ipAddress={"type": "Public", "fqdn": "storage.evil.example"})
    with pytest.raises(TransientError, match="no address yet"):
        instances.ask(TARGET, BLUE, b"{}", 1)
    assert {each.host for each in azure.seen} == {"management.azure.com"}


# Traffic


def test_who_serves_is_a_tag(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    group(azure, BLUE, "100")
    group(azure, GREEN)
    stranger = group(azure, "another")
    stranger["tags"]["tidegate.endpoint"] = "not-ours"
    assert instances.look(TARGET).weights == Weights(((BLUE, 100),))
    instances.shift(TARGET, Weights(((GREEN, 100),)))
    assert instances.look(TARGET).weights == Weights(((GREEN, 100),))
    assert [(each.path, each.json["tags"]["tidegate.traffic"]) for each in azure.calls("PATCH")] == [
        (place(GREEN), "100"),
        (place(BLUE), "0"),
    ]
    instances.shift(TARGET, Weights(((GREEN, 100),)))
    assert len(azure.calls("PATCH")) == 2


@pytest.mark.parametrize(
    "weights",
    [Weights(((BLUE, 90), (GREEN, 10))), Weights(((BLUE, 50),)), Weights(((BLUE, 100),), ((GREEN, 10),))],
    ids=["shared", "half", "mirrored"],
)
def test_traffic_that_cannot_be_shared_is_refused(
    instances: ContainerInstances, azure: ScriptedAzure, weights: Weights
) -> None:
    group(azure, BLUE)
    group(azure, GREEN)
    with pytest.raises(PermanentError, match="do not share traffic"):
        instances.shift(TARGET, weights)


def test_traffic_to_what_is_not_there_is_refused(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    group(azure, BLUE, "100")
    with pytest.raises(PermanentError, match="it is not there"):
        instances.shift(TARGET, Weights(((GREEN, 100),)))
    assert instances.look(TARGET).weights == Weights(((BLUE, 100),))


def test_what_serves_is_not_deleted(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    group(azure, BLUE, "100")
    with pytest.raises(PermanentError, match="it has traffic"):
        instances.remove(TARGET, BLUE)
    instances.shift(TARGET, Weights(()))
    assert [instances.remove(TARGET, BLUE) for _ in range(2)] == [False, True]
    assert len(azure.calls("DELETE")) == 1


def test_an_endpoint_without_groups_is_there(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    azure.answers[f"GET {GROUPS}"] = {"value": []}
    assert (instances.ensure(TARGET).state, instances.ensure(TARGET).weights) == ("ready", Weights(()))


# Figures


def test_only_memory_is_told(instances: ContainerInstances, azure: ScriptedAzure) -> None:
    points = [{"timeStamp": "t", "average": 5.4e8}, {"timeStamp": "u", "average": 6e8}]
    azure.answers[f"GET {place()}/providers/Microsoft.Insights/metrics"] = {
        "value": [{"name": {"value": "MemoryUsage"}, "timeseries": [{"data": points}]}]
    }
    assert instances.memory(TARGET, BLUE, instance()) == 600_000_000
    assert azure.seen[-1].query["metricnames"] == "MemoryUsage"
    assert instances.started(TARGET, BLUE) is None
    assert instances.traffic(TARGET, BLUE, ml_world.NOW, mirrored=False) == Traffic(0, 0, None)


# What the container runs first


def test_a_file_that_is_there_whole_is_not_fetched_again(tmp_path: Path, azure: ScriptedAzure) -> None:
    (tmp_path / "a").write_bytes(b"12")
    container_boot.fetch([["a", "https://storage.evil.example/a?sig=1", "2"]], tmp_path, "")
    assert azure.seen == []


def test_an_address_without_a_signature_takes_the_identitys_token(tmp_path: Path, azure: ScriptedAzure) -> None:
    for name in ("a", "b"):
        azure.answers[f"GET /{name}"] = web.Response(body=name.encode())
    files = [[name, f"https://e.westeurope.inference.ml.azure.com/{name}", "1"] for name in ("a", "b")]
    program = f"""
import pathlib, runpy
fetch = runpy.run_path({container_boot.__file__!r})["fetch"]
fetch.__globals__["_token"] = lambda identity: print(identity) or "t"
fetch({files!r}, pathlib.Path({str(tmp_path)!r}), "me")
"""
    done = boot(program, azure)
    assert done.stdout == b"me\n"  # one token for all files
    assert [each.headers["authorization"] for each in azure.seen] == ["Bearer t", "Bearer t"]
    assert (tmp_path / "b").read_bytes() == b"b"


def boot(program: str, azure: ScriptedAzure) -> subprocess.CompletedProcess[bytes]:
    """In a process of its own, that finds the hosts of the test by its environment."""
    environment = os.environ | azure.environment
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done
