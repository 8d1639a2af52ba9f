"""The jobs are valid to the SDK that submits them, and call commands that there are; the image's own tests pass here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # azure-ai-ml's own, of marshmallow

_ROOT = Path(__file__).parents[2]
_JOBS = _ROOT / "trainer" / "jobs"


@pytest.mark.parametrize("name", ["train", "train-two-workers", "sweep", "retraining"])
def test_a_job_is_valid_to_the_sdk(name: str) -> None:
    from azure.ai.ml import load_job

    job: Any = load_job(_JOBS / f"{name}.yml")
    parts = job.jobs.values() if name == "retraining" else [job.trial if name == "sweep" else job]
    commands = [each.command for each in parts]
    for command in commands:
        module = command.split("python -m ")[1].split()[0]
        file = _ROOT / Path(*module.split("."))
        assert file.with_suffix(".py").exists() or (file / "__main__.py").exists(), command


def test_the_job_that_is_submitted_for_an_evicted_one_finds_its_work() -> None:
    """Azure ML's own folders have the job's name in them, and that one has another."""
    from azure.ai.ml import load_job

    for name in ("train", "train-two-workers"):
        job: Any = load_job(_JOBS / f"{name}.yml")
        assert re.fullmatch(r"azureml://datastores/\w+/paths/runs/[\w-]+", job.outputs["workdir"].path)
    retraining: Any = load_job(_JOBS / "retraining.yml")
    steps = retraining.jobs
    assert steps["train"].outputs["runs"].path == "azureml://datastores/workspaceblobstore/paths/runs/retraining"
    assert '--workdir "${{outputs.runs}}/${{inputs.run}}"' in steps["train"].command
    for name in ("evaluate", "register"):
        assert ' "${{inputs.runs}}/${{inputs.run}}/export" ' in steps[name].command
    champions = {steps[name].outputs["champions"].path for name in ("evaluate", "register")}
    assert champions == {"azureml://datastores/workspaceblobstore/paths/champions"}
    assert all(
        "--champion ${{outputs.champions}}/${{inputs.model_name}}" in steps[name].command
        for name in ("evaluate", "register")
    )
    assert {str(steps[name].inputs["run"]._data) for name in ("train", "evaluate", "register")} == {
        "${{parent.inputs.run}}"
    }


_IMAGE = f"tidegatehealthy.azurecr.io/training/trainer@sha256:{7:064x}"


@pytest.mark.parametrize(
    ("name", "at"), [("train", ""), ("train-two-workers", ""), ("sweep", "trial."), ("retraining", "jobs.train.")]
)
def test_whoever_submits_a_job_tells_the_trainer_its_image(name: str, at: str) -> None:
    """As `az ml job create --set` does it."""
    from azure.ai.ml import load_job

    job: Any = load_job(_JOBS / f"{name}.yml", params_override=[{f"{at}environment_variables.TRAINER_IMAGE": _IMAGE}])
    part = {"sweep": lambda: job.trial, "retraining": lambda: job.jobs["train"]}.get(name, lambda: job)()
    assert part.environment_variables == {"TRAINER_IMAGE": _IMAGE}


def test_the_environment_is_the_image_that_it_is_created_with_and_none_without() -> None:
    from azure.ai.ml import load_environment
    from azure.ai.ml.exceptions import MlException

    environment: Any = load_environment(_JOBS / "environment.yml", params_override=[{"image": _IMAGE}])
    assert (environment.name, environment.image) == ("trainer", _IMAGE)
    with pytest.raises(MlException, match="Docker image"):
        load_environment(_JOBS / "environment.yml").validate()


def test_the_schedule_starts_the_retraining_pipeline() -> None:
    from azure.ai.ml.entities._load_functions import load_schedule

    schedule: Any = load_schedule(_JOBS / "schedule.yml")
    assert list(schedule.create_job.jobs) == ["check", "train", "evaluate", "register"]
    assert schedule.create_job.inputs["run"]._data == "${{creation_context.trigger_time}}"
    assert schedule.create_job.inputs["model_name"]._data == "horses-or-humans"
    assert schedule.trigger.expression == "0 3 * * 1"


def test_the_images_own_tests_pass_outside_the_image_too(tmp_path: Path) -> None:
    shutil.copytree(_ROOT / "trainer", tmp_path / "trainer")
    shutil.copytree(_ROOT / "trainer" / "image" / "tests", tmp_path / "tests")
    command = ["-m", "unittest", "discover", "--start-directory", "tests", "--top-level-directory", "."]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"), [(["--config", "X"], "trainer --config X"), (["echo", "a b"], "a b")]
)
def test_the_entrypoint_gives_options_to_the_trainer_and_runs_other_commands(
    arguments: list[str], expected: str, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nshift\necho "$@"\n')
    python.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    entrypoint = _ROOT / "trainer" / "image" / "entrypoint"
    done = subprocess.run([entrypoint, *arguments], env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
