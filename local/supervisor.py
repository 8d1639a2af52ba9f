"""Starts parts in their order, repairs what is half up, says what runs, and stops all of it."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from local import port_owner, processes
from local.parts import ROOT, Launch, Part
from local.processes import Process

READY_LIMIT_S = 60
"""Seconds a part may take to answer; it takes a second on an idle machine, and several on a loaded one."""
_POLL_S = 0.03
_RELEASE_S = 5
"""Seconds a killed process may hold its ports: it counts as dead when its first thread is, and others end later."""
_LOG_LINES = 15


class StackError(RuntimeError):
    """The stack cannot be brought up; the message says which part, why, and what to do."""


class State(enum.StrEnum):
    """What a part does now."""

    RUNNING = "running"
    UNREADY = "not ready"
    """Its process lives and does not answer as it should."""
    DEAD = "dead"
    """It was started and its process is gone: `up` starts it again."""
    STOPPED = "stopped"


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """One line of `python -m local status`."""

    part: str
    state: State
    port: int
    pid: int | None
    url: str
    log: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Record:
    process: Process
    fingerprint: str


@dataclasses.dataclass(frozen=True, slots=True)
class Supervisor:
    """Parts whose records and logs are in one folder. Nothing stays in memory: each call looks at what is there."""

    state: Path
    stages: Sequence[Sequence[Part]]
    """Parts of one stage start together, once every part of the stages before answers."""
    tell: Callable[[str], None]
    """Gets one line a part while the stack comes up or goes down."""

    def up(self) -> None:
        """Start what does not run and leave alone what does; afterwards every part answers. Otherwise StackError."""
        with self._locked():
            for stage in self.stages:
                for part, process, since in [(part, self._start(part), time.monotonic()) for part in stage]:
                    self._wait_until_ready(part, process, since)

    def down(self, grace_s: float = 10) -> None:
        """Stop every part, the last stage first, and all that its processes started. Twice is the same as once."""
        with self._locked():
            for stage in reversed(self.stages):
                recorded = [(part, record.process) for part in stage if (record := self._record(part))]
                processes.stop([process for _, process in recorded], grace_s)
                for part, _ in recorded:
                    self._record_file(part).unlink()
                    self.tell(f"{part.name:<18}stopped")

    def status(self) -> list[Status]:
        """One line a part, in the order in which they start."""
        return [self._status(part) for stage in self.stages for part in stage]

    def _start(self, part: Part) -> Process:
        try:
            launch = part.launch()
        except FileNotFoundError as missing:
            raise StackError(f"{part.name}: {missing}") from missing
        record = self._record(part)
        if record and record.fingerprint == launch.fingerprint and processes.is_alive(record.process):
            return record.process
        if record:  # another command, or dead: what is left of it may hold the ports
            processes.stop([record.process])
        _require_free_ports(part, _RELEASE_S if record else 0)
        return self._spawn(part, launch)

    def _spawn(self, part: Part, launch: Launch) -> Process:
        log = self._log(part)
        log.unlink(missing_ok=True)
        environment = launch.process_environment(os.environ)
        process = processes.spawn(launch.command, environment, ROOT, log)
        content = dataclasses.asdict(_Record(process, launch.fingerprint))
        self._record_file(part).write_text(json.dumps(content))
        return process

    def _wait_until_ready(self, part: Part, process: Process, since: float) -> None:
        while not part.answers():
            if not processes.is_alive(process):
                raise StackError(f"{part.name}: ended before it was ready{_end_of(self._log(part))}")
            if fault := part.fault():
                raise StackError(f"{part.name}: {fault}. {self._log(part)}")
            if time.monotonic() - since > READY_LIMIT_S:
                raise StackError(f"{part.name}: not ready after {READY_LIMIT_S} s{_end_of(self._log(part))}")
            time.sleep(_POLL_S)
        self.tell(f"{part.name:<18}{part.url:<25}ready after {time.monotonic() - since:.1f} s")

    def _status(self, part: Part) -> Status:
        record = self._record(part)
        if record is None:
            state = State.STOPPED
        elif not processes.is_alive(record.process):
            state = State.DEAD
        else:
            state = State.RUNNING if part.answers() else State.UNREADY
        pid = record.process.pid if record and state in {State.RUNNING, State.UNREADY} else None
        return Status(part.name, state, part.port, pid, part.url, str(self._log(part)))

    def _record(self, part: Part) -> _Record | None:
        file = self._record_file(part)
        if not file.exists():
            return None
        content = json.loads(file.read_text())
        return _Record(Process(**content["process"]), content["fingerprint"])

    def _record_file(self, part: Part) -> Path:
        return self.state / "run" / f"{part.name}.json"

    def _log(self, part: Part) -> Path:
        return self.state / "logs" / f"{part.name}.log"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One `up` or `down` at a time; a second one waits."""
        (self.state / "run").mkdir(parents=True, exist_ok=True)
        with (self.state / "run/lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _require_free_ports(part: Part, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    for field, port in part.ports.items():
        while not port_owner.is_free(port):
            if time.monotonic() >= deadline:
                move = f"TIDEGATE_PORT_{field.upper()}=..."
                raise StackError(
                    f"{part.name}: port {port} is in use by {port_owner.owner(port)}; end it, or set {move}"
                )
            time.sleep(_POLL_S)


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if log.exists() else []
    return f". {log}:\n" + "\n".join(f"  {line}" for line in lines or ["(empty)"])
