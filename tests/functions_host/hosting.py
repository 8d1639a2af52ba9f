"""The host as a process of its own, as users start it, and HTTP requests to it."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from local.functions_host import keys

APPS = pathlib.Path(__file__).parent / "apps"
ROOT = pathlib.Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str
    headers: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Hosting:
    """A running host."""

    process: subprocess.Popen[bytes]
    port: int
    keys: keys.HostKeys
    log: pathlib.Path

    def send(self, method: str, path: str, body: str | bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()})

    def publish(self, function: str, *events: object) -> Answer:
        """Deliver events as Event Grid does, with the system key."""
        path = f"/runtime/webhooks/eventgrid?functionName={function}&code={self.keys.event_grid}"
        return self.send("POST", path, json.dumps(events), {"aeg-event-type": "Notification"})

    def status(self) -> dict[str, Any]:
        answer = self.send("GET", "/admin/host/status", headers={"x-functions-key": self.keys.master})
        document: dict[str, Any] = json.loads(answer.body)
        return document

    def worker(self) -> int:
        """Process id of the worker that runs now."""
        return int(until(lambda: self.status()["worker"]["pid"]))

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def logged(self, words: str) -> list[dict[str, Any]]:
        """Log lines whose message contains `words`; waits for the first."""
        return until(lambda: [line for line in self.lines() if words in line["message"]])

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


@contextlib.contextmanager
def hosting(
    app: pathlib.Path, environ: Mapping[str, str] | None = None, options: Sequence[str] = (), *, ready: bool = True
) -> Iterator[Hosting]:
    """Start the host on a free port and wait until it is ready, or only until it listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="functions-host-") as name:
        folder = pathlib.Path(name)
        made = keys.load_or_make(folder / "keys")
        command = [
            sys.executable,
            "-m",
            "local.functions_host",
            "--app",
            str(app),
            "--port",
            str(port),
            "--log",
            "json",
        ]
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--keys", str(folder / "keys"), *options],
                cwd=ROOT,
                env=os.environ | dict(environ or {}),
                stderr=output,
            )
        running = Hosting(process, port, made, log)
        try:
            until(lambda: _answers(running, {200} if ready else {200, 503}), process=process)
            yield running
        finally:
            process.kill()
            process.wait()


def until[T](probe: Callable[[], T], limit_s: float = 15, process: subprocess.Popen[bytes] | None = None) -> T:
    """Poll until the probe gives something true; a bounded wait, and the last answer in the failure."""
    deadline = time.monotonic() + limit_s
    while not (found := probe()):
        if process and process.poll() is not None:
            raise AssertionError(f"the host ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s} s: {found!r}")
        time.sleep(0.02)
    return found


def _answers(running: Hosting, statuses: set[int]) -> bool:
    try:
        return running.send("GET", "/admin/host/ping").status in statuses
    except (ConnectionError, http.client.HTTPException):
        return False
