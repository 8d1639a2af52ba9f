"""What ACR Tasks knows of its runs, kept in files so that a run id never means another run after a restart."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

FINAL = frozenset({"Succeeded", "Failed", "Canceled", "Error", "Timeout"})


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One run; times are RFC 3339, UTC."""

    registry: str
    run_id: str
    status: str
    """Queued, Started, Running, then one of FINAL."""
    create_time: str
    platform: dict[str, str]
    cpu: int
    start_time: str | None = None
    finish_time: str | None = None
    error: str | None = None

    @property
    def log_name(self) -> str:
        return f"{self.registry}/{self.run_id}.log"

    def resource(self, registry_id: str) -> dict[str, Any]:
        """The ARM resource. `provisioningState` says that the record exists, never how the run went."""
        properties = {
            "runId": self.run_id,
            "status": self.status,
            "lastUpdatedTime": self.finish_time or self.start_time or self.create_time,
            "runType": "QuickRun",
            "createTime": self.create_time,
            "startTime": self.start_time,
            "finishTime": self.finish_time,
            "platform": self.platform,
            "agentConfiguration": {"cpu": self.cpu},
            "runErrorMessage": self.error,
            "provisioningState": "Succeeded",
            "isArchiveEnabled": False,
        }
        return {
            "type": "Microsoft.ContainerRegistry/registries/runs",
            "id": f"{registry_id}/runs/{self.run_id}",
            "name": self.run_id,
            "properties": {name: value for name, value in properties.items() if value is not None},
        }


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")


class RunStore:
    """All runs of all registries: one small file a run, replaced whole at each change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: dict[tuple[str, str], Run] = {}
        for file in sorted(folder.glob("*/*.json")):
            self._restore(file)

    def create(self, registry: str, platform: dict[str, str], cpu: int) -> Run:
        """A queued run with the next id: `ca1`, `ca2` and so on, for each registry."""
        numbers = [int(run.run_id[2:]) for run in self._runs.values() if run.registry == registry]
        return self.save(Run(registry, f"ca{max(numbers, default=0) + 1}", "Queued", now(), platform, cpu))

    def save(self, run: Run) -> Run:
        file = self._folder / run.registry / f"{run.run_id}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(dataclasses.asdict(run)))
        fresh.replace(file)
        self._runs[run.registry, run.run_id] = run
        return run

    def get(self, registry: str, run_id: str) -> Run | None:
        return self._runs.get((registry, run_id.lower()))

    def of(self, registry: str) -> list[Run]:
        """The registry's runs, newest first."""
        runs = [run for run in self._runs.values() if run.registry == registry]
        return sorted(runs, key=lambda run: int(run.run_id[2:]), reverse=True)

    def _restore(self, file: Path) -> None:
        if not re.fullmatch(r"ca[1-9]\d*", file.stem):
            return
        try:
            run = Run(**json.loads(file.read_text()))
        except (ValueError, TypeError):  # of another version, or damaged; its number stays taken
            run = Run(file.parent.name, file.stem, "Unreadable", now(), {"os": "linux", "architecture": "amd64"}, 2)
        if run.status in FINAL:
            self._runs[run.registry, run.run_id] = run
        else:  # nothing runs any more, and nobody would ever finish it
            error = "its record cannot be read" if run.status == "Unreadable" else "the stand-in was restarted"
            self.save(dataclasses.replace(run, status="Error", finish_time=now(), error=error))
