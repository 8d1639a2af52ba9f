"""Detached processes: recognised by more than their pid, and stopped with all that they started."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import processes
from local.processes import Process

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)
FAMILY = "import subprocess, time; subprocess.Popen(['sleep', '60']); print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """Starts Python code and waits until it says that it is ready; whatever is left is killed."""
    begun: list[Process] = []

    def start(code: str) -> Process:
        log = tmp_path / f"{len(begun)}.log"
        begun.append(processes.spawn([sys.executable, "-c", code], os.environ, tmp_path, log))
        until(lambda: log.exists() and "ready" in log.read_text())
        return begun[-1]

    yield start
    processes.stop(begun, grace_s=0)


def until(condition: Callable[[], bool], limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_a_process_has_a_session_of_its_own(started: Callable[[str], Process]) -> None:
    process = started("import time; print('ready', flush=True); time.sleep(60)")
    assert os.getsid(process.pid) == process.pid


def test_a_stopped_process_is_not_alive(started: Callable[[str], Process]) -> None:
    process = started("import time; print('ready', flush=True); time.sleep(60)")
    assert processes.is_alive(process)
    processes.stop([process])
    assert not processes.is_alive(process)


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(started: Callable[[str], Process]) -> None:
    process = started(STUBBORN)
    processes.stop([process], grace_s=0.1)
    assert not processes.is_alive(process)


def test_what_a_process_started_ends_with_it(started: Callable[[str], Process]) -> None:
    process = started(FAMILY)
    (child,) = processes.session_members(process)
    processes.stop([process])
    assert not processes.is_alive(child)


def test_what_a_killed_process_left_behind_is_found_and_ended(started: Callable[[str], Process]) -> None:
    process = started(FAMILY)
    (child,) = processes.session_members(process)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not processes.is_alive(process))
    assert processes.session_members(process) == [child]
    processes.stop([process])
    assert not processes.is_alive(child)


@pytest.mark.parametrize("recorded", ["started", "boot"])
def test_a_later_process_with_the_same_pid_is_never_touched(started: Callable[[str], Process], recorded: str) -> None:
    living = started(FAMILY)
    earlier = {
        "started": dataclasses.replace(living, started=living.started - 1),
        "boot": dataclasses.replace(living, boot="an earlier boot"),
    }[recorded]
    assert not processes.is_alive(earlier)
    processes.stop([earlier], grace_s=0)
    assert processes.is_alive(living)
    assert len(processes.session_members(living)) == 1


def test_a_command_that_does_not_exist_says_so_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = processes.spawn(["no-such-program"], os.environ, tmp_path, log)
    until(lambda: not processes.is_alive(process))
    assert "no-such-program" in log.read_text()
