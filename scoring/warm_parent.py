"""The process that forks inference servers, and each of its servers, as whoever started them holds them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

_GRACE = 30.0
"""Seconds that a server has for the request it is answering: gunicorn's own."""


class ServiceError(RuntimeError):
    """The service does not run as it should; the message ends with what it said last."""


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """One inference server. `handle` is a pidfd, so that no other process is ever taken for it."""

    handle: int
    log: Path
    ready: Path

    @property
    def worker(self) -> int | None:
        """Process id of the worker that answers; None before `init` returned."""
        return int(self.ready.read_text()) if self.ready.exists() else None

    def is_gone(self, within: float = 0.0) -> bool:
        """Whether it has ended, after waiting `within` seconds for that."""
        return bool(select.select([self.handle], [], [], within)[0])

    def retire(self, grace: float = _GRACE) -> None:
        """End it: the request it is answering is answered first, up to `grace` seconds."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, kind)
            if self.is_gone(grace):
                break
        os.close(self.handle)
        self.log.unlink(missing_ok=True)
        self.ready.unlink(missing_ok=True)


class WarmParent:
    """`scoring.local_server` as a process: it lives until `close`, or until this process ends in any way."""

    def __init__(self, listener: socket.socket, folder: Path, environment: Mapping[str, str]) -> None:
        """Its servers answer on `listener` and write logs below `folder`. Importing goes on after this returns."""
        self._listener, self._folder, self._count = listener.fileno(), folder, 0
        self._log = folder / "parent.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scoring.local_server"], cwd=folder, env=environment, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, pass_fds=[self._listener],
            )  # fmt: skip

    @property
    def is_alive(self) -> bool:
        """False once it ended, whoever ended it."""
        return self._process.poll() is None

    def server(self, within: float) -> Server:
        """A server whose `init` has returned; ServiceError with its log when that fails or takes more than `within` seconds."""
        end = time.monotonic() + within
        self._count += 1
        name = f"{self._process.pid}-{self._count}"
        log, ready = self._folder / f"{name}.log", self._folder / f"{name}.ready"
        server = Server(self._fork(log, ready, end), log, ready)
        while server.worker is None:
            if server.is_gone(within=0.01) or time.monotonic() > end:
                said = _tail(log)
                failed = "the scoring script failed to start" if server.is_gone() else f"not ready after {within} s"
                server.retire(grace=1.0)
                raise ServiceError(f"{failed}:\n{said}")
        return server

    def close(self) -> None:
        """End it, and with it every server that it forked and that has not ended. Idempotent."""
        with self._process:  # closes the pipes, and waits
            self._process.kill()

    def _fork(self, log: Path, ready: Path, end: float) -> int:
        asked, told = self._process.stdin, self._process.stdout
        if asked is None or told is None:
            raise ServiceError("the process that forks servers has no pipes")
        log.touch()
        with contextlib.suppress(BrokenPipeError):
            asked.write(json.dumps({"listener": self._listener, "log": str(log), "ready": str(ready)}) + "\n")
            asked.flush()
        waiting = max(0.0, end - time.monotonic())
        answer = told.readline() if select.select([told], [], [], waiting)[0] else ""
        if not answer:
            raise ServiceError(f"no server was forked:\n{_tail(self._log)}")
        return os.pidfd_open(int(answer))


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-25:])
