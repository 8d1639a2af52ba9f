"""Stages that a pipeline of another system carries out: Azure DevOps, or a workflow of GitHub Actions.

A pipeline gets `model`, `version`, `workspace`, `stage` and `delivery`, as template parameters or as inputs of the same names,
and must declare them. A run is found again by the delivery: in Azure DevOps by its parameters, in GitHub by its name, so a
workflow has `run-name: ... ${{ inputs.delivery }}`. Starting twice is one run as far as the first one is listed by then.
The hosts are fixed; tokens are secrets in the Key Vault.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from tidegate.adapters.serving.release_calls import ReleaseCalls
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_gate import ReleasePipeline
from tidegate.ports import Secrets
from tidegate.references import ModelRef

type Status = Literal["running", "succeeded", "failed"]
_PROJECT = re.compile(r"([A-Za-z0-9][A-Za-z0-9 ._-]{0,99})/([A-Za-z0-9][A-Za-z0-9 ._-]{0,99})\Z")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}\Z")
_RUN = re.compile(r"[1-9][0-9]{0,18}\Z")
_WORKFLOW = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.ya?ml\Z")
_REF = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,199}\Z")
_LISTED_WITHIN = 300.0
"""Seconds after which a run that was asked for and is not listed counts as never started."""
_LOOKED_AT = 100
"""Newest runs among which a delivery's run is looked for."""


class _Service(Protocol):
    def start(self, pipeline: ReleasePipeline, inputs: dict[str, str]) -> str: ...

    def status(self, pipeline: ReleasePipeline, run: str) -> tuple[Status, str]: ...


class ReleasePipelines:
    """The Releases port. May be shared by threads."""

    def __init__(self, secrets: Secrets, devops_token: str, github_token: str) -> None:
        """Names of the secrets with the tokens: of Azure DevOps (build: read and execute), of GitHub (actions: write)."""
        self._devops = AzureDevOps(secrets, devops_token)
        self._github = GitHubActions(secrets, github_token)

    def close(self) -> None:
        """Give the connections back."""
        self._devops.close()
        self._github.close()

    def start(self, pipeline: ReleasePipeline, model: ModelRef, stage: str, delivery: str) -> str:
        inputs = {
            "model": model.name,
            "version": model.version,
            "workspace": model.workspace,
            "stage": stage,
            "delivery": delivery_id(delivery, stage),
        }
        return self._service(pipeline).start(_valid(pipeline), inputs)

    def status(self, pipeline: ReleasePipeline, run: str) -> tuple[Status, str]:
        if not _RUN.match(run):
            raise PermanentError(f"{run[:80]!a}: no id of a run")
        return self._service(pipeline).status(_valid(pipeline), run)

    def _service(self, pipeline: ReleasePipeline) -> _Service:
        return self._devops if pipeline.kind == "azure-devops" else self._github


def delivery_id(delivery: str, stage: str) -> str:
    """What a run is found by: a word that is no part of another one, whatever the keys of deliveries are made of."""
    return f"tidegate-{hashlib.sha256(f'{delivery} {stage}'.encode()).hexdigest()[:20]}"


class AzureDevOps:
    """Runs of pipelines (learn.microsoft.com/rest/api/azure/devops/pipelines/runs, 7.1).

    Unverified: that the list of runs has their parameters. Where it has not, a lost answer can start a second run.
    """

    def __init__(self, secrets: Secrets, token: str) -> None:
        self._secrets = secrets
        self._token = token
        self._calls = ReleaseCalls("dev.azure.com", {})

    def close(self) -> None:
        """Give the connections back."""
        self._calls.close()

    def start(self, pipeline: ReleasePipeline, inputs: dict[str, str]) -> str:
        for run in self._call("GET", pipeline, ()).get("value") or ():
            if (run.get("templateParameters") or {}).get("delivery") == inputs["delivery"]:
                return str(run["id"])
        repositories = {"self": {"refName": f"refs/heads/{pipeline.ref}"}}
        body = {"templateParameters": inputs, "resources": {"repositories": repositories}}
        return _id(self._call("POST", pipeline, (), body))

    def status(self, pipeline: ReleasePipeline, run: str) -> tuple[Status, str]:
        found = self._call("GET", pipeline, (run,))
        if found.get("state") != "completed":
            return "running", ""
        result = str(found.get("result") or "unknown")
        return ("succeeded", "") if result == "succeeded" else ("failed", f"run {run} is {result}")

    def _call(self, method: str, pipeline: ReleasePipeline, rest: tuple[str, ...], body: Any = None) -> dict[str, Any]:
        organization, _, project = pipeline.project.partition("/")
        parts = (organization, project, "_apis", "pipelines", pipeline.pipeline, "runs", *rest)
        token = base64.b64encode(f":{self._secrets.get(self._token)}".encode()).decode()
        return self._calls.call(method, parts, f"Basic {token}", {"api-version": "7.1"}, body)


class GitHubActions:
    """Runs of workflows (docs.github.com/rest/actions/workflows). The dispatch gives the run's id (since February 2026)."""

    def __init__(self, secrets: Secrets, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._secrets = secrets
        self._token = token
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        self._calls = ReleaseCalls("api.github.com", headers)
        self._clock = clock
        self._asked: dict[str, float] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._calls.close()

    def start(self, pipeline: ReleasePipeline, inputs: dict[str, str]) -> str:
        delivery = inputs["delivery"]
        if known := self._find(pipeline, delivery):
            return known
        if self._clock() - self._asked.get(delivery, -_LISTED_WITHIN) >= _LISTED_WITHIN:
            workflow = ("actions", "workflows", pipeline.pipeline, "dispatches")
            body = {"ref": pipeline.ref, "inputs": inputs, "return_run_details": True}
            started = self._call("POST", pipeline, workflow, body=body)
            if found := str(started.get("workflow_run_id") or ""):
                return found
            self._asked[delivery] = self._clock()
        raise TransientError(f"workflow {pipeline.pipeline}: its run is not listed yet")

    def status(self, pipeline: ReleasePipeline, run: str) -> tuple[Status, str]:
        found = self._call("GET", pipeline, ("actions", "runs", run))
        if found.get("status") != "completed":
            return "running", ""
        conclusion = str(found.get("conclusion") or "unknown")
        return ("succeeded", "") if conclusion == "success" else ("failed", f"run {run} is {conclusion}")

    def _find(self, pipeline: ReleasePipeline, delivery: str) -> str:
        """Empty: none is listed. A word of the run's name, as `run-name` made it."""
        query = {"event": "workflow_dispatch", "per_page": str(_LOOKED_AT)}
        runs = self._call("GET", pipeline, ("actions", "workflows", pipeline.pipeline, "runs"), query)
        listed = runs.get("workflow_runs") or ()
        named = (each for each in listed if delivery in re.findall(r"[A-Za-z0-9-]+", str(each.get("display_title"))))
        return next((str(each["id"]) for each in named), "")

    def _call(
        self,
        method: str,
        pipeline: ReleasePipeline,
        rest: tuple[str, ...],
        query: dict[str, str] | None = None,
        body: Any = None,
    ) -> dict[str, Any]:
        owner, _, repository = pipeline.project.partition("/")
        token = f"Bearer {self._secrets.get(self._token)}"
        return self._calls.call(method, ("repos", owner, repository, *rest), token, query, body)


def _valid(pipeline: ReleasePipeline) -> ReleasePipeline:
    """PermanentError: a part of it is no name; the gates' loading refused it long before."""
    named = _NUMBER if pipeline.kind == "azure-devops" else _WORKFLOW
    if not (_PROJECT.match(pipeline.project) and named.match(pipeline.pipeline) and _REF.match(pipeline.ref)):
        raise PermanentError(f"{pipeline.project[:80]!a} {pipeline.pipeline[:80]!a}: no pipeline of {pipeline.kind}")
    return pipeline


def _id(run: dict[str, Any]) -> str:
    found = str(run.get("id") or "")
    if not _RUN.match(found):
        raise TransientError("the service did not say which run it started")
    return found
