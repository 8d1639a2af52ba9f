"""Starts the retraining pipeline job of a work package, with the image that its environment `trainer` names now.

    python -m infra.scripts.start_retraining ENVIRONMENT WORK_PACKAGE RUN

RUN names the training run: the same name goes on where that was saved, another one begins anew.
"""

from __future__ import annotations

import os
import sys
from typing import Protocol

from azure.core.exceptions import AzureError

from infra.azure import signed_in
from infra.machine_learning import Workspace
from infra.scripts import environments
from infra.scripts.azure_cli import AzureCliError, ask
from infra.scripts.environments import Environment


class Trainable(Protocol):
    """As much of a workspace as is asked."""

    name: str

    def image(self) -> str:
        """The image of the newest version of the trainer's environment; empty: there is none."""

    def retrain(self, run: str, image: str) -> str:
        """Start the pipeline job; gives its name."""


class NotTrainableError(Exception):
    """There is nothing to train in: no such work package, or no environment in its workspace."""


def workspace_of(environment: Environment, work_package: str) -> str:
    """Name of the workspace. NotTrainableError: there is no such work package."""
    known = [each["name"] for each in environment.workspaces]
    if work_package not in known:
        raise NotTrainableError(f"there is no work package {work_package}; there are {', '.join(known)}")
    return environment.workspace(work_package)


def start(workspace: Trainable, run: str) -> str:
    """The name of the job that was started. NotTrainableError: the trainer's environment is not there."""
    if not (image := workspace.image()):
        raise NotTrainableError(
            f"{workspace.name} has no environment trainer; the pipeline of the training image makes it"
        )
    return workspace.retrain(run, image)


def main(name: str, work_package: str, run: str) -> int:
    try:
        environment = environments.read(name)
        where = environment.resource_group, workspace_of(environment, work_package)
        subscription = os.environ.get("AZURE_SUBSCRIPTION_ID") or str(ask(["account", "show"])["id"])
        sys.stdout.write(f"started {start(Workspace.of(signed_in(), subscription, *where), run)}\n")
    except (AzureCliError, AzureError, FileNotFoundError, NotTrainableError) as error:
        sys.stderr.write(f"start_retraining: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
