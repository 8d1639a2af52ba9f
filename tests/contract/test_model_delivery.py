"""Models and online endpoints against the stand-in, whose deployments are real inference servers."""

from __future__ import annotations

import contextlib
import datetime
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra import access
from local import world
from tests.azurite import Azurite
from tests.cloud.images import Pusher
from tests.cloud.world import LocalCloud, eventually, local_cloud
from tests.contract.registries import SETTINGS
from tidegate.adapters.arm import Arm
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.machine_learning.artefact_places import ArtefactPlaces
from tidegate.adapters.machine_learning.models import MachineLearningModels
from tidegate.adapters.machine_learning.workspaces import Workspaces
from tidegate.adapters.serving.azure_metrics import AzureMetrics
from tidegate.adapters.serving.container_instances import ContainerInstances
from tidegate.adapters.serving.deployment_assets import DeploymentAssets
from tidegate.adapters.serving.online_endpoints import OnlineEndpoints
from tidegate.adapters.serving.scoring_requests import ScoringRequests
from tidegate.adapters.storage.storage_account import StorageAccount
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.deployment_name import deployment_name
from tidegate.flows.models.model_facts import COPY_TAG, Candidate, Weights
from tidegate.flows.models.model_gate import Instance, Target, WorkspaceRef
from tidegate.model_ports import Placed
from tidegate.references import ModelRef

pytestmark = pytest.mark.stack

SCRIPT = b"""
import os, pathlib

def init():
    global answer
    answer = next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).rglob("answer.txt")).read_text()

def run(data):
    return {"digits": [int(answer)], "mode": os.environ.get("MODE", "")}
"""
BROKEN = b"def init():\n    raise RuntimeError('no weights')\n\ndef run(data):\n    return 0\n"
DECLARED = json.loads((Path(__file__).parents[1] / "infra" / "adapter_actions.json").read_text())["adapters"]
INSTANCE = Instance("Standard_DS2_v2", 1, cpu=2, memory=7 << 30)


@pytest.fixture(scope="module")
def running(emulator: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path_factory.mktemp("ml-cloud"), emulator) as one:
        yield one


@pytest.fixture
def cloud(running: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.admin("DELETE", "faults")
    running.admin("DELETE", "calls")
    return running


@pytest.fixture(autouse=True)
def permitted(cloud: LocalCloud) -> Iterator[None]:
    """What a test's calls take is declared for the adapters, and both apps have it (the stand-in itself lets everyone here)."""
    cloud.admin("DELETE", "permissions")
    yield
    taken = {(each["scope"], each["action"]) for each in cloud.admin("GET", "permissions")["permissions"]}
    assert taken
    assert taken <= {(each["scope"], each["action"]) for each in DECLARED}
    granted = access.read()
    for app in ("events-app", "api-app"):
        assert {each for each in taken if not granted.allows(app, *each)} == set()


@pytest.fixture
def arm(cloud: LocalCloud) -> Iterator[Arm]:
    with credential("") as identity, contextlib.closing(Arm(identity)) as one:  # type: ignore[attr-defined]
        yield one


@pytest.fixture
def workspaces(arm: Arm) -> Workspaces:
    return Workspaces(SETTINGS, arm)


@pytest.fixture
def models(workspaces: Workspaces) -> Iterator[MachineLearningModels]:
    with (
        credential("") as identity,  # type: ignore[attr-defined]
        contextlib.closing(ArtefactPlaces(workspaces, identity)) as places,
    ):
        yield MachineLearningModels(workspaces, places)


@pytest.fixture
def endpoints(workspaces: Workspaces, models: MachineLearningModels) -> Iterator[OnlineEndpoints]:
    with (
        credential("") as identity,  # type: ignore[attr-defined]
        contextlib.closing(ScoringRequests()) as requests,
    ):
        assets = DeploymentAssets(workspaces, models.folder_of, models.fetch)
        yield OnlineEndpoints(workspaces, assets, requests, AzureMetrics(workspaces.arm), identity)


@pytest.fixture
def image(cloud: LocalCloud) -> str:
    repository = f"serving/{uuid.uuid4().hex[:8]}"
    digest = Pusher(f"http://127.0.0.1:{cloud.registries[world.HEALTHY]}", repository).image("v1", b"layer")
    return f"{world.login_server(world.HEALTHY)}/{repository}@{digest}"


def registered(
    workspaces: Workspaces, account: StorageAccount, answer: int = 7, version: str = "1", script: bytes = SCRIPT
) -> ModelRef:
    """A model of its own in workspace `vision`, with a scoring script, as somebody would register it."""
    model = ModelRef("vision", f"digits-{uuid.uuid4().hex[:8]}", version)
    return written(workspaces, account, model, {"answer.txt": str(answer).encode(), "scoring/score.py": script})


def written(workspaces: Workspaces, account: StorageAccount, model: ModelRef, files: Mapping[str, bytes]) -> ModelRef:
    root = workspaces.id(WorkspaceRef(model.workspace))
    container = str(workspaces.datastore(root, "workspaceblobstore")["containerName"])
    path = f"mine/{model.name}/{model.version}"
    with account.blobs() as service:
        for name, content in files.items():
            service.get_blob_client(container, f"{path}/{name}").upload_blob(content, overwrite=True)
    uri = f"azureml://datastores/workspaceblobstore/paths/{path}/"
    body = {"properties": {"modelUri": uri, "tags": {"task": "classification"}, "properties": {"run": "r1"}}}
    workspaces.arm.call("PUT", f"{root}/models/{model.name}/versions/{model.version}", "2023-08-01-preview", "m", body)
    return model


def placed_at(models: MachineLearningModels, model: ModelRef, workspace: str, registry: str = "") -> Placed:
    found = eventually(lambda: models.place(model, WorkspaceRef(workspace), registry), "never placed")
    assert isinstance(found, Placed)
    return found


def candidate(
    models: MachineLearningModels, model: ModelRef, image: str, mode: str = "", registry: str = ""
) -> Candidate:
    placed = placed_at(models, model, "vision-int", registry)
    return Candidate(
        model,
        placed.asset,
        model.version,
        placed.sha256,
        1,
        image,
        "scoring/score.py",
        "samples.json",
        (("MODE", mode),),
    )


def ready(endpoints: OnlineEndpoints, target: Target, name: str) -> None:
    eventually(lambda: endpoints.deployment(target, name).state != "busy", "never made", 60)
    assert endpoints.deployment(target, name).state == "ready", endpoints.deployment(target, name)


@pytest.fixture
def target(endpoints: OnlineEndpoints) -> Target:
    """An endpoint of this test's own, that is there."""
    one = Target("managed", WorkspaceRef("vision-int"), f"d-{uuid.uuid4().hex[:10]}")
    eventually(lambda: endpoints.ensure(one).state == "ready", "the endpoint was never made")
    return one


# Models


def test_a_model_is_copied_to_the_workspace_of_a_stage_and_read_there(
    models: MachineLearningModels, workspaces: Workspaces, account: StorageAccount
) -> None:
    model = registered(workspaces, account)
    placed = placed_at(models, model, "vision-int")
    assert placed.sha256 == models.artefact(model, 0).sha256
    assert models.folder_of(placed.asset).read("answer.txt", 10) == b"7"
    copy = models.describe(ModelRef("vision-int", model.name, model.version))
    assert (copy.tags, copy.properties) == ({"task": "classification", COPY_TAG: str(model)}, {"run": "r1"})
    assert placed_at(models, model, "vision-int") == placed


def test_a_model_goes_through_a_registry_and_is_read_there(
    models: MachineLearningModels, workspaces: Workspaces, account: StorageAccount
) -> None:
    model = registered(workspaces, account)
    placed = placed_at(models, model, "vision-int", world.MODEL_REGISTRY)
    assert placed.asset == f"azureml://registries/{world.MODEL_REGISTRY}/models/{model.name}/versions/1"
    assert placed.sha256 == models.artefact(model, 0).sha256
    assert models.folder_of(placed.asset).read("scoring/score.py", 1000) == SCRIPT


def test_what_somebody_put_in_the_way_is_refused(
    models: MachineLearningModels, workspaces: Workspaces, account: StorageAccount
) -> None:
    model = registered(workspaces, account)
    written(
        workspaces, account, ModelRef("vision-int", model.name, "1"), {"answer.txt": b"8", "scoring/score.py": SCRIPT}
    )
    with pytest.raises(PermanentError, match="other bytes"):
        models.place(model, WorkspaceRef("vision-int"), "")


def test_marks_and_the_newest_versions_are_seen(
    models: MachineLearningModels, workspaces: Workspaces, account: StorageAccount
) -> None:
    model = registered(workspaces, account)
    models.mark(model, {"tidegate.int.record": "https://evidence/x.json"})
    models.mark(model, {"tidegate.int.sha256": "ab"})
    tags = models.describe(model).tags
    assert (tags["tidegate.int.record"], tags["tidegate.int.sha256"]) == ("https://evidence/x.json", "ab")
    assert models.recent("vision", 3)[0].model == model


# Endpoints


def test_a_model_is_deployed_asked_measured_given_traffic_and_removed(
    models: MachineLearningModels,
    endpoints: OnlineEndpoints,
    workspaces: Workspaces,
    account: StorageAccount,
    image: str,
    target: Target,
) -> None:
    """One life of an endpoint with two deployments; the steps are those of a rollout."""
    began = datetime.datetime.now(datetime.UTC)
    first, second = registered(workspaces, account, 7), registered(workspaces, account, 8, "2")
    names = [deployment_name(each.name, each.version) for each in (first, second)]
    for model, name in zip((first, second), names, strict=True):
        for _ in range(2):
            endpoints.create(target, name, candidate(models, model, image, "fast"), INSTANCE)
    for name in names:
        ready(endpoints, target, name)

    answers = [json.loads(endpoints.ask(target, name, b'{"data": []}', 10).body) for name in names]
    assert answers == [{"digits": [7], "mode": "fast"}, {"digits": [8], "mode": "fast"}]
    assert endpoints.look(target).weights == Weights(())

    divide(endpoints, target, Weights(((names[0], 100),)))
    divide(endpoints, target, Weights(((names[0], 100),), ((names[1], 10),)))
    divide(endpoints, target, Weights(((names[0], 90), (names[1], 10))))
    with pytest.raises(PermanentError, match="it has traffic"):
        endpoints.remove(target, names[1])
    divide(endpoints, target, Weights(((names[1], 100),)))

    figures = endpoints.traffic(target, names[1], began, mirrored=False)
    assert (figures.requests, figures.failed) == (1, 0)
    assert figures.p95 is not None
    assert endpoints.traffic(target, names[1], began, mirrored=True).requests == 1
    memory, started = endpoints.memory(target, names[1], INSTANCE), endpoints.started(target, names[1])
    assert memory is not None
    assert 5 << 20 < memory < 2 << 30
    assert started is not None
    assert 0 < started < 60

    assert not endpoints.remove(target, names[0])
    eventually(lambda: endpoints.deployment(target, names[0]).state == "missing", "never removed", 60)
    assert endpoints.remove(target, names[0])


def divide(endpoints: OnlineEndpoints, target: Target, weights: Weights) -> None:
    """Ask until it is so, as the flow does."""

    def asked() -> bool:
        with contextlib.suppress(TransientError):
            endpoints.shift(target, weights)
        seen = endpoints.look(target)
        shown = (dict(seen.weights.live), dict(seen.weights.mirror))
        return seen.state == "ready" and shown == (dict(weights.live), dict(weights.mirror))

    eventually(asked, f"never divided as {weights}")


def test_a_script_that_fails_is_told_with_its_code(
    models: MachineLearningModels,
    endpoints: OnlineEndpoints,
    workspaces: Workspaces,
    account: StorageAccount,
    image: str,
    target: Target,
) -> None:
    model = registered(workspaces, account, script=BROKEN)
    name = deployment_name(model.name, model.version)
    endpoints.create(target, name, candidate(models, model, image), INSTANCE)
    eventually(lambda: endpoints.deployment(target, name).state == "failed", "never failed", 60)
    seen = endpoints.deployment(target, name)
    assert (
        seen.code == "ResourceNotReady"
    )  # a managed endpoint's word (azure-docs: how-to-troubleshoot-online-endpoints)
    assert "no weights" in seen.reason


def test_what_the_operation_says_is_why_a_deployment_failed(
    models: MachineLearningModels,
    endpoints: OnlineEndpoints,
    workspaces: Workspaces,
    account: StorageAccount,
    image: str,
    target: Target,
    cloud: LocalCloud,
) -> None:
    """As where quota or capacity is missing: the call that asked for it was answered well."""
    model = registered(workspaces, account)
    name = deployment_name(model.name, model.version)
    made = candidate(models, model, image)
    cloud.fault("fail-operation", {"method": "PUT", "path": f"/deployments/{name}"})
    endpoints.create(target, name, made, INSTANCE)
    eventually(lambda: endpoints.deployment(target, name).state == "failed", "never failed")
    seen = endpoints.deployment(target, name)
    assert (seen.code, seen.reason) == ("InvalidParameters", "A test asked for this failure.")


def test_a_model_of_a_registry_is_deployed_with_its_code(
    models: MachineLearningModels,
    endpoints: OnlineEndpoints,
    workspaces: Workspaces,
    account: StorageAccount,
    image: str,
    target: Target,
) -> None:
    """A registry's storage is closed to the workspace: its code is copied there."""
    model = registered(workspaces, account, 5)
    name = deployment_name(model.name, model.version)
    made = candidate(models, model, image, registry=world.MODEL_REGISTRY)
    endpoints.create(target, name, made, INSTANCE)
    ready(endpoints, target, name)
    assert json.loads(endpoints.ask(target, name, b"{}", 10).body)["digits"] == [5]


def test_an_instance_that_is_none_is_refused_at_once(
    models: MachineLearningModels,
    endpoints: OnlineEndpoints,
    workspaces: Workspaces,
    account: StorageAccount,
    image: str,
    target: Target,
) -> None:
    model = registered(workspaces, account)
    with pytest.raises(PermanentError, match=r"^BadArgument: The instance type"):
        endpoints.create(target, "some-name", candidate(models, model, image), Instance("Standard_X", 1, 1, 1 << 30))
    assert endpoints.deployment(target, "some-name").state == "missing"


def test_a_model_is_served_on_an_attached_cluster(
    models: MachineLearningModels,
    endpoints: OnlineEndpoints,
    workspaces: Workspaces,
    account: StorageAccount,
    image: str,
) -> None:
    """Two replicas, set by hand; the memory is told as a share of one."""
    target = Target("kubernetes", WorkspaceRef("vision-int"), f"k-{uuid.uuid4().hex[:10]}", world.KUBERNETES)
    size = Instance("defaultinstancetype", 2, cpu=0.5, memory=3 << 29)
    eventually(lambda: endpoints.ensure(target).state == "ready", "the endpoint was never made")
    model = registered(workspaces, account, 4)
    name = deployment_name(model.name, model.version)
    endpoints.create(target, name, candidate(models, model, image), size)
    ready(endpoints, target, name)
    divide(endpoints, target, Weights(((name, 100),)))
    assert json.loads(endpoints.ask(target, name, b"{}", 10).body)["digits"] == [4]
    memory = endpoints.memory(target, name, size)
    assert memory is not None
    assert 5 << 20 < memory < size.memory


# Container instances


def test_a_model_is_served_by_container_groups_that_fetch_its_files(
    models: MachineLearningModels, workspaces: Workspaces, account: StorageAccount, image: str
) -> None:
    """Two groups, of which a tag says who serves; the command that fetches the model is the one that Azure would run."""
    target = Target("container-instance", WorkspaceRef("vision-int"), f"c-{uuid.uuid4().hex[:10]}")
    size = Instance("", 1, cpu=1, memory=3 << 29)
    names = ["blue-0f3c5a1b9d24", "green-aaaaaaaaaaaa"]
    with contextlib.closing(ScoringRequests()) as requests:
        metrics = AzureMetrics(workspaces.arm)
        groups = ContainerInstances(workspaces, models.folder_of, requests, metrics, "")
        assert groups.ensure(target).weights == Weights(())
        for number, name in enumerate(names, 7):
            model = registered(workspaces, account, number)
            for _ in range(2):
                groups.create(target, name, candidate(models, model, image, "fast"), size)
        for number, name in enumerate(names, 7):
            eventually(lambda one=name: groups.deployment(target, one).state != "busy", "never decided", 60)  # type: ignore[misc]
            assert groups.deployment(target, name).state == "ready", groups.deployment(target, name)
            asked = groups.ask(target, name, b'{"data": []}', 10)
            assert (asked.status, json.loads(asked.body)) == (200, {"digits": [number], "mode": "fast"})
        for serving in names:
            groups.shift(target, Weights(((serving, 100),)))
            assert groups.look(target).weights == Weights(((serving, 100),))
        memory = groups.memory(target, names[0], size)
        assert memory is None or 5 << 20 < memory < size.memory
        with pytest.raises(PermanentError, match="it has traffic"):
            groups.remove(target, names[1])
        assert not groups.remove(target, names[0])
        eventually(lambda: groups.remove(target, names[0]), "never removed", 30)
        groups.shift(target, Weights(()))
        groups.remove(target, names[1])


def test_a_group_whose_script_fails_is_given_up(
    models: MachineLearningModels, workspaces: Workspaces, account: StorageAccount, image: str
) -> None:
    target = Target("container-instance", WorkspaceRef("vision-int"), f"c-{uuid.uuid4().hex[:10]}")
    model = registered(workspaces, account, script=BROKEN)
    with contextlib.closing(ScoringRequests()) as requests:
        groups = ContainerInstances(workspaces, models.folder_of, requests, AzureMetrics(workspaces.arm), "")
        groups.create(target, "blue", candidate(models, model, image), Instance("", 1, cpu=1, memory=3 << 29))
        eventually(lambda: groups.deployment(target, "blue").state == "failed", "never given up", 60)
        seen = groups.deployment(target, "blue")
        assert seen.code
        assert seen.reason
        groups.remove(target, "blue")
