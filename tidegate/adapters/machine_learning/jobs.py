"""Runs of Azure Machine Learning: read with everything that explains them, listed, submitted again.

Runs are read as the resources that they are: azure-ai-ml raises whatever comes to it for a job that its version does not know,
and then reads none of a list. With azure-ai-ml computes and environments are looked up, and commands are submitted. It takes
seconds to import, so the first call that needs it does, never this module.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tidegate.adapters.arm import Arm
from tidegate.adapters.azure_calls import BOUNDED, translated
from tidegate.adapters.machine_learning import pipeline_copies
from tidegate.adapters.machine_learning.job_resource import JobResource, origin
from tidegate.adapters.machine_learning.kept_answers import KeptAnswers
from tidegate.adapters.machine_learning.run_history import RunDetails, RunHistory
from tidegate.adapters.machine_learning.workspaces import JOB_API
from tidegate.errors import NotFound, PermanentError
from tidegate.flows.base import Pairs
from tidegate.flows.jobs.job_facts import ENDED, TEST_TAG, JobFacts, Tier
from tidegate.ports import EndedRun
from tidegate.references import JobRef
from tidegate.settings import Settings

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

_log = logging.getLogger("tidegate.jobs")

_LOOK_BACK = 200
"""Runs that are looked at for the last good one of an experiment; the service cannot filter by experiment."""
_NEWEST_FOR = 30
"""Seconds that the newest runs of a workspace are known: a storm asks for them with every run that failed."""
_ASSETS_FOR = 600
"""Seconds that a compute's tier and an environment's image are known; neither changes while it has its name."""
_CHILDREN = 1000
_STEPS = 20
"""Failed steps of a pipeline that are read; one with more is not submitted again by itself."""


class MachineLearning:
    """The Jobs port."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        self._settings = settings
        self._credential = credential
        self._arm = Arm(credential)
        self._clients: dict[str, MLClient] = {}
        self._histories: dict[str, RunHistory] = {}
        self._newest = KeptAnswers(_NEWEST_FOR)
        self._computes = KeptAnswers(_ASSETS_FOR)
        self._environments = KeptAnswers(_ASSETS_FOR)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connections back."""
        self._arm.close()
        for history in self._histories.values():
            history.close()

    def describe(self, job: JobRef, log_limit: int) -> JobFacts:
        found = self._arm.get(self._place(job), JOB_API, f"run {job}", on={403: PermanentError})
        if found is None:
            raise NotFound(f"run {job}: there is none")
        read = JobResource(found)
        history = self._history(job.workspace)
        details = history.details(job)
        failed = history.failed_children(job, _CHILDREN) if read.is_pipeline else ()
        logged = history.details(JobRef(job.workspace, failed[0].run)) if failed else details
        parent = details.parent or read.parent
        return JobFacts(
            job=job,
            status=read.status,
            experiment=read.experiment,
            display_name=read.display_name,
            owner=read.owner,
            compute=read.compute,
            tier=self._tier(job.workspace, read.compute),
            image=self._image(job.workspace, read.environment),
            commit=read.commit,
            parent=parent,
            failing_child=f"{failed[0].name} ({failed[0].run})" if failed else "",
            steps=failed[:_STEPS],
            created=read.created,
            started=details.started,
            seconds=_seconds(details),
            last_good=_last_good(self._newest_runs(job.workspace), read.experiment, job.run),
            studio=read.studio,
            error_code=details.code,
            error=details.message,
            log=history.log(logged, log_limit),
            tags=read.tags,
            can_resubmit=not parent and (read.is_command or (read.is_pipeline and len(failed) <= _STEPS)),
        )

    def _tier(self, workspace: str, compute: str) -> Tier:
        client = self.client(workspace)
        with _if_told(f"compute {compute}"):
            return self._computes.get((workspace, compute), lambda: _tier(client, compute))
        return ""

    def _image(self, workspace: str, environment: str) -> str:
        client = self.client(workspace)
        with _if_told(f"environment {environment}"):
            return self._environments.get((workspace, environment), lambda: _image(client, environment))
        return ""

    def _newest_runs(self, workspace: str) -> tuple[JobResource, ...]:
        with _if_told(f"runs of {workspace}"):
            return self._newest.get(workspace, lambda: tuple(self._listed(workspace, _LOOK_BACK)))
        return ()

    def resubmit(self, job: JobRef, name: str, moves: Pairs, tags: Pairs) -> str:
        successor = JobRef(job.workspace, name)
        if self._arm.get(self._place(successor), JOB_API, f"run {name}") is not None:
            return name  # an earlier try came through although its answer was lost
        resource = self._arm.get(self._place(job), JOB_API, f"run {job}")
        if resource is None:
            raise PermanentError(f"run {job}: there is none")
        if JobResource(resource).is_pipeline:
            body = pipeline_copies.copy(resource, moves, tags)
            self._arm.call("PUT", self._place(successor), JOB_API, f"run {name}", body)
            return name
        client = self.client(job.workspace)
        with translated_job(f"run {name}", refusable=True):
            return str(client.jobs.create_or_update(_successor(client.jobs.get(job.run), name, moves, tags)).name)

    def ended(self, workspace: str, limit: int) -> Sequence[EndedRun]:
        return [
            EndedRun(
                JobRef(workspace, each.name), each.status, each.experiment, each.when, dict(each.tags).get(TEST_TAG, "")
            )
            for each in self._listed(workspace, limit)
            if each.status in ENDED
        ]

    def _listed(self, workspace: str, limit: int) -> Iterator[JobResource]:
        """The newest runs that are no steps. Read as they are: one job that azure-ai-ml cannot read would hide all others."""
        place = f"{self._workspace_id(workspace)}/jobs"
        return map(JobResource, itertools.islice(self._arm.pages(place, JOB_API, f"runs of {workspace}"), limit))

    def _place(self, job: JobRef) -> str:
        return f"{self._workspace_id(job.workspace)}/jobs/{job.run}"

    def client(self, workspace: str) -> MLClient:
        """The SDK's client of one workspace; made once."""
        with self._lock:
            if workspace not in self._clients:
                from azure.ai.ml import MLClient

                logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)  # it warns of its own experimental classes
                settings = self._settings
                self._clients[workspace] = MLClient(
                    self._credential,
                    settings.subscription_id,
                    settings.resource_group,
                    workspace,
                    enable_telemetry=False,
                    **BOUNDED,
                )
            return self._clients[workspace]

    def _history(self, workspace: str) -> RunHistory:
        client = self.client(workspace)
        if workspace not in self._histories:
            with translated_job(f"workspace {workspace}", refusable=True):
                found = client.workspaces.get(workspace)
            identity = self._workspace_id(workspace)
            self._histories[workspace] = RunHistory(identity, str(found.discovery_url or ""), self._credential)
        return self._histories[workspace]

    def _workspace_id(self, workspace: str) -> str:
        settings = self._settings
        group = f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}"
        return f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"


def _successor(job: Any, name: str, moves: Pairs, tags: Pairs) -> Any:
    """The same command as a job that was never submitted. Sending back a job that was read would only change its tags."""
    from azure.ai.ml import command

    if job.type != "command":
        raise PermanentError(f"run {job.name}: a {job.type} job is not submitted again")
    successor: Any = command(
        name=name,
        display_name=job.display_name,
        description=job.description,
        experiment_name=job.experiment_name,
        tags={**(job.tags or {}), **dict(tags)},
        command=job.command,
        code=job.code,
        environment=job.environment,
        environment_variables=dict(job.environment_variables or {}),
        distribution=job.distribution,
        compute=dict(moves).get(_compute(job)) or job.compute,
        inputs={key: _given(value) for key, value in (job.inputs or {}).items()},
        outputs={key: _given(value) for key, value in (job.outputs or {}).items() if key != "default"},
        identity=job.identity,
    )
    # The commit that the job was submitted from; without it the SDK would note the folder that this app runs in.
    successor.properties = origin(job.properties)
    for setting in ("resources", "limits", "queue_settings"):
        if getattr(job, setting, None) is not None:
            setattr(successor, setting, getattr(job, setting))
    return successor


def _given(value: Any) -> Any:
    """The Input, Output or plain value that a job was given: what is read back wraps it, and cannot be given again."""
    return getattr(value, "_data", value)


def _compute(job: Any) -> str:
    return str(getattr(job, "compute", None) or "").rpartition("/")[2].removeprefix("azureml:")


def _tier(client: MLClient, compute: str) -> Tier:
    if not compute:
        return ""
    try:
        tier = str(getattr(client.compute.get(compute), "tier", None) or "").lower()
    except ResourceNotFoundError:
        return ""
    return "low_priority" if "low" in tier else "dedicated" if "dedicated" in tier else ""


def _image(client: MLClient, environment: str) -> str:
    """The image of a registered environment. Environments of a registry are named, not read."""
    name, _, version = environment.rpartition("/")[2].removeprefix("azureml:").rpartition(":")
    if "/environments/" in environment:
        name, _, version = environment.partition("/environments/")[2].partition("/versions/")
    if not name or not version or environment.startswith("azureml://registries/"):
        return environment
    try:
        return str(client.environments.get(name, version=version).image or "")
    except ResourceNotFoundError:
        return ""


def _last_good(runs: Iterable[JobResource], experiment: str, run: str) -> str:
    good = (each for each in runs if each.name != run and each.experiment == experiment and each.status == "completed")
    newest = max(good, key=lambda each: each.when, default=None)
    return f"{newest.name} ({newest.when:%Y-%m-%d %H:%M} UTC)" if newest else ""


def _seconds(details: RunDetails) -> int:
    if details.started is None or details.ended is None:
        return 0
    return max(0, round((details.ended - details.started).total_seconds()))


@contextlib.contextmanager
def translated_job(what: str, *, refusable: bool = False) -> Iterator[None]:
    """As `translated`; and azure-ai-ml's own errors: a job it will not send is refused for good."""
    from azure.ai.ml.exceptions import MlException

    with translated(what, {404: PermanentError}, refusable=refusable):
        try:
            yield
        except MlException as error:
            if isinstance(error, HttpResponseError):
                raise
            raise PermanentError(f"{what}: {' '.join(str(error).split())[:300]}") from error


@contextlib.contextmanager
def _if_told(what: str) -> Iterator[None]:
    """Around what only explains a run: an alert goes out without what is refused rather than not at all."""
    try:
        with translated_job(what, refusable=True):
            yield
    except PermanentError as refusal:
        _log.warning("%s", refusal)
