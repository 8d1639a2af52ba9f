"""What only the run history of a workspace knows of a run: why it failed by the service's own words, and where its logs are.

The service is the one that azure-ai-ml itself asks when it shows a run (its RunHistoryClient); it has no public client. Where it
refuses, an alert goes out without a log rather than not at all.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import urllib.parse
from collections.abc import Mapping
from typing import Any

import requests
from azure.core.credentials import TokenCredential

from tidegate.errors import PermanentError, TransientError
from tidegate.flows.jobs.job_facts import FAILED, FailedStep
from tidegate.references import JobRef

_TIMEOUT = (4, 8)
_SERVICE_HOSTS = (".azureml.ms", ".azureml.net", ".azureml.us", ".azureml.cn")
"""Hosts that get our token, whatever the workspace's discovery says."""
_LOG_HOSTS = (".blob.core.windows.net", ".blob.core.usgovcloudapi.net", ".blob.core.chinacloudapi.cn")
_SCOPE = "https://management.azure.com/.default"
_PREFERRED = ("user_logs/std_log", "azureml-logs/70_driver_log", "logs/azureml", "system_logs/", "azureml-logs/")
"""Logs by the beginning of their name, the most telling first."""

_log = logging.getLogger("tidegate.run_history")


@dataclasses.dataclass(frozen=True, slots=True)
class RunDetails:
    """One run in the history."""

    status: str = ""
    code: str = ""
    message: str = ""
    parent: str = ""
    """The run that it is a step of."""
    started: datetime.datetime | None = None
    ended: datetime.datetime | None = None
    logs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Name of a log and the link that reads it."""


class RunHistory:
    """The history of the runs of one workspace."""

    def __init__(self, workspace_id: str, discovery_url: str, credential: TokenCredential) -> None:
        self._workspace_id = workspace_id
        self._discovery_url = discovery_url
        self._credential = credential
        self._session = requests.Session()
        self._base = ""

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def details(self, job: JobRef) -> RunDetails:
        """The run, or an empty answer where the history refuses. TransientError: it does not answer."""
        try:
            body = self._get(f"/history/v1.0{self._workspace_id}/runs/{job.run}/details")
        except PermanentError as refusal:
            _log.warning("run %s: %s", job, refusal)
            return RunDetails()
        error = _object(_object(body.get("error")).get("error"))
        return RunDetails(
            status=str(body.get("status") or "").lower(),
            code=_codes(error),
            message=str(error.get("message") or ""),
            parent=str(body.get("parentRunId") or ""),
            started=_time(body.get("startTimeUtc")),
            ended=_time(body.get("endTimeUtc")),
            logs={str(name): str(link) for name, link in _object(body.get("logFiles")).items()},
        )

    def failed_children(self, job: JobRef, most: int, within: int = 3) -> tuple[FailedStep, ...]:
        """The steps of a pipeline that failed, the first first, among `most` steps; none where the history refuses.

        A step that is a pipeline itself stands for its steps, `within` pipelines deep: it failed for no reason of its own.
        """
        try:
            body = self._get(f"/history/v1.0{self._workspace_id}/runs/{job.run}/children?$top={most}")
        except PermanentError as refusal:
            _log.warning("steps of run %s: %s", job, refusal)
            return ()
        found = [_object(each) for each in body.get("value") or ()]
        failed = [each for each in found if str(each.get("status") or "").lower() in FAILED]
        steps: list[FailedStep] = []
        for each in sorted(failed, key=lambda each: str(each.get("createdUtc") or "")):
            step = _step(each)
            place = JobRef(job.workspace, step.run)
            inner = self.failed_children(place, most, within - 1) if within and _is_pipeline(each) else ()
            steps += inner or (step,)
        return tuple(steps)

    def log(self, details: RunDetails, limit: int) -> str:
        """The end of the most telling log, in whole lines if it has any; empty where there is none, or it cannot be read.

        Half a line may be half a secret, which nobody could tell from other text.
        """
        name = next((name for start in _PREFERRED for name in sorted(details.logs) if name.startswith(start)), None)
        if name is None or limit <= 0:
            return ""
        link = details.logs[name]
        parts = urllib.parse.urlsplit(link)
        if parts.scheme != "https" or not (parts.hostname or "").endswith(_LOG_HOSTS):
            _log.warning("log %s: its host is not one that logs are read from", name)
            return ""
        size = int(self._asked("HEAD", name, link).headers.get("Content-Length") or 0)
        if size == 0:
            return ""
        start = max(size - limit, 0)
        answer = self._asked("GET", name, link, {"Range": f"bytes={start}-{size - 1}"})
        text = answer.content[-limit:].decode(errors="replace") if answer.status_code == 206 else ""
        return text.partition("\n")[2] or text if start else text

    def _asked(self, method: str, name: str, link: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        """Blobs know no ranges from the end, so they are asked for their size first.

        An answer of 200 would be the whole log, of any size: its body is not read.
        """
        try:
            with self._session.request(
                method, link, headers=dict(headers or {}), timeout=_TIMEOUT, allow_redirects=False, stream=True
            ) as answer:
                if answer.status_code == 206:
                    answer.content  # noqa: B018  reads it
        except requests.RequestException as error:
            raise TransientError(f"log {name}: no answer ({type(error).__name__})") from None  # the link is a secret
        if answer.status_code >= 500 or answer.status_code == 429:
            raise TransientError(f"log {name}: {answer.status_code}")
        return answer

    def _get(self, path: str) -> Mapping[str, Any]:
        token = self._credential.get_token(_SCOPE).token
        return self._json(f"{self._host()}{path}", {"Authorization": f"Bearer {token}"})

    def _host(self) -> str:
        """The history's address, as the workspace's discovery tells it; checked before it gets a token."""
        if not self._base:
            found = str(self._json(_checked(self._discovery_url), {}).get("api") or "")
            self._base = _checked(found).rstrip("/")
        return self._base

    def _json(self, url: str, headers: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            answer = self._session.get(url, headers=dict(headers), timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise TransientError(f"run history: no answer ({type(error).__name__})") from error
        with answer:
            if answer.status_code in (401, 408, 429) or answer.status_code >= 500:
                raise TransientError(f"run history: {answer.status_code}")
            if answer.status_code != 200:
                raise PermanentError(f"run history: {answer.status_code}")
            try:
                return _object(answer.json())
            except ValueError as error:
                raise TransientError("run history: an answer that is not JSON") from error


def _checked(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not (parts.hostname or "").endswith(_SERVICE_HOSTS):
        raise PermanentError(f"run history: {parts.hostname!a} is no host of the service")
    return url


def _is_pipeline(run: Mapping[str, Any]) -> bool:
    """By its type or its own words (unverified: which type a pipeline within a pipeline has on Azure)."""
    return "pipeline" in str(run.get("runType") or "").lower() or "failed child" in _step(run).error


def _step(run: Mapping[str, Any]) -> FailedStep:
    error = _object(_object(run.get("error")).get("error"))
    name = str(run.get("runId") or "")
    compute = str(run.get("target") or "").rpartition("/")[2]
    return FailedStep(
        name, str(run.get("displayName") or name), compute, _codes(error), str(error.get("message") or "")
    )


def _codes(error: Mapping[str, Any]) -> str:
    """Code and inner codes, from the outside in: `UserError/JobPreempted`."""
    codes: list[str] = []
    while error and len(codes) < 6:
        codes.append(str(error.get("code") or ""))
        error = _object(error.get("innerError"))
    return "/".join(filter(None, codes))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(value: Any) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC) if moment else None
