"""Inference servers that deliveries started on this machine end with the stack, and nothing else does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import local_servers, processes

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def server() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEPER, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def record(state: Path, pid: int, began: object) -> Path:
    place = state / local_servers.FOLDER / "digits-dev" / "digits-7"
    place.mkdir(parents=True)
    (place / "server.json").write_text(json.dumps({"pid": pid, "began": str(began), "port": 1}))
    return place


def test_a_server_ends_and_its_folder_goes(server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    process = processes.find(server.pid)
    assert process is not None
    place = record(tmp_path, server.pid, process.started)
    local_servers.stop_all(tmp_path, 5)
    local_servers.stop_all(tmp_path, 5)
    assert not processes.is_alive(process)
    assert not place.exists()


def test_another_process_that_has_its_number_now_is_left_alone(server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    process = processes.find(server.pid)
    assert process is not None
    record(tmp_path, server.pid, process.started - 1)
    local_servers.stop_all(tmp_path, 5)
    assert processes.is_alive(process)


def test_a_stack_without_servers_goes_down_all_the_same(tmp_path: Path) -> None:
    local_servers.stop_all(tmp_path, 5)
    assert list(tmp_path.iterdir()) == []
