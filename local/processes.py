"""Detached processes that outlive their starter: started, recognised by pid and start time, stopped for good."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

_PROC = Path("/proc")
_POLL_S = 0.02


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """One process of this boot. The kernel gives a pid again, so the pid alone is never enough to kill by."""

    pid: int
    started: int
    """Clock ticks from boot to its start, field 22 of /proc/<pid>/stat (proc(5))."""
    boot: str
    """/proc/sys/kernel/random/boot_id: after a reboot nothing recorded before it is alive."""


def spawn(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> Process:
    """Start `command` in `folder` in a session of its own: no terminal, no stdin, output appended to `log`.

    A command that cannot be executed is a process that ended at once, with the reason in the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.posix_spawn(
        "/usr/bin/env",  # changes the folder and becomes the command, which keeps the pid
        ["env", f"--chdir={folder}", "--", *command],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGPIPE, signal.SIGTERM],
    )
    state = _stat(pid)
    if state is None:  # a child stays visible until it is waited for
        raise ChildProcessError(f"process {pid} was taken by another part of this program")
    return Process(pid, state.started, boot_id())


def find(pid: int) -> Process | None:
    """The process that has this pid now; None where there is none, or only a zombie."""
    state = _stat(pid)
    return None if state is None or state.ended else Process(pid, state.started, boot_id())


def is_alive(process: Process) -> bool:
    """Whether this very process, not a later one with its pid, still runs. Reaps it where it was our child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return find(process.pid) == process


def stop(processes: Iterable[Process], grace_s: float = 10) -> None:
    """End them and all that runs in their sessions: SIGTERM, and SIGKILL for what is left after `grace_s` seconds."""
    leaders = list(processes)
    everyone = [*leaders, *(member for leader in leaders for member in session_members(leader))]
    for leader in leaders:
        _signal(leader, signal.SIGTERM)
    _wait_until_ended(leaders, grace_s)
    everyone += [member for leader in leaders for member in session_members(leader)]
    for member in everyone:
        _signal(member, signal.SIGKILL)
    _wait_until_ended(everyone, 5)


def session_members(leader: Process) -> list[Process]:
    """What runs in the session that `leader` began, without the leader, even when the leader itself is dead.

    The kernel gives no pid again that is still the id of a session, so a living process with the leader's pid and
    another start time means that the session is over.
    """
    current = _stat(leader.pid)
    if leader.boot != boot_id() or (current is not None and current.started != leader.started):
        return []
    return [
        Process(pid, state.started, leader.boot)
        for pid in _pids()
        if pid != leader.pid and (state := _stat(pid)) and state.session == leader.pid and not state.ended
    ]


def boot_id() -> str:
    """Names this boot of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def refuse_unsupported() -> None:
    """Processes are recognised through /proc; elsewhere this is a RuntimeError that says so."""
    if sys.platform != "linux":
        raise RuntimeError("the local stack runs on Linux only: it recognises its processes through /proc")


@dataclasses.dataclass(frozen=True, slots=True)
class _Stat:
    ended: bool
    session: int
    started: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and parentheses
    return _Stat(ended=fields[0] in "ZX", session=int(fields[3]), started=int(fields[19]))


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())


def _signal(process: Process, number: signal.Signals) -> None:
    if is_alive(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _wait_until_ended(processes: Sequence[Process], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while any(is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
