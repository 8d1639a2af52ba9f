"""The steps of the image and retraining pipelines after the build: waiting for a promotion, registering, starting a job."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import access
from infra.machine_learning import ENVIRONMENT, JOBS, Workspace
from infra.scripts import environments, register_trainer, start_retraining
from tests.infra.conftest import INFRA, ROOT
from tests.infra.fake_az import install, run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # azure-ai-ml's own, of marshmallow

IMAGE = f"healthy.azurecr.io/training/trainer@sha256:{1:064x}"
BUILD = INFRA / "scripts" / "build-image"


@dataclasses.dataclass
class Healthy:
    """A registry in which an image arrives when it was asked for often enough."""

    after: int
    asked: int = 0

    def digest(self, repository: str, tag: str) -> str:
        assert (repository, tag) == ("training/trainer", "v1")
        self.asked += 1
        return "sha256:1" if self.asked > self.after else ""


def test_a_promotion_is_waited_for() -> None:
    healthy = Healthy(after=2)

    assert register_trainer.promoted(healthy, "v1", limit=60, pause=0) == "sha256:1"
    assert healthy.asked == 3


def test_an_image_that_is_not_promoted_is_an_error_that_says_where_to_look() -> None:
    with pytest.raises(register_trainer.NotPromotedError, match=r"training/trainer:v1 .* `tidegate promotions`"):
        register_trainer.promoted(Healthy(after=9), "v1", limit=0)


@dataclasses.dataclass
class Studio:
    """A workspace that keeps what is registered."""

    name: str = "mlw-vision-dev"
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    started: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def image(self, version: str = "") -> str:
        return self.versions.get(version, "") if version else next(reversed(self.versions.values()), "")

    def register(self, image: str, version: str) -> None:
        self.versions[version] = image

    def retrain(self, run: str, image: str) -> str:
        self.started.append((run, image))
        return "job"


def test_an_image_is_registered_once_in_every_workspace() -> None:
    workspaces = [Studio("a"), Studio("b", {"v1": IMAGE})]

    assert list(register_trainer.register(IMAGE, "v1", workspaces)) == [
        f"a: trainer:v1 is {IMAGE}",
        "b: trainer:v1 is registered already",
    ]
    assert [each.versions for each in workspaces] == [{"v1": IMAGE}] * 2


def test_a_retraining_runs_in_the_newest_environment_and_is_told_its_image() -> None:
    studio = Studio(versions={"v1": "older", "v2": IMAGE})

    assert start_retraining.start(studio, "2026-11-30-7") == "job"
    assert studio.started == [("2026-11-30-7", IMAGE)]


def test_a_retraining_without_an_environment_says_who_makes_it() -> None:
    with pytest.raises(start_retraining.NotTrainableError, match="mlw-vision-dev has no environment trainer"):
        start_retraining.start(Studio(), "r")


def test_a_work_package_that_is_not_there_is_named() -> None:
    environment = environments.read("dev")

    assert start_retraining.workspace_of(environment, "vision") == "mlw-vision-dev"
    with pytest.raises(
        start_retraining.NotTrainableError, match="no work package visions; there are vision, forecasting"
    ):
        start_retraining.workspace_of(environment, "visions")


@dataclasses.dataclass
class Client:
    """As much of the SDK's client as the workspace uses; what it is given is kept."""

    made: list[Any] = dataclasses.field(default_factory=list)

    @property
    def environments(self) -> Client:
        return self

    @property
    def jobs(self) -> Client:
        return self

    def create_or_update(self, entity: Any) -> Any:
        self.made.append(entity)
        return entity


def test_what_is_registered_and_started_are_the_trainer_s_own_files() -> None:
    client: Any = Client()
    workspace = Workspace("mlw-vision-dev", client)
    workspace.register(IMAGE, "v1")
    workspace.retrain("today", IMAGE)
    environment, job = client.made

    assert (environment.name, environment.version, environment.image) == (ENVIRONMENT, "v1", IMAGE)
    assert environment.description.startswith("The trainer")
    assert job.inputs["run"]._data == "today"
    assert job.jobs["train"].environment_variables == {"TRAINER_IMAGE": IMAGE}
    jobs = yaml.safe_load((JOBS / "retraining.yml").read_text())["jobs"]
    assert {each["environment"] for each in jobs.values()} == {f"azureml:{ENVIRONMENT}@latest"}


NEEDED = {
    ("healthy-registry", "Microsoft.ContainerRegistry/registries/metadata/read"),
    ("workspace", "Microsoft.MachineLearningServices/workspaces/environments/read"),
    ("workspace", "Microsoft.MachineLearningServices/workspaces/environments/versions/read"),
    ("workspace", "Microsoft.MachineLearningServices/workspaces/environments/versions/write"),
    ("workspace", "Microsoft.MachineLearningServices/workspaces/jobs/write"),
    ("staging-registry", "Microsoft.ContainerRegistry/registries/listBuildSourceUploadUrl/action"),
    ("staging-registry", "Microsoft.ContainerRegistry/registries/scheduleRun/action"),
    ("staging-registry", "Microsoft.ContainerRegistry/registries/runs/listLogSasUrl/action"),
}


def test_the_pipeline_may_do_what_these_steps_ask_and_still_puts_nothing_into_healthy() -> None:
    granted = access.read()

    assert {each for each in NEEDED if not granted.allows("pipeline", *each)} == set()
    for action in ("push/write", "importImage/action", "scheduleRun/action"):
        assert not granted.allows("pipeline", "healthy-registry", f"Microsoft.ContainerRegistry/registries/{action}")


def built(folder: Path, image: str, source: str = "https://github.com/contoso/tidegate") -> list[list[str]]:
    done = run(install(folder), BUILD, "dev", image, "v7.1", source)
    assert done.code == 0, done.error
    return [each for each in done.arguments if each[0] == "acr"]


def option(command: list[str], name: str) -> list[str]:
    return [command[number + 1] for number, each in enumerate(command) if each == name]


def gate(name: str) -> Any:
    return next(each for each in yaml.safe_load((ROOT / "gates.yaml").read_text())["images"] if each["name"] == name)


def test_the_training_image_is_built_under_a_name_that_its_gate_takes(tmp_path: Path) -> None:
    (build,) = built(tmp_path, "trainer")

    assert option(build, "--image") == [f"{register_trainer.REPOSITORY}:v7.1"]
    assert option(build, "--registry") == ["st"]
    assert gate("training")["match"] == {"repository": "training/**", "tag": "v*"}
    assert f"{option(build, '--platform')[0]}" in gate("training")["require"]["platforms"]


def test_the_scoring_image_brings_what_its_gate_requires(tmp_path: Path) -> None:
    """Labels that say whence it is, and a list of what is in it."""
    build, attach = built(tmp_path, "scoring")
    wanted = gate("scoring")
    labels = {"source": "SOURCE=https://github.com/", "revision": "REVISION="}

    for label in wanted["require"]["labels"]:
        assert any(each.startswith(labels[label.rpartition(".")[2]]) for each in option(build, "--build-arg"))
    task = yaml.safe_load(Path(option(attach, "--file")[0]).read_text())
    (kind,) = wanted["promote"]["referrers"]["require"]
    assert f"--artifact-type {kind} $Registry/{{{{.Values.image}}}}" in task["steps"][-1]["cmd"]
    assert option(attach, "--set") == [f"image={option(build, '--image')[0]}"]


def test_every_build_argument_is_one_of_the_dockerfile(tmp_path: Path) -> None:
    for image in ("trainer", "scoring"):
        arguments = {each.partition("=")[0] for each in option(built(tmp_path, image)[0], "--build-arg")}
        assert arguments <= set(re.findall(r"^ARG (\w+)", (ROOT / image / "Dockerfile").read_text(), re.MULTILINE))


def test_an_image_that_nobody_knows_is_not_built(tmp_path: Path) -> None:
    done = run(install(tmp_path), BUILD, "dev", "trainers", "v1", "x")

    assert (done.code, done.calls) == (2, [])


def test_the_image_task_tags_what_the_gate_takes() -> None:
    assert "'${repository}:v{{.Run.ID}}'" in (INFRA / "modules" / "training-image-task.bicep").read_text()
