"""What an environment asks of Azure: read from its parameter file and the data files, as the template reads them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

INFRA = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True, slots=True)
class Machines:
    """Machines that a part of the environment may have at a time."""

    what: str
    location: str
    size: str
    most: int
    is_spot: bool
    minimum_cores: int = 0
    """Cores that all of them must have together at their fewest; 0: no such rule."""
    fewest: int = 0
    in_workspace: bool = False
    """Compute clusters have a quota of their own, beside the subscription's."""
    of: str = ""
    """Name of the resource that they belong to. Where it is deployed already, Azure counts them as used."""


@dataclasses.dataclass(frozen=True, slots=True)
class Environment:
    """One environment's name, parameters and data."""

    name: str
    parameters: dict[str, Any]
    workspaces: tuple[dict[str, Any], ...]

    def machines(self) -> list[Machines]:
        """Every kind of machine that this environment may start."""
        return [*self._clusters(), *self._kubernetes(), *self._training()]

    def _clusters(self) -> list[Machines]:
        if not self.parameters.get("deployComputes", True):
            return []
        return [
            Machines(
                f"cluster {compute['name']} of {workspace['name']}",
                workspace["location"],
                compute["vmSize"],
                compute["maxNodes"],
                compute["tier"] == "LowPriority",
                in_workspace=True,
                of=self.workspace(workspace["name"]),
            )
            for workspace in self.workspaces
            for compute in workspace["computes"]
        ]

    def _kubernetes(self) -> list[Machines]:
        if self.parameters.get("kubernetes") != "create":
            return []
        production = bool(self.minimum_cores)
        fewest = self.parameters.get("kubernetesNodeCount", 1)
        size = self.parameters.get("kubernetesVmSize", "Standard_D4s_v5")
        of = f"aks-tidegate-{self.name}"
        inference = Machines(
            "inference nodes",
            self.location,
            size,
            6 if production else fewest,
            False,
            self.minimum_cores,
            fewest,
            of=of,
        )
        system = Machines("system nodes", self.location, "Standard_D2s_v5", 3 if production else 1, False, of=of)
        runners = Machines("nodes of GitLab runners", self.location, "Standard_D4s_v5", 4, True, of=of)
        return [inference, system, *([runners] if self.parameters.get("gitlabRunners") else [])]

    def _training(self) -> list[Machines]:
        if not (self.parameters.get("trainingVm") and self.parameters.get("trainingImage")):
            return []
        size = self.parameters.get("trainingVmSize", "Standard_NC4as_T4_v3")
        return [Machines("training machine", self.location, size, 1, True, of="vm-training")]

    def workspace(self, work_package: str) -> str:
        """Name of the workspace of a work package."""
        return f"mlw-{work_package}-{self.name}"

    @property
    def minimum_cores(self) -> int:
        """Cores that a cluster for inference needs at its fewest."""
        return 12 if self.parameters.get("kubernetesPurpose") == "production" else 0

    @property
    def attached_cluster(self) -> str:
        """Resource id of a cluster that is there already; empty: none is used."""
        return self.parameters.get("existingKubernetesId", "") if self.parameters.get("kubernetes") == "attach" else ""

    @property
    def has_training_job(self) -> bool:
        return bool(self.parameters.get("trainingGpuJob") and self.parameters.get("trainingImage"))

    @property
    def training_job(self) -> tuple[str, str]:
        """Region and workload profile of the GPU job."""
        profile = self.parameters.get("trainingGpuProfile", "Consumption-GPU-NC8as-T4")
        return self.parameters.get("trainingGpuLocation", self.location), profile

    @property
    def is_private(self) -> bool:
        return bool(self.parameters.get("networkMode") == "private")

    @property
    def location(self) -> str:
        return str(self.parameters["location"])

    @property
    def budget_start(self) -> str:
        """First day of the budget's first month."""
        return str(self.parameters["budgetStartDate"])

    @property
    def resource_group(self) -> str:
        return str(self.parameters.get("resourceGroupName") or f"rg-tidegate-{self.name}")


def read(name: str, infra: Path = INFRA, given: Iterable[str] = ()) -> Environment:
    """The environment of `main.parameters.<name>.json`, with PARAMETER=VALUE in `given` instead of its own.

    FileNotFoundError: there is none.
    """
    stored = json.loads((infra / f"main.parameters.{name}.json").read_text())
    parameters = {key: each["value"] for key, each in stored["parameters"].items()}
    parameters |= {key: _value(text) for key, _, text in (each.partition("=") for each in given)}
    workspaces = json.loads((infra / "data" / "workspaces.json").read_text())["workspaces"]
    return Environment(name, parameters, tuple(workspaces))


def _value(text: str) -> Any:
    """JSON where it is JSON, otherwise the text itself: as `az deployment` reads a parameter."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
