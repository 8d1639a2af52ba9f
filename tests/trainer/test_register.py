"""An export is registered with its lineage, once, and never when its files changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.arm import Arm, Credential
from tests.trainer.runs import Undisturbed
from trainer.manifest import verify
from trainer.register import register, workspace_client

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # azure-ai-ml's own, of marshmallow

_URI = "azureml://datastores/workspaceblobstore/paths/models/horses"


@pytest.fixture
def arm() -> Arm:
    return Arm()


@pytest.fixture
def client(arm: Arm) -> Any:
    from azure.ai.ml import MLClient

    return MLClient(Credential(), "00000000-0000-0000-0000-00000000c0de", "rg-tidegate", "vision", transport=arm)


def test_a_registered_model_says_where_it_comes_from(undisturbed: Undisturbed, arm: Arm, client: Any) -> None:
    export = undisturbed.workdir / "export"
    made = register(export, "animals", client, uri=_URI, environment={"AZUREML_RUN_ID": "job-7"})
    assert (made.name, made.version) == ("animals", "1")
    [(_, path, query, body)] = [each for each in arm.asked if each[0] == "PUT"]
    assert path.endswith("/workspaces/vision/models/animals/versions/1")
    assert query == {"api-version": ["2023-08-01-preview"]}
    manifest = verify(export)
    properties = body["properties"]["properties"]
    assert properties["digest"] == manifest["digest"]
    assert properties["state"] == undisturbed.digest
    assert (properties["run"], properties["exact"], properties["data"]) == ("job-7", "yes", manifest["data"])
    assert float(properties["metrics.test_accuracy"]) == manifest["metrics"]["test_accuracy"]
    assert body["properties"]["modelUri"].endswith("/paths/models/horses")


def test_an_export_that_is_registered_again_keeps_its_version(undisturbed: Undisturbed, arm: Arm, client: Any) -> None:
    export = undisturbed.workdir / "export"
    first = register(export, "animals", client, uri=_URI)
    assert register(export, "animals", client, uri=_URI) == first
    assert len([each for each in arm.asked if each[0] == "PUT"]) == 1


def test_an_export_whose_files_changed_is_not_registered(
    undisturbed: Undisturbed, arm: Arm, client: Any, tmp_path: Path
) -> None:
    export = tmp_path / "export"
    shutil.copytree(undisturbed.workdir / "export", export)
    (export / "labels.json").write_text("[]")
    with pytest.raises(ValueError, match=r"labels\.json"):
        register(export, "animals", client, uri=_URI)
    assert arm.asked == []


def test_outside_a_job_the_missing_names_are_told() -> None:
    with pytest.raises(SystemExit, match="AZUREML_ARM_WORKSPACE_NAME"):
        workspace_client({"AZUREML_ARM_SUBSCRIPTION": "s", "AZUREML_ARM_RESOURCEGROUP": "g"})
