"""Models through the real azure-ai-ml: uploaded, registered, listed, downloaded, shared; served and asked from end to end."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from local import world
from local.cloud.ml_server import SERVING
from local.parts import ROOT
from tests.cloud.ml_world import Workspace

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::ResourceWarning"),
]


@pytest.fixture
def client(workspace: Workspace) -> Any:
    """azure-ai-ml as anybody uses it."""
    from azure.ai.ml import MLClient

    return MLClient(workspace.credential, world.SUBSCRIPTION, world.RESOURCE_GROUP, workspace.name, show_progress=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that no other test uploads."""
    place = tmp_path / "litter"
    (place / "scoring").mkdir(parents=True)
    (place / "weights.bin").write_text(uuid.uuid4().hex)
    (place / "scoring" / "score.py").write_text("def init(): ...\n")
    return place


@pytest.fixture
def name() -> str:
    return f"litter-{uuid.uuid4().hex[:8]}"


def register(client: Any, name: str, path: Path | str, version: str | None = "1", **more: Any) -> Any:
    from azure.ai.ml.entities import Model

    return client.models.create_or_update(Model(name=name, version=version, path=str(path), **more))


def contents(place: Path) -> dict[str, bytes]:
    return {str(each.relative_to(place)): each.read_bytes() for each in place.rglob("*") if each.is_file()}


def test_a_folder_comes_back_as_it_was_registered(client: Any, name: str, folder: Path, tmp_path: Path) -> None:
    register(client, name, folder, tags={"task": "litter"}, properties={"metrics.accuracy": "0.97"})
    found = client.models.get(name, version="1")
    assert (found.tags, found.properties) == ({"task": "litter"}, {"metrics.accuracy": "0.97"})
    client.models.download(name, "1", download_path=tmp_path / "back")
    assert contents(tmp_path / "back" / name / folder.name) == contents(folder)


def test_a_new_version_raises_an_event_and_a_changed_tag_none(
    client: Any, name: str, folder: Path, workspace: Workspace
) -> None:
    model = register(client, name, folder, tags={"task": "litter"})
    model.tags["seen"] = "yes"
    client.models.create_or_update(model)
    raised = workspace.cloud.admin("GET", "events")["events"]
    (event,) = (each["event"] for each in raised if each["event"]["subject"] == f"models/{name}:1")
    assert event["eventType"] == "Microsoft.MachineLearningServices.ModelRegistered"
    assert event["topic"] == world.workspace_id(workspace.name)
    wanted = {"modelName": name, "modelVersion": "1", "modelTags": {"task": "litter"}, "modelProperties": {}}
    assert event["data"] == wanted
    assert client.models.get(name, version="1").tags == {"task": "litter", "seen": "yes"}


def test_versions_count_up_and_archived_ones_are_not_listed(client: Any, name: str, folder: Path) -> None:
    for _ in range(3):
        register(client, name, folder, version=None)
    assert [each.version for each in client.models.list(name=name)] == ["3", "2", "1"]
    assert client.models.get(name, label="latest").version == "3"
    client.models.archive(name, version="2")
    assert [each.version for each in client.models.list(name=name)] == ["3", "1"]
    client.models.restore(name, version="2")
    assert [each.version for each in client.models.list(name=name)] == ["3", "2", "1"]


def test_the_files_of_a_version_never_change(client: Any, name: str, folder: Path) -> None:
    register(client, name, folder)
    with pytest.raises(HttpResponseError, match="Asset paths cannot be updated"):
        register(client, name, folder / "scoring")


def test_a_model_without_files_is_refused(workspace: Workspace) -> None:
    body = {"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/nothing/here"}}
    assert workspace.arm("PUT", "/models/empty/versions/1", body).status_code == 400
    assert workspace.arm("GET", "/models/empty/versions/1").status_code == 404


def test_a_model_is_shared_through_a_registry_once(client: Any, name: str, folder: Path, tmp_path: Path) -> None:
    from azure.ai.ml import MLClient

    register(client, name, folder, tags={"task": "litter"})
    shared = {"share_with_name": name, "share_with_version": "1", "registry_name": world.MODEL_REGISTRY}
    client.models.share(name, "1", **shared)
    registry = MLClient(client._credential, registry_name=world.MODEL_REGISTRY)
    found = registry.models.get(name, version="1")
    assert found.id == f"azureml://registries/{world.MODEL_REGISTRY}/models/{name}/versions/1"
    assert found.tags == {"task": "litter"}
    registry.models.download(name, "1", download_path=tmp_path / "back")
    assert contents(tmp_path / "back" / name / folder.name) == contents(folder)
    with pytest.raises(Exception, match="already exists in registry"):
        client.models.share(name, "1", **shared)


@pytest.mark.parametrize("environment", world.ENVIRONMENTS)
@pytest.mark.parametrize("name", world.WORKSPACES)
def test_every_workspace_is_there_once_an_environment(workspace: Workspace, name: str, environment: str) -> None:
    one = dataclasses.replace(workspace, name=f"{name}-{environment}")
    assert one.arm("GET", "").json()["name"] == f"{name}-{environment}"
    assert one.arm("GET", f"/computes/{world.KUBERNETES}").json()["properties"]["computeType"] == "Kubernetes"


def test_a_workspace_that_nobody_made_is_not_there(client: Any) -> None:
    from azure.ai.ml import MLClient

    with pytest.raises(ResourceNotFoundError):
        MLClient(client._credential, world.SUBSCRIPTION, world.RESOURCE_GROUP, "other").models.get("x", version="1")


def test_a_trained_model_is_registered_served_asked_and_deleted(
    client: Any, name: str, tmp_path: Path, workspace: Workspace
) -> None:
    """The digits of local/demo, with nothing between the SDK and the inference server but the stand-in."""
    from azure.ai.ml.entities import CodeConfiguration, Environment, ManagedOnlineDeployment, ManagedOnlineEndpoint

    trained = tmp_path / "digits"
    train = [str(SERVING / "bin/python"), str(ROOT / "local/demo/digits/train.py"), str(trained)]
    metrics = json.loads(subprocess.run(train, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert metrics["accuracy"] > 0.95
    samples = json.loads((trained / "samples.json").read_text())

    model = register(client, name, trained)
    endpoint = ManagedOnlineEndpoint(name=name, auth_mode="key")
    made = client.online_endpoints.begin_create_or_update(endpoint).result()
    deployment = ManagedOnlineDeployment(
        name="blue",
        endpoint_name=name,
        model=model.id,
        environment=Environment(name="scoring", version="1", image="mcr.microsoft.com/scoring:1"),
        code_configuration=CodeConfiguration(code=str(trained / "scoring"), scoring_script="score.py"),
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    assert client.online_deployments.begin_create_or_update(deployment).result().provisioning_state == "Succeeded"
    made.traffic = {"blue": 100}
    assert client.online_endpoints.begin_create_or_update(made).result().traffic == {"blue": 100}

    asked = tmp_path / "request.json"
    asked.write_text(json.dumps(samples[0]["request"]))
    assert json.loads(client.online_endpoints.invoke(name, request_file=str(asked))) == samples[0]["response"]
    headers = {"Authorization": f"Bearer {client.online_endpoints.get_keys(name).primary_key}"}
    answers = [requests.post(made.scoring_uri, json=each["request"], headers=headers, timeout=30) for each in samples]
    assert [each.json() for each in answers] == [each["response"] for each in samples]

    made.traffic = {}
    client.online_endpoints.begin_create_or_update(made).result()
    # Why nothing of this project asks by `invoke`: the name of a deployment stays in the headers of its later calls.
    client.online_endpoints.invoke(name, request_file=str(asked), deployment_name="blue")
    assert requests.post(made.scoring_uri, json={}, headers=headers, timeout=30).status_code == 404
    assert json.loads(client.online_endpoints.invoke(name, request_file=str(asked))) == samples[0]["response"]
    client.online_deployments.begin_delete(name="blue", endpoint_name=name).result()
    client.online_endpoints.begin_delete(name=name).result()
    assert name not in [each.name for each in client.online_endpoints.list()]
