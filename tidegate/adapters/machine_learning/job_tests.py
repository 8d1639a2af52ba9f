"""Image tests as jobs of Azure Machine Learning on a named cluster, for images that need what only a cluster has.

A run is named `azure-ml.WORKSPACE.JOB`, so that who looks at it later knows where it is. The job's image is the digest in the
staging registry; the cluster's identity needs the right to pull from there.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import uuid
from typing import Any

from azure.core.exceptions import HttpResponseError

from tidegate.adapters.machine_learning.jobs import MachineLearning, translated_job
from tidegate.errors import PermanentError
from tidegate.flows.images.image_gate import ImageTest
from tidegate.flows.jobs.job_facts import TEST_TAG, JobFacts
from tidegate.ports import Call, ImageTests, TestErrored, TestFailed, TestPassed, TestRunning, TestStatus
from tidegate.references import ImageRef, JobRef

PREFIX = "azure-ml."
_RUN = re.compile(r"azure-ml\.([a-z0-9][a-z0-9_-]{1,32})\.([A-Za-z0-9_-]{1,255})\Z")
_TIMEOUT_TAG = "tidegate.timeout"
"""Tag of a test: seconds that its command may take."""
_VERDICT = re.compile(r"status code (\d+)|exit(?:ed)?(?: with)?(?: status)?(?: code)? (\d+)", re.IGNORECASE)


class JobTests:
    """The ImageTests port, for gates with `runner: azure-ml`."""

    def __init__(self, jobs: MachineLearning, workspaces: tuple[str, ...]) -> None:
        self._jobs = jobs
        self._workspaces = workspaces

    def start(self, image: ImageRef, test: ImageTest) -> str:
        workspace, compute = self._place(test)
        name = f"test-{image.digest[7:19]}-{uuid.uuid4().hex[:8]}"
        with translated_job(f"test of {image}", refusable=True):
            self._jobs.client(workspace).jobs.create_or_update(_job(name, image, test, compute))
        return f"{PREFIX}{workspace}.{name}"

    def start_call(self, image: ImageRef, test: ImageTest) -> Call:
        workspace, compute = self._place(test)
        body = {
            "image": _address(image),
            "command": shlex.join(test.command),
            "compute": compute,
            "timeout": test.timeout,
        }
        return Call("PUT job", f"workspace {workspace}", json.dumps(body, ensure_ascii=False))

    def status(self, run: str) -> TestStatus:
        job = _job_of(run)
        if job is None:
            return TestErrored(f"{run[:80]!a} is not an id of a run")
        try:
            facts = self._jobs.describe(job, 0)
        except PermanentError:
            return TestErrored(f"run {run} is not known any more")
        match facts.status:
            case "completed":
                return TestPassed()
            case "failed":
                return _verdict(facts.error, facts.error_code)
            case "canceled":
                return _cancelled(facts)
            case _:
                return TestRunning()

    def log(self, run: str, limit: int) -> bytes:
        job = _job_of(run)
        if job is None or limit <= 0:
            return b""
        with contextlib.suppress(PermanentError):
            return self._jobs.describe(job, limit).log.encode()[-limit:]
        return b""

    def stop(self, run: str) -> None:
        job = _job_of(run)
        if job is None:
            return
        with translated_job(f"run {run}"):
            try:
                self._jobs.client(job.workspace).jobs.begin_cancel(job.run, polling=False)
            except HttpResponseError as error:
                if error.status_code not in (400, 404, 409):
                    raise

    def _place(self, test: ImageTest) -> tuple[str, str]:
        workspace, _, compute = test.cluster.partition("/")
        if workspace not in self._workspaces:
            raise PermanentError(
                f"cluster {test.cluster!a}: its workspace is none of this installation (TIDEGATE_WORKSPACES)"
            )
        return workspace, compute


class TestRunners:
    """The ImageTests port for all gates: each test goes to the runner that its gate names, each run back to its own."""

    def __init__(self, tasks: ImageTests, jobs: ImageTests) -> None:
        self._tasks = tasks
        self._jobs = jobs

    def start(self, image: ImageRef, test: ImageTest) -> str:
        return self._for(test).start(image, test)

    def start_call(self, image: ImageRef, test: ImageTest) -> Call:
        return self._for(test).start_call(image, test)

    def status(self, run: str) -> TestStatus:
        return self._of(run).status(run)

    def log(self, run: str, limit: int) -> bytes:
        return self._of(run).log(run, limit)

    def stop(self, run: str) -> None:
        self._of(run).stop(run)

    def _for(self, test: ImageTest) -> ImageTests:
        return self._jobs if test.runner == "azure-ml" else self._tasks

    def _of(self, run: str) -> ImageTests:
        return self._jobs if run.startswith(PREFIX) else self._tasks


def _job(name: str, image: ImageRef, test: ImageTest, compute: str) -> Any:
    from azure.ai.ml import command
    from azure.ai.ml.entities import CommandJobLimits, Environment

    job: Any = command(
        name=name,
        display_name=f"Test of {image.repository}",
        experiment_name="tidegate-image-tests",
        tags={TEST_TAG: str(image), _TIMEOUT_TAG: str(test.timeout)},
        command=shlex.join(test.command),
        environment=Environment(name=f"image-{image.digest[7:19]}", version="1", image=_address(image)),
        environment_variables=dict(test.environment),
        compute=compute,
    )
    job.limits = CommandJobLimits(timeout=test.timeout)
    return job


def _address(image: ImageRef) -> str:
    return f"{image.registry}.azurecr.io/{image.repository}@{image.digest}"


def _job_of(run: str) -> JobRef | None:
    found = _RUN.match(run)
    return JobRef(found[1], found[2]) if found else None


def _cancelled(facts: JobFacts) -> TestFailed | TestErrored:
    """Azure ML cancels a job that reaches its limit; people and evictions cancel sooner (unverified: in which words)."""
    limit = facts.tag(_TIMEOUT_TAG)
    if limit.isdecimal() and facts.seconds >= int(limit):
        return TestFailed(f"the command did not end within {limit} s")
    return TestErrored(f"run {facts.job.run} was cancelled")


def _verdict(error: str, code: str) -> TestFailed | TestErrored:
    """The image had its chance only if its command ended; anything else is the infrastructure's."""
    found = _VERDICT.search(error)
    if found is None or "Preempted" in code:
        return TestErrored(f"no verdict: {error or code or 'the job failed'}")
    return TestFailed(f"the command ended with exit status {found[1] or found[2]}")
