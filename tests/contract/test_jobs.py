"""Runs through azure-ai-ml and the run history, against the stand-in; the client is the one that is deployed."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.credentials import TokenCredential

from local.job_site import job_path, until
from tests.cloud.world import LocalCloud
from tests.contract.registries import SETTINGS
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.machine_learning.jobs import MachineLearning
from tidegate.adapters.machine_learning.workspaces import JOB_API
from tidegate.errors import NotFound, PermanentError, TransientError
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
    good, _ = made(cloud, status="Completed"), made(cloud, status="Completed", properties={"experimentName": "other"})
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
        assert jobs.resubmit(job, name, (("gpu-spot", "gpu"),), (("tidegate.attempt", "1"),)) == name
    puts = [call for call in cloud.calls(method="PUT") if call["path"].endswith(name)]
    assert len(puts) == 1
    successor = jobs.describe(JobRef("vision", name), 1000)
    assert (successor.compute, successor.tag("tidegate.attempt"), successor.tag("team")) == ("gpu", "1", "vision")
    assert successor.commit == "0a1b2c3"


def test_a_run_that_nobody_knows_is_refused(jobs: MachineLearning) -> None:
    with pytest.raises(NotFound, match="there is none"):
        jobs.describe(JobRef("vision", "nobody"), 10)


def test_a_pipeline_names_its_first_failing_step(jobs: MachineLearning, cloud: LocalCloud) -> None:
    pipeline = made(cloud, properties={"jobType": "Pipeline", "command": None, "jobs": {}})
    first, _ = (made(cloud, properties={"parentJobName": pipeline.run, "displayName": f"step {n}"}) for n in (1, 2))
    facts = jobs.describe(pipeline, 10)
    details = [call["path"] for call in cloud.calls(method="GET") if call["path"].endswith("/details")]
    assert details[-1].endswith(f"/runs/{first.run}/details"), "the log is that of the step"
    assert facts.failing_child == f"step 1 ({first.run})"
    assert [(step.name, step.compute) for step in facts.steps] == [("step 1", "gpu-spot"), ("step 2", "gpu-spot")]
    assert facts.can_resubmit
    assert not jobs.describe(first, 10).can_resubmit


def test_a_pipeline_names_the_steps_that_failed_within_its_pipelines(jobs: MachineLearning, cloud: LocalCloud) -> None:
    root = made(cloud, properties={"jobType": "Pipeline"}, error={"code": "UserError", "message": "Pipeline failed"})
    inner = made(
        cloud,
        properties={"jobType": "Pipeline", "parentJobName": root.run},
        error={"code": "UserError", "message": "Pipeline has failed child jobs. Failed nodes: /a."},
    )
    evicted = {"code": "UserError", "message": "The job was preempted", "innerError": {"code": "JobPreempted"}}
    step = made(cloud, properties={"parentJobName": inner.run}, error=evicted)
    for pipeline in (root, inner):
        facts = jobs.describe(pipeline, 100)
        assert [(each.run, each.error_code) for each in facts.steps] == [(step.run, "UserError/JobPreempted")]
    assert jobs.describe(root, 10).can_resubmit


def test_a_pipeline_with_more_failed_steps_than_are_read_is_not_submitted_again(
    jobs: MachineLearning, cloud: LocalCloud
) -> None:
    pipeline = made(cloud, properties={"jobType": "Pipeline", "command": None, "jobs": {}})
    for number in range(21):
        made(cloud, properties={"parentJobName": pipeline.run, "displayName": f"step {number}"})
    facts = jobs.describe(pipeline, 10)
    assert (len(facts.steps), facts.can_resubmit) == (20, False)


def test_a_copy_of_a_pipeline_takes_over_what_was_done_and_runs_the_rest_elsewhere(
    jobs: MachineLearning, cloud: LocalCloud
) -> None:
    spot = job_path("vision").replace("/jobs", "/computes/gpu-spot")
    environment = job_path("vision").replace("/jobs", "/environments/plain/versions/1")
    nodes: dict[str, dict[str, Any]] = {
        "prepare": {"type": "command", "command": "true", "computeId": spot, "environmentId": environment},
        "train": {
            "type": "command",
            "command": "test -n $AZUREML_RUN_ID",
            "computeId": spot,
            "environmentId": environment,
        },
        "inner": {"type": "pipeline", "jobs": {"a": {"type": "command", "command": "true", "computeId": spot}}},
    }
    settings = {"default_compute": "gpu-spot"}
    outputs = {
        "model": {"jobOutputType": "uri_folder", "uri": "azureml://datastores/models/paths/x"},
        "default": {"jobOutputType": "uri_folder"},
    }
    own = {"jobType": "Pipeline", "command": None, "jobs": nodes, "settings": settings, "outputs": outputs}
    pipeline = made(cloud, properties=own)
    step = {"workspace": "vision", "name": f"{pipeline.run}-prepare", "status": "Completed"}
    cloud.admin("POST", "jobs", {"jobs": [{**step, "properties": {**nodes["prepare"], "parentJobName": pipeline.run}}]})

    name = f"{pipeline.run}-attempt-1"
    for _ in range(2):
        assert jobs.resubmit(pipeline, name, (("gpu-spot", "gpu"),), (("tidegate.attempt", "1"),)) == name
    assert len([call for call in cloud.calls(method="PUT") if call["path"].endswith(name)]) == 1
    made_again = jobs._arm.get(f"{job_path('vision')}/{name}", JOB_API, "the copy")
    assert made_again is not None
    sent = made_again["properties"]
    moved = sent["jobs"]["train"]["computeId"], sent["jobs"]["inner"]["jobs"]["a"]["computeId"]
    assert all(compute.endswith("/computes/gpu") for compute in moved)
    assert (sent["settings"]["default_compute"], list(sent["outputs"])) == ("gpu", ["model"])
    assert sent["sourceJobId"].endswith(f"/jobs/{pipeline.run}")
    assert sent["tags"] == {"team": "vision", "tidegate.attempt": "1"}
    assert until(lambda: jobs.describe(JobRef("vision", name), 10).status == "completed", 20)


def test_a_job_that_the_sdk_cannot_read_is_read_and_hides_no_other(jobs: MachineLearning, cloud: LocalCloud) -> None:
    odd = {"jobType": "OfTheNextYear", "outputs": {"default": {"jobOutputType": "new"}}, "jobs": {"a": {"type": "new"}}}
    strange = made(cloud, properties=odd, error={"code": "UserError", "message": "KeyError: 'label'"})
    nodes = {"jobType": "Pipeline", "jobs": {"a": {"type": "command"}}}
    broken, plain = made(cloud, properties=nodes), made(cloud)
    facts = jobs.describe(strange, 1000)
    assert (facts.status, facts.experiment, facts.error) == ("failed", "exp", "KeyError: 'label'")
    assert not facts.can_resubmit
    assert jobs.describe(plain, 1000).can_resubmit
    assert {strange, broken, plain} <= {each.job for each in jobs.ended("vision", 100)}


def test_what_ended_is_listed(jobs: MachineLearning, cloud: LocalCloud) -> None:
    failed, completed = made(cloud), made(cloud, status="Completed")
    listed = {each.job: each.status for each in jobs.ended("vision", 100)}
    assert (listed[failed], listed[completed]) == ("failed", "completed")


def test_a_workspace_that_does_not_answer_is_transient(jobs: MachineLearning, cloud: LocalCloud) -> None:
    cloud.fault("status", {"path": "/jobs"}, status=429, retryAfter=40)
    with pytest.raises(TransientError) as caught:
        jobs.ended("vision", 10)
    assert caught.value.retry_after == 40


@pytest.mark.parametrize("place", ["/computes/", "/environments/", "/jobs$"])
def test_what_only_explains_a_run_may_be_forbidden(jobs: MachineLearning, cloud: LocalCloud, place: str) -> None:
    job = made(cloud)
    cloud.fault("status", {"path": place}, status=403)
    facts = jobs.describe(job, 1000)
    assert (facts.status, facts.can_resubmit) == ("failed", True)


def test_a_run_that_may_not_be_read_is_refused_at_once(jobs: MachineLearning, cloud: LocalCloud) -> None:
    job = made(cloud)
    cloud.fault("status", {"path": f"/jobs/{job.run}"}, status=403)
    with pytest.raises(PermanentError, match="403") as refused:
        jobs.describe(job, 1000)
    assert not isinstance(refused.value, NotFound)


def test_without_the_run_history_a_run_is_read_without_its_log(jobs: MachineLearning, cloud: LocalCloud) -> None:
    job = made(cloud)
    cloud.fault("status", {"host": "westeurope.api.azureml.ms", "path": "/history"}, status=403)
    facts = jobs.describe(job, 1000)
    assert (facts.status, facts.error, facts.log) == ("failed", "", "")
