"""The supervisor, with small real servers as parts: order, reuse, repair, strangers on a port, nothing left behind."""

from __future__ import annotations

import functools
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import processes
from local.parts import Launch, Part
from local.ports import free_ports
from local.supervisor import StackError, State, Status, Supervisor

SERVER = (
    "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port={port}, bind='127.0.0.1')"
)
BROKEN = "import sys; print('the disk is on fire'); sys.exit(3)"


def part(name: str, field: str, port: int, code: str = SERVER, mark: str = "") -> Part:
    command = [sys.executable, "-c", code.format(port=port)]
    return Part(name, {field: port}, functools.partial(Launch, command, {"MARK": mark}), "/")


class World:
    """Two parts, the second in a later stage, and what the supervisor told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = free_ports()
        self.told: list[str] = []
        self.base = part("base", "cloud", self.ports.cloud)
        self.top = part("top", "functions", self.ports.functions)

    def supervisor(self, *stages: tuple[Part, ...]) -> Supervisor:
        return Supervisor(self.folder, stages or ((self.base,), (self.top,)), self.told.append)

    def status(self) -> dict[str, Status]:
        return {row.part: row for row in self.supervisor().status()}

    def pids(self) -> dict[str, int | None]:
        return {name: row.pid for name, row in self.status().items()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.supervisor().down(grace_s=1)


def kill(pid: int | None) -> None:
    assert pid is not None
    process = processes.find(pid)
    assert process is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while processes.is_alive(process):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_part_of_a_later_stage_starts_when_the_earlier_ones_answer(world: World) -> None:
    world.supervisor().up()
    assert [line.split()[0] for line in world.told] == ["base", "top"]
    assert {name: row.state for name, row in world.status().items()} == {"base": State.RUNNING, "top": State.RUNNING}


def test_up_again_starts_nothing_anew(world: World) -> None:
    world.supervisor().up()
    before = world.pids()
    world.supervisor().up()
    assert world.pids() == before


def test_a_killed_part_is_shown_as_dead_and_up_repairs_it_alone(world: World) -> None:
    world.supervisor().up()
    before = world.pids()
    kill(before["base"])
    assert world.status()["base"].state is State.DEAD
    world.supervisor().up()
    after = world.pids()
    assert after["top"] == before["top"]
    assert after["base"] not in {None, before["base"]}


def test_a_part_with_another_environment_is_started_anew(world: World) -> None:
    world.supervisor().up()
    before = world.pids()
    world.top = part("top", "functions", world.ports.functions, mark="changed")
    world.supervisor().up()
    after = world.pids()
    assert after["base"] == before["base"]
    assert after["top"] not in {None, before["top"]}


def test_down_leaves_no_process_and_no_port(world: World) -> None:
    world.supervisor().up()
    living = [process for pid in world.pids().values() if pid and (process := processes.find(pid))]
    world.supervisor().down()
    assert len(living) == 2
    assert not any(map(processes.is_alive, living))
    assert {row.state for row in world.status().values()} == {State.STOPPED}
    for port in (world.ports.cloud, world.ports.functions):
        socket.create_server(("127.0.0.1", port)).close()


def test_down_twice_is_the_same_as_once(world: World) -> None:
    world.supervisor().up()
    world.supervisor().down()
    world.told.clear()
    world.supervisor().down()
    assert world.told == []


def test_a_stranger_on_a_port_is_named_with_the_way_out(world: World) -> None:
    with socket.create_server(("127.0.0.1", world.ports.functions)), pytest.raises(StackError) as refused:
        world.supervisor().up()
    assert re.fullmatch(
        rf"top: port {world.ports.functions} is in use by pid {os.getpid()} \(.+\); "
        r"end it, or set TIDEGATE_PORT_FUNCTIONS=\.\.\.",
        str(refused.value),
    )
    assert world.status()["base"].state is State.RUNNING


def test_a_part_that_ends_at_once_is_told_with_the_end_of_its_log(world: World) -> None:
    world.top = part("top", "functions", world.ports.functions, BROKEN)
    with pytest.raises(StackError, match=r"(?s)top: ended before it was ready.*top\.log:.*the disk is on fire"):
        world.supervisor().up()


def test_a_part_that_is_not_installed_is_told_in_one_line(world: World) -> None:
    def missing() -> Launch:
        raise FileNotFoundError("it is not installed; install it: make setup")

    world.top = Part("top", {"functions": world.ports.functions}, missing)
    with pytest.raises(StackError, match=r"^top: it is not installed; install it: make setup$"):
        world.supervisor().up()


def test_a_recorded_pid_that_is_another_process_now_is_not_killed(world: World) -> None:
    world.supervisor().up()
    record = world.folder / "run/top.json"
    pid = world.pids()["top"]
    assert pid is not None
    living = processes.find(pid)
    assert living is not None
    record.write_text(record.read_text().replace(str(living.started), str(living.started - 1)))
    world.supervisor().down()
    assert processes.is_alive(living)
    processes.stop([living], grace_s=1)


def test_credentials_of_the_starter_reach_no_part(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "real")
    world.supervisor().up()
    pid = world.pids()["base"]
    assert b"MARK=" in Path(f"/proc/{pid}/environ").read_bytes()
    assert b"AZURE_CLIENT_SECRET" not in Path(f"/proc/{pid}/environ").read_bytes()
