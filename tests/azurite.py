"""Azurite, Microsoft's storage emulator, while a `with` block lasts: real queues, blobs and tables on free ports."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

ACCOUNT = "tidegatestate"
KEY = "c3RhbmQtaW4ga2V5IG9mIHRoZSBzdG9yYWdlIGVtdWxhdG9yLCBub3QgYSBzZWNyZXQ="

_ENTRY = pathlib.Path(__file__).parents[1] / ".tools/azurite/node_modules/azurite/dist/src/azurite.js"


@dataclasses.dataclass(frozen=True, slots=True)
class Azurite:
    """A running emulator: one account, empty at first, reachable on 127.0.0.1 without TLS."""

    blob_port: int
    queue_port: int
    table_port: int
    connection_string: str


@contextlib.contextmanager
def azurite(account: str = ACCOUNT, key: str = KEY) -> Iterator[Azurite]:
    """Start the emulator, wait until its three ports answer, stop it at the end; everything is kept in memory.

    `make` downloads it to `.tools/azurite`; without it this raises and says so, because a skipped test proves nothing.
    """
    if not _ENTRY.exists():
        raise RuntimeError(f"{_ENTRY} is missing: npm install --prefix .tools/azurite azurite")
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("node is not installed, and the storage emulator needs it")
    ports = _free_ports()
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        log = pathlib.Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [node, str(_ENTRY), *_options(ports)],
                cwd=folder,
                env=os.environ | {"AZURITE_ACCOUNTS": f"{account}:{key}"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_until_listening(process, ports, log)
            yield Azurite(*ports, _connection_string(account, key, ports))
        finally:
            process.kill()  # nothing to save, and a graceful stop takes seconds
            process.wait()


def _options(ports: tuple[int, int, int]) -> list[str]:
    named = zip(("--blobPort", "--queuePort", "--tablePort"), ports, strict=True)
    flags = ["--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    return [text for name, port in named for text in (name, str(port))] + flags


def _connection_string(account: str, key: str, ports: tuple[int, int, int]) -> str:
    endpoints = zip(("BlobEndpoint", "QueueEndpoint", "TableEndpoint"), ports, strict=True)
    parts = [f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key}"]
    return ";".join(parts + [f"{name}=http://127.0.0.1:{port}/{account}" for name, port in endpoints])


def _free_ports() -> tuple[int, int, int]:
    with contextlib.ExitStack() as stack:  # open at the same time, so the three differ
        blob, queue, table = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3))
        return blob.getsockname()[1], queue.getsockname()[1], table.getsockname()[1]


def _wait_until_listening(
    process: subprocess.Popen[bytes], ports: tuple[int, int, int], log: pathlib.Path, limit_s: float = 30
) -> None:
    deadline = time.monotonic() + limit_s
    for port in ports:
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the storage emulator did not start: {log.read_text()}")
            time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
