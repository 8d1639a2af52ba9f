"""Makes the training image the environment `trainer` of an environment's workspaces, once Tidegate has promoted it.

    python -m infra.scripts.register_trainer ENVIRONMENT TAG

Waits for `training/trainer:TAG` in the healthy registry, and names it by its digest. The version of the environment is the tag,
which names the same image for ever: where that version is registered already nothing is done, so this may run again.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from azure.core.exceptions import AzureError

from infra.azure import Registry, signed_in
from infra.machine_learning import Workspace
from infra.scripts import environments
from infra.scripts.azure_cli import AzureCliError, ask
from infra.scripts.outputs import outputs

REPOSITORY = "training/trainer"
LIMIT_S = 1800
"""How long a promotion may take: the test of its gate, the import and what waits before it."""


class Tags(Protocol):
    """As much of a registry as is asked."""

    def digest(self, repository: str, tag: str) -> str:
        """What a tag names; empty: there is none."""


class Environments(Protocol):
    """As much of a workspace as is asked."""

    name: str

    def image(self, version: str = "") -> str:
        """The image of a version; empty: there is none."""

    def register(self, image: str, version: str) -> None:
        """Make a version."""


class NotPromotedError(Exception):
    """The image did not arrive in the healthy registry in time."""


def promoted(healthy: Tags, tag: str, limit: float, pause: float = 10) -> str:
    """The digest of the promoted image. NotPromotedError: it is not there within `limit` seconds."""
    deadline = time.monotonic() + limit
    while not (digest := healthy.digest(REPOSITORY, tag)):
        if time.monotonic() >= deadline:
            told = "a gate refused it or still tests it; `tidegate promotions` says which"
            raise NotPromotedError(f"{REPOSITORY}:{tag} was not promoted within {limit:.0f} s: {told}")
        time.sleep(pause)
    return digest


def register(image: str, tag: str, workspaces: Iterable[Environments]) -> Iterator[str]:
    """Register where it is not yet; one line a workspace."""
    for workspace in workspaces:
        if workspace.image(tag) == image:
            yield f"{workspace.name}: trainer:{tag} is registered already"
        else:
            workspace.register(image, tag)
            yield f"{workspace.name}: trainer:{tag} is {image}"


def main(name: str, tag: str) -> int:
    try:
        names, environment = outputs(name), environments.read(name)
        subscription = os.environ.get("AZURE_SUBSCRIPTION_ID") or str(ask(["account", "show"])["id"])
        who, group = signed_in(), names["AZURE_RESOURCE_GROUP"]
        digest = promoted(Registry(who, names["HEALTHY_REGISTRY"]), tag, LIMIT_S)
        image = f"{names['HEALTHY_REGISTRY']}.azurecr.io/{REPOSITORY}@{digest}"
        every = [environment.workspace(each["name"]) for each in environment.workspaces]
        for line in register(image, tag, [Workspace.of(who, subscription, group, each) for each in every]):
            sys.stdout.write(f"{line}\n")
    except (AzureCliError, AzureError, FileNotFoundError, NotPromotedError) as error:
        sys.stderr.write(f"register_trainer: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
