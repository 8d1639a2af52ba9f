"""The whole local stack with a small function app: up, its clients, repair after a kill, down, and its command line."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from local import processes, world
from local.app_settings import app_settings
from local.ports import free_ports
from local.stack import Stack
from local.supervisor import StackError, State
from tidegate import settings

ROOT = Path(__file__).parents[2]
SAMPLE_APP = Path(__file__).with_name("sample_app")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), free_ports(), app=SAMPLE_APP) as stack:
        yield stack


def run(code: str, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def local(*arguments: str, state: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", "--state", str(state), *arguments]
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def variables(stack: Stack) -> dict[str, str]:
    return {f"TIDEGATE_PORT_{name.upper()}": str(port) for name, port in dataclasses.asdict(stack.ports).items()}


def pids(stack: Stack) -> dict[str, int | None]:
    return {row.part: row.pid for row in stack.status()}


@pytest.mark.stack
def test_every_part_runs(stack: Stack) -> None:
    assert {row.part: row.state for row in stack.status()} == dict.fromkeys(
        ("staging-registry", "healthy-registry", "azurite", "cloud", "front", "functions"), State.RUNNING
    )


@pytest.mark.stack
def test_functions_see_the_app_settings(stack: Stack) -> None:
    url = f"http://127.0.0.1:{stack.ports.functions}/api/setting?name=TIDEGATE_KEY_VAULT_URL"
    with urllib.request.urlopen(url) as answer:
        assert answer.read().decode() == world.VAULT_URL


@pytest.mark.stack
def test_a_client_reaches_azure_s_host_names_with_nothing_but_the_environment(stack: Stack) -> None:
    code = f"import requests; print(requests.get('https://{world.login_server(world.STAGING)}/v2/').status_code)"
    assert run(code, stack.client_environment()) == "401"


@pytest.mark.stack
def test_storage_keeps_a_table_transaction_together(stack: Stack) -> None:
    code = """
import os
from azure.data.tables import TableServiceClient
with TableServiceClient.from_connection_string(os.environ["STORAGE"]) as service:
    table = service.create_table("probe")
    table.submit_transaction([("create", {"PartitionKey": "p", "RowKey": str(i)}) for i in range(3)])
    print(len(list(table.list_entities())))
    service.delete_table("probe")
"""
    assert run(code, {"STORAGE": stack.storage_connection}) == "3"


@pytest.mark.stack
@pytest.mark.parametrize("part", ["cloud", "functions", "azurite"])
def test_up_repairs_a_killed_part_and_leaves_the_others_alone(stack: Stack, part: str) -> None:
    before = pids(stack)
    pid = before[part]
    assert pid is not None
    killed = processes.find(pid)
    assert killed is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while processes.is_alive(killed):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert local("status", state=stack.state, environment=variables(stack)).returncode == 1
    stack.up()
    after = pids(stack)
    assert {row.state for row in stack.status()} == {State.RUNNING}
    assert after[part] not in {None, pid}
    assert {name: after[name] for name in after if name != part} == {
        name: before[name] for name in before if name != part
    }


@pytest.mark.stack
def test_the_command_line_shows_the_running_stack(stack: Stack) -> None:
    shown = local("status", "--json", state=stack.state, environment=variables(stack))
    assert shown.returncode == 0
    assert {row["part"]: row["pid"] for row in json.loads(shown.stdout)} == pids(stack)


@pytest.mark.stack
def test_the_storage_key_is_readable_by_its_owner_only(stack: Stack) -> None:
    assert (stack.state / "storage.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.stack
def test_down_leaves_nothing_of_a_stack_running(tmp_path: Path) -> None:
    stack = Stack(tmp_path, free_ports(), app=SAMPLE_APP)
    with stack:
        begun = [process for pid in pids(stack).values() if pid and (process := processes.find(pid))]
        begun += [member for process in begun for member in processes.session_members(process)]
    assert len(begun) >= 6
    assert not any(map(processes.is_alive, begun))
    for port in dataclasses.asdict(stack.ports).values():
        socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.stack
def test_what_storage_holds_survives_down_and_up(tmp_path: Path) -> None:
    keep = """
import os
from azure.storage.blob import BlobServiceClient
with BlobServiceClient.from_connection_string(os.environ["STORAGE"]) as service:
    service.create_container("kept")
"""
    look = """
import os
from azure.storage.blob import BlobServiceClient
with BlobServiceClient.from_connection_string(os.environ["STORAGE"]) as service:
    print([each.name for each in service.list_containers() if each.name == "kept"])
"""
    stack = Stack(tmp_path, free_ports(), app=SAMPLE_APP)
    with stack:
        run(keep, {"STORAGE": stack.storage_connection})
    with stack:
        assert run(look, {"STORAGE": stack.storage_connection}) == "['kept']"


@pytest.mark.stack
def test_an_app_that_cannot_be_loaded_is_told_with_its_reason_and_soon(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text("raise RuntimeError('the sample is broken')\n")
    (app / "host.json").write_text('{"version": "2.0"}')
    with (
        pytest.raises(StackError, match=r"^functions: .*the sample is broken"),
        Stack(tmp_path / "state", free_ports(), app=app),
    ):
        raise AssertionError("the stack came up")


def test_a_stack_that_never_ran_has_an_environment_and_nothing_to_stop(tmp_path: Path) -> None:
    shown = local("env", state=tmp_path, environment={"TIDEGATE_PORT_FRONT": "18443"})
    assert "export HTTPS_PROXY=http://127.0.0.1:18443\n" in shown.stdout
    assert local("down", state=tmp_path, environment={}).stdout == "The local stack is down.\n"
    status = local("status", state=tmp_path, environment={})
    assert status.returncode == 1
    assert status.stdout.count("stopped") == 6


def test_the_command_line_refuses_a_taken_port_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        free = variables(Stack(tmp_path, free_ports())) | {"TIDEGATE_PORT_STAGING_REGISTRY": str(port)}
        refused = local("up", state=tmp_path, environment=free)
        local("down", state=tmp_path, environment=free)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"staging-registry: port {port} is in use by pid {os.getpid()} ({_own_name()}); "
        "end it, or set TIDEGATE_PORT_STAGING_REGISTRY=...\n"
    )


def test_the_command_line_refuses_a_port_that_is_none(tmp_path: Path) -> None:
    refused = local("status", state=tmp_path, environment={"TIDEGATE_PORT_FRONT": "many"})
    assert (refused.returncode, refused.stderr) == (1, "TIDEGATE_PORT_FRONT: 'many' is not a port (1-65535)\n")


def test_the_local_app_settings_are_what_the_product_reads() -> None:
    local_settings = app_settings("UseDevelopmentStorage=true")
    fields = {f"{settings.PREFIX}{field.name.upper()}" for field in dataclasses.fields(settings.Settings)}
    assert {name for name in local_settings if name.startswith(settings.PREFIX)} <= fields
    assert settings.load(local_settings).staging_registry == world.STAGING


def _own_name() -> str:
    return Path("/proc/self/comm").read_text().strip()
