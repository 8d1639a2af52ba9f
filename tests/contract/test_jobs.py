"""Runs through azure-ai-ml and the run history, against the stand-in; the client is the one that is deployed."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.credentials import TokenCredential

from local.job_site import job_path
from tests.cloud.world import LocalCloud
from tests.contract.registries import SETTINGS
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.machine_learning.jobs import MachineLearning
from tidegate.errors import PermanentError, TransientError
from tidegate.references import JobRef

pytestmark = [pytest.mark.stack, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")]


@pytest.fixture
def identity(cloud: LocalCloud) -> Iterator[TokenCredential]:
    with credential("") as one:  # type: ignore[attr-defined]  # a managed identity has connections to close
        yield one


@pytest.fixture
def jobs(identity: TokenCredential) -> Iterator[MachineLearning]:
    with contextlib.closing(MachineLearning(dataclasses.replace(SETTINGS, workspaces="vision"), identity)) as one:
        yield one


def made(cloud: LocalCloud, **job: Any) -> JobRef:
    """A job that has ended in the workspace."""
    properties = {
        "experimentName": "exp",
        "displayName": "Litter",
        "computeId": job_path("vision").replace("/jobs", "/computes/gpu-spot"),
        "environmentId": job_path("vision").replace("/jobs", "/environments/plain/versions/1"),
        "command": "python train.py --work ${{outputs.work}}",
        "outputs": {
            "work": {
                "jobOutputType": "uri_folder",
                "mode": "ReadWriteMount",
                "uri": "azureml://datastores/models/paths/x",
            }
        },
        "environmentVariables": {"EPOCHS": "3"},
        "tags": {"team": "vision"},
        "properties": {"mlflow.source.git.commit": "0a1b2c3"},
        **job.pop("properties", {}),
    }
    name = f"r-{uuid.uuid4().hex[:8]}"
    cloud.admin("POST", "jobs", {"jobs": [{"workspace": "vision", "name": name, "properties": properties, **job}]})
    return JobRef("vision", name)


def test_a_run_is_read_with_what_explains_it(jobs: MachineLearning, cloud: LocalCloud) -> None:
    good = made(cloud, status="Completed")
    job = made(cloud, error={"code": "UserError", "message": "preempted", "innerError": {"code": "JobPreempted"}})
    facts = jobs.describe(job, 1000)
    assert (facts.status, facts.experiment, facts.display_name) == ("failed", "exp", "Litter")
    assert (facts.compute, facts.tier, facts.commit) == ("gpu-spot", "low_priority", "0a1b2c3")
    assert (facts.error_code, facts.error) == ("UserError/JobPreempted", "preempted")
    assert (facts.tag("team"), facts.can_resubmit) == ("vision", True)
    assert facts.last_good.startswith(good.run)
    assert facts.studio.startswith(f"https://ml.azure.com/runs/{job.run}?")


def test_a_successor_is_the_same_job_with_its_lineage_and_once_only(jobs: MachineLearning, cloud: LocalCloud) -> None:
    job = made(cloud)
    name = f"{job.run}-attempt-1"
    for _ in range(2):
        assert jobs.resubmit(job, name, "gpu", (("tidegate.attempt", "1"),)) == name
    puts = [call for call in cloud.calls(method="PUT") if call["path"].endswith(name)]
    assert len(puts) == 1
    successor = jobs.describe(JobRef("vision", name), 1000)
    assert (successor.compute, successor.tag("tidegate.attempt"), successor.tag("team")) == ("gpu", "1", "vision")
    assert successor.commit == "0a1b2c3"


def test_a_run_that_nobody_knows_is_refused(jobs: MachineLearning) -> None:
    with pytest.raises(PermanentError, match="404"):
        jobs.describe(JobRef("vision", "nobody"), 10)


def test_a_pipeline_names_its_first_failing_step(jobs: MachineLearning, cloud: LocalCloud) -> None:
    pipeline = made(cloud, properties={"jobType": "Pipeline", "command": None, "jobs": {}})
    first, _ = (made(cloud, properties={"parentJobName": pipeline.run, "displayName": f"step {n}"}) for n in (1, 2))
    facts = jobs.describe(pipeline, 10)
    assert facts.failing_child == f"step 1 ({first.run})"
    assert not facts.can_resubmit


def test_what_ended_is_listed(jobs: MachineLearning, cloud: LocalCloud) -> None:
    failed, completed = made(cloud), made(cloud, status="Completed")
    listed = {each.job: each.status for each in jobs.ended("vision", 100)}
    assert (listed[failed], listed[completed]) == ("failed", "completed")


def test_a_workspace_that_does_not_answer_is_transient(jobs: MachineLearning, cloud: LocalCloud) -> None:
    cloud.fault("status", {"path": "/jobs"}, status=429, retryAfter=40)
    with pytest.raises(TransientError) as caught:
        jobs.ended("vision", 10)
    assert caught.value.retry_after == 40


def test_without_the_run_history_a_run_is_read_without_its_log(jobs: MachineLearning, cloud: LocalCloud) -> None:
    job = made(cloud)
    cloud.fault("status", {"host": "westeurope.api.azureml.ms", "path": "/history"}, status=403)
    facts = jobs.describe(job, 1000)
    assert (facts.status, facts.error, facts.log) == ("failed", "", "")
