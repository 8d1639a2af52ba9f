"""A registry that answers as a test says, at the real host name and over TLS, so that clients can be misled on the wire."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from aiohttp import web

from local.authority import open_authority
from local.environment import client_environment
from local.front import Front, listening
from tests.cloud.world import free_ports, in_thread

HOST = "contosostaging.azurecr.io"

type Answer = Callable[[web.Request, bytes], web.Response]


@dataclasses.dataclass(slots=True)
class HostileRegistry:
    """`answers` is asked for every request; what was asked is in `seen`, newest last."""

    environment: dict[str, str]
    answer: Answer = lambda request, body: web.Response(status=404)
    seen: list[tuple[str, str, str | None]] = dataclasses.field(default_factory=list)
    """(method, host and path, Authorization)"""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.seen.append((request.method, f"{request.host}{request.path}", request.headers.get("Authorization")))
        return self.answer(request, body)


@contextlib.contextmanager
def hostile_registry(folder: Path) -> Iterator[HostileRegistry]:
    """Serves every `*.azurecr.io` and every storage host; other hosts are refused by the proxy."""
    front_port, port = free_ports(2)
    authority = open_authority(folder)
    environment = client_environment(front_port=front_port, cloud_port=port, bundle=authority.bundle)
    registry = HostileRegistry(environment)
    hosts = ("*.azurecr.io", "*.blob.core.windows.net", "*.evil.example")

    async def serve(stack: contextlib.AsyncExitStack) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", registry.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await stack.enter_async_context(listening(Front(authority, dict.fromkeys(hosts, port)), front_port))

    with in_thread(serve):
        yield registry
