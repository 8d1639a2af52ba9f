"""A local cloud for one test run: two docker-registry processes, the stand-in and its front, on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from local import world
from local.authority import open_authority
from local.cloud.app import create_app
from local.cloud.core import Options
from local.environment import client_environment
from local.front import CLOUD_HOSTS, Front, listening
from local.registry import RegistryProcess, start_command
from tests.azurite import Azurite

POLL_SECONDS = 0.05


@dataclasses.dataclass(frozen=True, slots=True)
class LocalCloud:
    """Addresses of a running local cloud, and its admin endpoint."""

    cloud_port: int
    front_port: int
    bundle: Path
    registries: Mapping[str, int]
    """Registry name -> port of its docker-registry."""

    @property
    def environment(self) -> dict[str, str]:
        """What a client process needs."""
        return client_environment(front_port=self.front_port, cloud_port=self.cloud_port, bundle=self.bundle)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """A call to /admin; its JSON answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.cloud_port, timeout=10)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, "/admin/" + path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, (answer.status, text)
            return json.loads(text) if text else None
        finally:
            connection.close()

    def fault(self, kind: str, match: Mapping[str, Any], **details: Any) -> None:
        self.admin("POST", "faults", {"match": match, "fault": {"kind": kind, **details}})

    def calls(self, **filters: str) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        answer: list[dict[str, Any]] = self.admin("GET", f"calls?{query}")["calls"]
        return answer

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A client program, in a process of its own with the client's environment."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done


@contextlib.contextmanager
def local_cloud(folder: Path, storage: Azurite | None = None) -> Iterator[LocalCloud]:
    """Everything started; stopped at the end. The stand-in and its front run in one thread of this process."""
    cloud_port, front_port, *registry_ports = free_ports(4)
    registries = dict(zip((world.STAGING, world.HEALTHY), registry_ports, strict=True))
    authority = open_authority(folder / "ca")
    options = Options(
        registries={name: f"http://127.0.0.1:{port}" for name, port in registries.items()},
        state=folder / "cloud",
        poll_after=POLL_SECONDS,
        front_port=front_port,
        bundle=authority.bundle,
        storage=storage.connection_string if storage else None,
    )
    routes = dict.fromkeys(CLOUD_HOSTS, cloud_port)
    if storage:
        routes["*.blob.core.windows.net"] = storage.blob_port

    async def serve(stack: contextlib.AsyncExitStack) -> None:
        runner = web.AppRunner(create_app(options), access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", cloud_port).start()
        await stack.enter_async_context(listening(Front(authority, routes), front_port))

    with contextlib.ExitStack() as stack:
        for name, port in registries.items():
            process = RegistryProcess(name, port, folder / name, f"http://127.0.0.1:{cloud_port}")
            stack.enter_context(running(start_command(process.write_configuration()), port, folder / f"{name}.log"))
        stack.enter_context(in_thread(serve))
        yield LocalCloud(cloud_port, front_port, authority.bundle, registries)


@contextlib.contextmanager
def in_thread(serve: Callable[[contextlib.AsyncExitStack], Any]) -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run an asynchronous context in an event loop of its own; gives a function that runs a coroutine there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local-cloud")
    thread.start()
    stack = contextlib.AsyncExitStack()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    try:
        run(serve(stack))
        yield run
    finally:
        run(stack.aclose())
        run(loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A server process that accepts on its port before the block begins."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        eventually(lambda: _accepts(port), f"{command[2]} does not listen on {port}; see {log}", 40)
        yield
    finally:
        process.terminate()
        process.wait(10)


def eventually(condition: Callable[[], Any], otherwise: str, seconds: float = 10) -> Any:
    """The condition's first true value; AssertionError after the time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)
    return value


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
