"""What the resource of a job says, read without an SDK: what is missing or odd in it is empty here, and hides nothing else."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from tidegate.flows.base import Pairs

_COMMIT = ("mlflow.source.git.commit", "azureml.git.commit")
_ORIGIN = ("azureml.git.", "mlflow.source.git.")
_NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True, slots=True)
class JobResource:
    """One job as ARM answers with it (Microsoft.MachineLearningServices/workspaces/jobs)."""

    resource: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.resource.get("name") or "")

    @property
    def status(self) -> str:
        """In lower case, as the service spells it."""
        return self._text("status").lower()

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return self._text("experimentName")

    @property
    def display_name(self) -> str:
        """What people call it."""
        return self._text("displayName")

    @property
    def is_command(self) -> bool:
        """Whether it runs one command."""
        return self._text("jobType").lower() == "command"

    @property
    def is_pipeline(self) -> bool:
        """Whether it has steps."""
        return self._text("jobType").lower() == "pipeline"

    @property
    def parent(self) -> str:
        """The run it is a step of; newer versions of the API name it."""
        return self._text("parentJobName")

    @property
    def compute(self) -> str:
        """Name of its compute."""
        return self._text("computeId").rpartition("/")[2].removeprefix("azureml:")

    @property
    def environment(self) -> str:
        """Id of its environment."""
        return self._text("environmentId")

    @property
    def owner(self) -> str:
        """Who submitted it."""
        return str(_object(self.resource.get("systemData")).get("createdBy") or "")

    @property
    def created(self) -> datetime.datetime | None:
        """When it was submitted; aware."""
        at = _object(self.resource.get("systemData")).get("createdAt")
        try:
            moment = datetime.datetime.fromisoformat(at) if isinstance(at, str) else None
        except ValueError:
            return None
        return moment.replace(tzinfo=moment.tzinfo or datetime.UTC) if moment else None

    @property
    def when(self) -> datetime.datetime:
        """As `created`; long ago where it is not known."""
        return self.created or _NEVER

    @property
    def commit(self) -> str:
        """The commit that it was submitted from."""
        known = _object(self._properties.get("properties"))
        return next((str(known[name]) for name in _COMMIT if known.get(name)), "")

    @property
    def studio(self) -> str:
        """Its page in the studio."""
        return str(_object(_object(self._properties.get("services")).get("Studio")).get("endpoint") or "")

    @property
    def tags(self) -> Pairs:
        """Sorted by name."""
        known = _object(self._properties.get("tags"))
        return tuple(sorted((str(name), str(value)) for name, value in known.items()))

    @property
    def _properties(self) -> Mapping[str, Any]:
        return _object(self.resource.get("properties"))

    def _text(self, name: str) -> str:
        value = self._properties.get(name)
        return value if isinstance(value, str) else ""


def origin(properties: Mapping[str, str] | None) -> dict[str, str]:
    """What a run's properties say of the commit that it was submitted from; the rest of them is of the one run."""
    return {name: value for name, value in (properties or {}).items() if name.startswith(_ORIGIN)}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
