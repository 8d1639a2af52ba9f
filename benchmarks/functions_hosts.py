"""A Functions host for an app of the benchmarks, beside the one of the stack."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.callers import Post
from local.functions_host import keys
from local.ports import free_ports
from local.site import send

APPS = Path(__file__).with_name("apps")
_START_LIMIT_S = 60


def event_post(port: int, key: str, function: str, body: bytes) -> Post:
    """A delivery of Event Grid to a function."""
    query = urllib.parse.urlencode({"functionName": function, "code": key})
    return Post(port, f"/runtime/webhooks/eventgrid?{query}", body, 202)


@contextlib.contextmanager
def hosted(app: str, settings: Mapping[str, str], folder: Path, body: bytes) -> Iterator[Post]:
    """Run an app of `apps/` with these app settings as the stack runs its own; gives a delivery to its function."""
    folder.mkdir()
    port = free_ports().functions
    arguments = ("--app", APPS / app, "--port", port, "--keys", folder, "--log", "text")
    with (folder / "log").open("wb") as log:
        host = subprocess.Popen(
            [sys.executable, "-m", "local.functions_host", *map(str, arguments)],
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_until_running(host, port, folder / "log")
        yield event_post(port, keys.load(folder).event_grid, "receive", body)
    finally:
        host.terminate()
        host.wait(30)


def _wait_until_running(host: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ends = time.monotonic() + _START_LIMIT_S
    while not _answers(port):
        if host.poll() is not None or time.monotonic() > ends:
            raise RuntimeError(f"the host did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        return send("GET", f"http://127.0.0.1:{port}/admin/host/ping", None, {}).status == 200
    except OSError:
        return False
