"""The smoke test of a deployed environment, run against the local stack as the pipeline that deploys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local import world
from local.parts import ROOT
from local.stack import Stack
from tests.e2e.conftest import Scene


def make_storage(stack: Stack) -> None:
    """What the template makes in the state account."""
    state = json.loads((ROOT / "infra" / "data" / "state.json").read_text())
    with (
        QueueServiceClient.from_connection_string(stack.storage_connection) as queues,
        BlobServiceClient.from_connection_string(stack.storage_connection) as blobs,
        TableServiceClient.from_connection_string(stack.storage_connection) as tables,
    ):
        for make, names in (
            (queues.create_queue, state["queues"]),
            (blobs.create_container, state["containers"]),
            (tables.create_table, state["tables"]),
        ):
            for name in names:
                try:
                    make(name)
                except ResourceExistsError:
                    continue


def smoke(stack: Stack, folder: Path, **differing: str) -> subprocess.CompletedProcess[str]:
    outputs = {
        "AZURE_RESOURCE_GROUP": world.RESOURCE_GROUP,
        "STAGING_REGISTRY": world.STAGING,
        "HEALTHY_REGISTRY": world.HEALTHY,
        "EVENTS_APP_NAME": world.FUNCTION_APP,
        "API_APP_NAME": world.FUNCTION_APP,
        "API_URL": f"http://127.0.0.1:{stack.ports.functions}",
        "STATE_ACCOUNT": world.STORAGE_ACCOUNT,
        "SMOKE_SOURCE": f"{world.login_server(world.STAGING)}/seed/base:v1",
        "SMOKE_REPOSITORY": "moving/smoke",
    }
    file = folder / "outputs.json"
    file.write_text(json.dumps(outputs | differing))
    environment = {
        **os.environ,
        **stack.client_environment("pipeline"),
        "AZURE_SUBSCRIPTION_ID": world.SUBSCRIPTION,
    }
    command = [sys.executable, "-m", "infra.tests.smoke", "local", "--outputs", str(file)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_local_environment_passes_but_for_the_key_of_azurite(scene: Scene, tmp_path: Path) -> None:
    """Azurite is opened by a key; every other check passes, up to an image that arrives in the healthy registry."""
    make_storage(scene.site.stack)

    done = smoke(scene.site.stack, tmp_path)

    faults = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert faults == ["FAIL no key opens the state account: allowSharedKeyAccess"], done.stdout + done.stderr
    assert "moving/smoke:smoke-" in done.stdout
    assert done.returncode == 1


def test_an_environment_without_its_app_fails(scene: Scene, tmp_path: Path) -> None:
    done = smoke(scene.site.stack, tmp_path, EVENTS_APP_NAME="func-elsewhere", SMOKE_SOURCE="docker.io/library/none:1")

    assert "FAIL functions: " in done.stdout
    assert "FAIL promotion: " in done.stdout
