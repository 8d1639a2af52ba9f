"""Tests of images as jobs of Azure Machine Learning, against the stand-in; what a job that has ended says of its image."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from local.job_site import job_path, until
from tests.cloud.world import LocalCloud
from tests.contract.registries import SETTINGS
from tests.contract.test_jobs import made
from tidegate import ports
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.machine_learning import job_tests
from tidegate.adapters.machine_learning.job_tests import JobTests
from tidegate.adapters.machine_learning.jobs import MachineLearning
from tidegate.adapters.machine_learning.workspaces import JOB_API
from tidegate.errors import PermanentError
from tidegate.flows.images.image_gate import ImageTest
from tidegate.references import ImageRef

pytestmark = [pytest.mark.stack, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")]

IMAGE = ImageRef("tidegatestaging", "training/litter", f"sha256:{'a' * 64}")
TEST = ImageTest(
    "azure-ml", ("python", "-c", "print('a b')"), 90, 1, 2**30, 2**20, (("N", "1"),), 3, cluster="vision/gpu"
)


@pytest.fixture
def jobs() -> Iterator[MachineLearning]:
    with contextlib.closing(credential("")) as identity:  # type: ignore[type-var]  # a managed identity has connections
        settings = dataclasses.replace(SETTINGS, workspaces="vision")
        with contextlib.closing(MachineLearning(settings, identity)) as one:
            yield one


@pytest.fixture
def tests(jobs: MachineLearning) -> JobTests:
    return JobTests(jobs, ("vision",))


def test_a_test_is_a_job_of_the_digest_on_the_cluster(
    tests: JobTests, jobs: MachineLearning, cloud: LocalCloud
) -> None:
    run = tests.start(IMAGE, TEST)
    name = run.removeprefix("azure-ml.vision.")
    job = jobs._arm.get(job_path("vision", name), JOB_API, "the test")
    assert job is not None
    sent = job["properties"]
    assert sent["command"] == "python -c 'print('\"'\"'a b'\"'\"')'"
    assert (sent["environmentVariables"], sent["limits"]["timeout"]) == ({"N": "1"}, "PT1M30S")
    assert sent["computeId"].endswith("/computes/gpu")
    assert sent["tags"] == {"tidegate.test": str(IMAGE), "tidegate.timeout": "90"}
    environment = jobs._arm.get(sent["environmentId"], JOB_API, "its environment")
    assert environment is not None
    assert environment["properties"]["image"] == f"tidegatestaging.azurecr.io/training/litter@{IMAGE.digest}"
    tests.stop(run)


@pytest.mark.parametrize(
    ("job", "status"),
    [
        ({"status": "Completed"}, ports.TestPassed()),
        ({"status": "Running"}, ports.TestRunning()),
        (
            {"error": {"code": "UserError", "message": "User process exited with status code 5. See the log."}},
            ports.TestFailed("the command ended with exit status 5"),
        ),
        (
            {"error": {"code": "UserError", "message": "exit code 143", "innerError": {"code": "JobPreempted"}}},
            ports.TestErrored("no verdict: exit code 143"),
        ),
        (
            {"error": {"code": "UserError", "message": "Failed to pull"}},
            ports.TestErrored("no verdict: Failed to pull"),
        ),
        ({}, ports.TestErrored("no verdict: the job failed")),
    ],
    ids=["passed", "running", "failed", "evicted", "no-image", "no-words"],
)
def test_an_image_had_its_chance_only_if_its_command_ended(
    job: dict[str, Any], status: ports.TestStatus, tests: JobTests, cloud: LocalCloud
) -> None:
    made_job = made(cloud, **job)
    assert tests.status(f"azure-ml.vision.{made_job.run}") == status


def test_a_command_that_does_not_end_in_its_time_has_failed_and_a_cancelled_one_has_not(
    tests: JobTests, cloud: LocalCloud
) -> None:
    tags = {"tidegate.timeout": "1"}
    too_long, sooner = made(cloud, status="Canceled", properties={"tags": tags}), made(cloud, status="Canceled")
    cut = f"{too_long.run}-cut"
    body = {"jobType": "Command", "command": "sleep 30", "tags": tags, "limits": {"timeout": "PT1S"}}
    tests._jobs._arm.call("PUT", job_path("vision", cut), JOB_API, "a job", {"properties": body})
    ended = until(lambda: (found := tests.status(f"azure-ml.vision.{cut}")) != ports.TestRunning() and found, 20)
    assert ended == ports.TestFailed("the command did not end within 1 s")
    for cancelled in (too_long, sooner):
        assert isinstance(tests.status(f"azure-ml.vision.{cancelled.run}"), ports.TestErrored)


@pytest.mark.parametrize("run", ["azure-ml.vision.nobody", "azure-ml.vision", "cb1", "azure-ml.vision.a/b"])
def test_a_run_that_is_none_is_no_verdict_has_no_log_and_may_be_stopped(
    run: str, tests: JobTests, cloud: LocalCloud
) -> None:
    assert isinstance(tests.status(run), ports.TestErrored)
    assert tests.log(run, 100) == b""
    tests.stop(run)


def test_a_cluster_of_another_workspace_is_refused(tests: JobTests) -> None:
    with pytest.raises(PermanentError, match="TIDEGATE_WORKSPACES"):
        tests.start(IMAGE, dataclasses.replace(TEST, cluster="other/gpu"))


class Named:
    """An ImageTests port that says who was asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self, _image: ImageRef, _test: ImageTest) -> str:
        return self.name

    def log(self, _run: str, _limit: int) -> bytes:
        return self.name.encode()


def test_each_test_goes_to_the_runner_of_its_gate_and_each_run_back_to_its_own() -> None:
    runners = job_tests.TestRunners(Named("task"), Named("job"))  # type: ignore[arg-type]  # it has what is asked here
    assert runners.start(IMAGE, TEST) == "job"
    assert runners.start(IMAGE, dataclasses.replace(TEST, runner="acr-task", cluster="")) == "task"
    assert (runners.log("azure-ml.vision.x", 1), runners.log("cb1", 1)) == (b"job", b"task")
