"""What the emulated workspaces know of jobs: one record a job, kept on disk, in the shapes of ARM and of the run history."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from local import world
from local.cloud.state import StateFile

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?\Z")
FINAL = frozenset({"Completed", "Failed", "Canceled"})


@dataclasses.dataclass(slots=True)
class Job:
    """One job; times are ISO 8601, UTC. `properties` is what the client put, answered as it came."""

    workspace: str
    name: str
    properties: dict[str, Any]
    status: str = "NotStarted"
    created: str = dataclasses.field(default_factory=lambda: now())  # noqa: PLW0108  it is defined below
    started: str = ""
    ended: str = ""
    error: dict[str, Any] | None = None
    log: str = ""
    """Name of the log's blob; empty: there is none."""

    @property
    def experiment(self) -> str:
        return str(self.properties.get("experimentName") or "Default")

    @property
    def experiment_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.workspace}/{self.experiment}"))

    @property
    def limit(self) -> int | None:
        """Seconds that it may run (`limits.timeout`, an ISO 8601 duration as azure-ai-ml writes it); None: any time."""
        found = _DURATION.match(str((self.properties.get("limits") or {}).get("timeout") or ""))
        seconds = (
            sum(int(part or 0) * unit for part, unit in zip(found.groups(), (86400, 3600, 60, 1), strict=True))
            if found
            else 0
        )
        return seconds or None

    @property
    def parent(self) -> str:
        return str(self.properties.get("parentJobName") or "")

    def resource(self) -> dict[str, Any]:
        """As ARM shows it."""
        studio = f"https://ml.azure.com/runs/{self.name}?wsid={workspace_id(self.workspace)}"
        service = {"endpoint": studio, "jobServiceType": "Studio", "status": None, "errorMessage": None}
        return {
            "id": f"{workspace_id(self.workspace)}/jobs/{self.name}",
            "name": self.name,
            "type": "Microsoft.MachineLearningServices/workspaces/jobs",
            "properties": {
                "tags": {},
                "properties": {},
                "isArchived": False,
                **self.properties,
                "experimentName": self.experiment,
                "status": self.status,
                "services": {"Studio": service},
            },
            "systemData": {
                "createdAt": self.created,
                "createdBy": "a person of the local world",
                "createdByType": "User",
                "lastModifiedAt": self.ended or self.started or self.created,
            },
        }

    def run(self) -> dict[str, Any]:
        """As the run history shows it."""
        return {
            "runId": self.name,
            "runUuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.workspace}/{self.name}")),
            "parentRunId": self.parent or None,
            "rootRunId": self.parent or self.name,
            "experimentId": self.experiment_id,
            "status": self.status,
            "displayName": self.properties.get("displayName"),
            "target": str(self.properties.get("computeId") or "").rpartition("/")[2] or None,
            "runType": run_type(self),
            "createdUtc": self.created,
            "startTimeUtc": self.started or None,
            "endTimeUtc": self.ended or None,
            "createdBy": {"userName": "a person of the local world"},
            "error": self.error and {"error": self.error},
            "tags": self.properties.get("tags") or {},
            "properties": {"azureml.runsource": "azureml.StepRun", **(self.properties.get("properties") or {})},
        }

    def event(self) -> dict[str, Any]:
        """RunStatusChanged, as in azure-docs event-schema-machine-learning; the value of runType is unverified."""
        return {
            "id": str(uuid.uuid4()),
            "subject": f"experiments/{self.experiment_id}/runs/{self.name}",
            "eventType": "Microsoft.MachineLearningServices.RunStatusChanged",
            "eventTime": now(),
            "data": {
                "experimentId": self.experiment_id,
                "experimentName": self.experiment,
                "runId": self.name,
                "runType": run_type(self),
                "runTags": self.properties.get("tags") or {},
                "runProperties": self.properties.get("properties") or {},
                "runStatus": self.status,
            },
            "dataVersion": "",
            "metadataVersion": "1",
        }


class Jobs:
    """All jobs of all workspaces, newest last."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._jobs = {(raw["workspace"], raw["name"]): Job(**raw) for raw in state.value.get("jobs", ())}

    def get(self, workspace: str, name: str) -> Job | None:
        """A job by its names; workspaces are compared without case."""
        return self._jobs.get((workspace.lower(), name))

    def put(self, *jobs: Job) -> None:
        """Keep new or changed jobs; one write however many they are."""
        for job in jobs:
            self._jobs[job.workspace, job.name] = job
        self.save()

    def save(self) -> None:
        self._state.value["jobs"] = [dataclasses.asdict(job) for job in self._jobs.values()]
        self._state.save()

    def of(self, workspace: str, parent: str | None = None) -> Iterable[Job]:
        """Newest first; without a parent only jobs that are no steps."""
        for job in reversed(self._jobs.values()):
            if job.workspace == workspace.lower() and job.parent == (parent or ""):
                yield job


def workspace_id(name: str) -> str:
    """ARM resource id of a workspace."""
    return world.registry_id("").partition("Microsoft.ContainerRegistry")[0] + (
        f"Microsoft.MachineLearningServices/workspaces/{name}"
    )


def run_type(job: Job) -> str:
    kinds: Mapping[str, str] = {"Pipeline": "azureml.PipelineRun", "Command": "azureml.scriptrun"}
    kind = kinds.get(str(job.properties.get("jobType")), "azureml.scriptrun")
    return "azureml.StepRun" if job.parent and kind != kinds["Pipeline"] else kind


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
