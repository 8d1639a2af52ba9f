"""The real az command line and skopeo against the local cloud: nothing in them knows that it is not Azure."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local import world
from tests.cloud.images import Pusher
from tests.cloud.world import LocalCloud, local_cloud

pytestmark = [pytest.mark.stack, pytest.mark.azure_cli]

AZ = Path(__file__).parents[2] / ".tools/azure-cli/bin/az"
USER = "00000000-0000-0000-0000-000000000000"


@dataclasses.dataclass(frozen=True)
class Az:
    """A user's az, with a configuration folder of its own."""

    environment: Mapping[str, str]

    def __call__(self, *arguments: str) -> Any:
        """The command's JSON answer; AssertionError with what it printed when it failed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        assert AZ.exists(), "the az command line is not installed: make setup-az"
        command = [str(AZ), *arguments, "--output", "json"]
        return subprocess.run(
            command, env=dict(self.environment), capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path_factory.mktemp("az-cloud")) as one:
        yield one


def _az(cloud: LocalCloud, folder: Path) -> Az:
    own = {
        "AZURE_CONFIG_DIR": str(folder),
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CORE_NO_COLOR": "true",
        "AZURE_CORE_SURVEY_MESSAGE": "false",
    }
    return Az({**os.environ, **cloud.environment, **own})


@pytest.fixture(scope="module")
def az(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Az:
    """Logged in with the managed identity."""
    one = _az(cloud, tmp_path_factory.mktemp("az"))
    (account,) = one("login", "--identity")
    assert (account["id"], account["tenantId"]) == (world.SUBSCRIPTION, world.TENANT)
    return one


@pytest.fixture
def staging(cloud: LocalCloud) -> Pusher:
    return Pusher(f"http://127.0.0.1:{cloud.registries[world.STAGING]}", "training/litter")


@pytest.fixture
def healthy(cloud: LocalCloud) -> Pusher:
    return Pusher(f"http://127.0.0.1:{cloud.registries[world.HEALTHY]}", "training/litter")


def test_a_service_principal_logs_in(cloud: LocalCloud, tmp_path: Path) -> None:
    secret = ("--username", "00000000-0000-0000-0000-00000000c11e", "--password", "any", "--tenant", world.TENANT)
    (account,) = _az(cloud, tmp_path)("login", "--service-principal", *secret)
    assert account["id"] == world.SUBSCRIPTION


def test_az_imports_an_image_by_digest(az: Az, staging: Pusher, healthy: Pusher) -> None:
    digest = staging.image("v1", b"layer")
    origin = ("--source", f"training/litter@{digest}", "--registry", world.registry_id(world.STAGING))
    az("acr", "import", "--name", world.HEALTHY, *origin, "--image", "training/litter:v1")
    assert healthy.digest("v1") == digest
    again = az.run("acr", "import", "--name", world.HEALTHY, *origin, "--image", "training/litter:v1")
    assert again.returncode != 0
    assert "already exists" in again.stderr


def test_az_lists_repositories_and_locks_a_tag(az: Az, staging: Pusher) -> None:
    digest = staging.image("v2", b"layer 2")
    registry = ("--name", world.STAGING)
    assert "training/litter" in az("acr", "repository", "list", *registry)
    assert "v2" in az("acr", "repository", "show-tags", *registry, "--repository", "training/litter")
    image = ("--image", "training/litter:v2")
    shown = az("acr", "repository", "update", *registry, *image, "--write-enabled", "false")
    assert shown["changeableAttributes"]["writeEnabled"] is False
    assert az("acr", "repository", "show", *registry, *image)["digest"] == digest
    refused = az.run("acr", "repository", "delete", *registry, *image, "--yes")
    assert refused.returncode != 0
    assert "disallowed" in refused.stderr


def test_az_sets_and_shows_a_secret(az: Az) -> None:
    vault = ("--vault-name", world.KEY_VAULT, "--name", "from-az")
    az("keyvault", "secret", "set", *vault, "--value", "local")
    assert az("keyvault", "secret", "show", *vault)["value"] == "local"


def test_skopeo_copies_with_the_token_that_az_shows(cloud: LocalCloud, az: Az, staging: Pusher) -> None:
    digest = staging.image("v3", b"layer 3")
    token = az("acr", "login", "--name", world.STAGING, "--expose-token")
    assert token["loginServer"] == world.login_server(world.STAGING)
    credentials = f"{USER}:{token['accessToken']}"
    repository = f"docker://{token['loginServer']}/training/litter"
    creds = ("--src-creds", credentials, "--dest-creds", credentials)
    cloud.run("skopeo", "copy", "--all", "--preserve-digests", *creds, f"{repository}:v3", f"{repository}-copy:v3")
    assert Pusher(staging.base, "training/litter-copy").digest("v3") == digest
