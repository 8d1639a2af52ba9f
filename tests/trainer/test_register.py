"""An export is registered with its lineage, once, and never when its files changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.arm import Arm, Credential
from tests.trainer.runs import Undisturbed
from trainer import champion
from trainer.manifest import verify
from trainer.register import keep_as_champion, main, register, workspace_client

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


def decided(challenger: Path, best: Path, output: Path) -> dict[str, Any]:
    arguments = [str(challenger), "--champion", str(best), "--output", str(output), "--least-gain", "0.01"]
    assert champion.main(arguments) == 0
    decision: dict[str, Any] = json.loads((output / "decision.json").read_text())
    return decision


def test_what_was_registered_is_what_the_next_challenger_has_to_beat(undisturbed: Undisturbed, tmp_path: Path) -> None:
    export, kept = undisturbed.workdir / "export", tmp_path / "champions" / "animals"
    assert decided(export, kept, tmp_path)["reason"] == "there is no champion"
    for _ in range(2):
        keep_as_champion(export, kept)
        assert verify(kept) == verify(export)
    assert decided(export, kept, tmp_path)["promote"] is False
    (kept / "of-the-champion-before").write_text("x")
    keep_as_champion(export, kept)
    assert sorted(each.name for each in kept.iterdir()) == sorted(each.name for each in export.iterdir())
    (kept / "manifest.json").unlink()  # as a copy is that was cut off: nobody wins against half a champion
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        decided(export, kept, tmp_path)


def test_only_a_challenger_that_won_is_registered_and_kept(
    undisturbed: Undisturbed, arm: Arm, client: Any, tmp_path: Path
) -> None:
    export, decision, kept = undisturbed.workdir / "export", tmp_path / "decision.json", tmp_path / "champion"
    arguments = [str(export), "--name", "animals", "--uri", _URI, "--decision", str(decision), "--champion", str(kept)]
    decision.write_text('{"promote": false}')
    assert main(arguments, client) == 0
    assert (arm.asked, kept.exists()) == ([], False)
    decision.write_text('{"promote": true}')
    assert main(arguments, client) == 0
    assert len(arm.models) == 1
    assert verify(kept) == verify(export)


def test_outside_a_job_the_missing_names_are_told() -> None:
    with pytest.raises(SystemExit, match="AZUREML_ARM_WORKSPACE_NAME"):
        workspace_client({"AZUREML_ARM_SUBSCRIPTION": "s", "AZUREML_ARM_RESOURCEGROUP": "g"})
