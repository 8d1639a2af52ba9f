"""The environment of the trainer's jobs in an emulated workspace, made by azure-ai-ml."""

from __future__ import annotations

import uuid

import pytest

from infra.machine_learning import Workspace
from infra.scripts import register_trainer
from local import world
from tests.cloud import ml_world

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::ResourceWarning"),
]
IMAGE = f"tidegatehealthy.azurecr.io/training/trainer@sha256:{1:064x}"
OTHER = IMAGE.replace("1", "2")


def test_the_environment_is_registered_once_and_the_newest_is_found(workspace: ml_world.Workspace) -> None:
    studio = Workspace.of(workspace.credential, world.SUBSCRIPTION, world.RESOURCE_GROUP, "forecasting-dev")
    first, second = (f"v{uuid.uuid4().hex[:8]}.1" for _ in range(2))
    assert studio.image(first) == ""

    assert list(register_trainer.register(IMAGE, first, [studio])) == [f"forecasting-dev: trainer:{first} is {IMAGE}"]
    assert list(register_trainer.register(OTHER, second, [studio])) == [f"forecasting-dev: trainer:{second} is {OTHER}"]
    again = list(register_trainer.register(IMAGE, first, [studio]))

    assert again == [f"forecasting-dev: trainer:{first} is registered already"]
    assert (studio.image(first), studio.image()) == (IMAGE, OTHER)


def test_a_workspace_in_which_nothing_was_registered_has_no_image(workspace: ml_world.Workspace) -> None:
    studio = Workspace.of(workspace.credential, world.SUBSCRIPTION, world.RESOURCE_GROUP, "forecasting-pro")

    assert studio.image() == ""
