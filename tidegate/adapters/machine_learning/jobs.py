"""Runs of Azure Machine Learning, with azure-ai-ml: read with everything that explains them, listed, submitted again.

azure-ai-ml takes seconds to import, so it is imported by the first call that needs it, never by this module.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tidegate.adapters.azure_calls import BOUNDED, translated
from tidegate.adapters.machine_learning.kept_answers import KeptAnswers
from tidegate.adapters.machine_learning.run_history import RunDetails, RunHistory
from tidegate.errors import PermanentError
from tidegate.flows.base import Pairs
from tidegate.flows.jobs.job_facts import FAILED, TEST_TAG, JobFacts, Tier
from tidegate.ports import EndedRun
from tidegate.references import JobRef
from tidegate.settings import Settings

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

_ENDED = frozenset({"completed", "failed", "canceled"})
_LOOK_BACK = 200
"""Runs that are looked at for the last good one of an experiment; the service cannot filter by experiment."""
_NEWEST_FOR = 30
"""Seconds that the newest runs of a workspace are known: a storm asks for them with every run that failed."""
_ASSETS_FOR = 600
"""Seconds that a compute's tier and an environment's image are known; neither changes while it has its name."""
_CHILDREN = 1000
_GIT = ("azureml.git.", "mlflow.source.git.")
_COMMIT = ("mlflow.source.git.commit", "azureml.git.commit")


class MachineLearning:
    """The Jobs port."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        self._settings = settings
        self._credential = credential
        self._clients: dict[str, MLClient] = {}
        self._histories: dict[str, RunHistory] = {}
        self._newest = KeptAnswers(_NEWEST_FOR)
        self._computes = KeptAnswers(_ASSETS_FOR)
        self._environments = KeptAnswers(_ASSETS_FOR)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connections back."""
        for history in self._histories.values():
            history.close()

    def describe(self, job: JobRef, log_limit: int) -> JobFacts:
        client = self.client(job.workspace)
        with translated_job(f"run {job}"):
            found = client.jobs.get(job.run)
        history = self._history(job.workspace)
        details = history.details(job)
        experiment = str(found.experiment_name or "")
        with translated_job(f"run {job}"):
            children = _failing_child(client, found)
            compute, environment = _compute(found), str(getattr(found, "environment", None) or "")
            tier = self._computes.get((job.workspace, compute), lambda: _tier(client, compute))
            image = self._environments.get((job.workspace, environment), lambda: _image(client, environment))
            newest = self._newest.get(job.workspace, lambda: tuple(itertools.islice(client.jobs.list(), _LOOK_BACK)))
            last_good = _last_good(newest, experiment, job.run)
        return JobFacts(
            job=job,
            status=_status(found),
            experiment=experiment,
            display_name=str(found.display_name or ""),
            owner=str(getattr(found.creation_context, "created_by", None) or ""),
            compute=compute,
            tier=tier,
            image=image,
            commit=next((str(found.properties[name]) for name in _COMMIT if name in (found.properties or {})), ""),
            parent=str(getattr(found, "parent_job_name", None) or ""),
            failing_child=children,
            created=getattr(found.creation_context, "created_at", None),
            started=details.started,
            seconds=_seconds(details),
            last_good=last_good,
            studio=str(found.studio_url or ""),
            error_code=details.code,
            error=details.message,
            log=history.log(details, log_limit),
            tags=tuple(sorted((str(name), str(value)) for name, value in (found.tags or {}).items())),
            can_resubmit=found.type == "command" and not getattr(found, "parent_job_name", None),
        )

    def resubmit(self, job: JobRef, name: str, compute: str, tags: Pairs) -> str:
        client = self.client(job.workspace)
        with translated_job(f"run {name}", refusable=True):
            with contextlib.suppress(ResourceNotFoundError):
                return str(client.jobs.get(name).name)  # an earlier try came through although its answer was lost
            successor = _successor(client.jobs.get(job.run), name, compute, tags)
            return str(client.jobs.create_or_update(successor).name)

    def ended(self, workspace: str, limit: int) -> Sequence[EndedRun]:
        with translated_job(f"runs of {workspace}"):
            found = [each for each in itertools.islice(self.client(workspace).jobs.list(), limit) if each is not None]
        return [
            EndedRun(
                JobRef(workspace, str(each.name)),
                _status(each),
                str(each.experiment_name or ""),
                _created(each),
                str((each.tags or {}).get(TEST_TAG, "")),
            )
            for each in found
            if _status(each) in _ENDED
        ]

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
            with translated_job(f"workspace {workspace}"):
                found = client.workspaces.get(workspace)
            settings = self._settings
            group = f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}"
            identity = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
            self._histories[workspace] = RunHistory(identity, str(found.discovery_url or ""), self._credential)
        return self._histories[workspace]


def _successor(job: Any, name: str, compute: str, tags: Pairs) -> Any:
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
        compute=compute or job.compute,
        inputs={key: _given(value) for key, value in (job.inputs or {}).items()},
        outputs={key: _given(value) for key, value in (job.outputs or {}).items() if key != "default"},
        identity=job.identity,
    )
    # The commit that the job was submitted from; without it the SDK would note the folder that this app runs in.
    successor.properties = {key: value for key, value in (job.properties or {}).items() if key.startswith(_GIT)}
    for setting in ("resources", "limits", "queue_settings"):
        if getattr(job, setting, None) is not None:
            setattr(successor, setting, getattr(job, setting))
    return successor


def _given(value: Any) -> Any:
    """The Input, Output or plain value that a job was given: what is read back wraps it, and cannot be given again."""
    return getattr(value, "_data", value)


def _status(job: Any) -> str:
    """In lower case; the SDK's enumeration prints as its member's name (f-string), but is the service's word."""
    status = job.status
    return str(getattr(status, "value", status) or "").lower()


def _created(job: Any) -> datetime.datetime:
    at = getattr(job.creation_context, "created_at", None)
    if not isinstance(at, datetime.datetime):
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return at.replace(tzinfo=at.tzinfo or datetime.UTC)


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


def _failing_child(client: MLClient, job: Any) -> str:
    if job.type != "pipeline":
        return ""
    children = itertools.islice(client.jobs.list(parent_job_name=job.name), _CHILDREN)
    failed = [each for each in children if each is not None and _status(each) in FAILED]
    first = min(failed, key=_created, default=None)
    return f"{first.display_name or first.name} ({first.name})" if first else ""


def _last_good(runs: Iterable[Any], experiment: str, run: str) -> str:
    good = (
        each
        for each in runs
        if each is not None and each.name != run and each.experiment_name == experiment and _status(each) == "completed"
    )
    newest = max(good, key=_created, default=None)
    return f"{newest.name} ({_created(newest):%Y-%m-%d %H:%M} UTC)" if newest else ""


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
