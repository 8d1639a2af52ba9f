"""The stand-in and its front as processes, and what survives their end."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local import world
from local.cloud.tokens import issue_token
from local.environment import client_environment
from tests.cloud.world import free_ports, running

pytestmark = pytest.mark.stack

SECRET = f"{world.VAULT_URL}/secrets/kept?api-version=7.4"


@contextlib.contextmanager
def _processes(folder: Path, cloud_port: int, front_port: int, smtp_port: int) -> Iterator[None]:
    ports = ["--port", str(cloud_port), "--smtp", str(smtp_port)]
    cloud = [sys.executable, "-m", "local.cloud", *ports, "--state", str(folder / "state")]
    front = [sys.executable, "-m", "local.front", "--port", str(front_port), "--cloud-port", str(cloud_port)]
    with (
        running(cloud, cloud_port, folder / "cloud.log"),
        running([*front, "--ca-dir", str(folder / "ca")], front_port, folder / "front.log"),
    ):
        yield


def test_a_secret_survives_a_restart_of_both_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud_port, front_port, smtp_port = free_ports(3)
    bundle = tmp_path / "ca/bundle.pem"
    environment = client_environment(front_port=front_port, cloud_port=cloud_port, bundle=bundle)
    owner = issue_token("https://vault.azure.net", appid=world.client_id(world.OWNER))
    headers = {"Authorization": f"Bearer {owner}"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with _processes(tmp_path, cloud_port, front_port, smtp_port):
        requests.put(SECRET, json={"value": "stays"}, headers=headers, timeout=10).raise_for_status()
    with _processes(tmp_path, cloud_port, front_port, smtp_port):
        assert requests.get(SECRET, headers=headers, timeout=10).json()["value"] == "stays"
        assert requests.get(f"http://127.0.0.1:{cloud_port}/health", timeout=10).status_code == 200
    assert (tmp_path / "state/secrets.json").stat().st_mode & 0o077 == 0
