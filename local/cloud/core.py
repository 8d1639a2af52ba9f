"""The Cloud: what services plug into, and through which they reach each other."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Middleware

from local.cloud.arm import ARM_HOST, ArmRoutes
from local.cloud.errors import ArmError, refusals
from local.cloud.operations import OPERATION_RESULT, Operations
from local.cloud.roles import Roles

_BODY_LIMIT = 64 * 2**20
"""Bytes of a request body read whole; what is longer (blobs) is streamed."""

type Lifetime = Callable[[web.Application], AsyncIterator[None]]


class EventPublisher(Protocol):
    """What services need of Event Grid; event_grid.EventGrid is the implementation."""

    async def publish(self, topic_id: str, events: list[dict[str, Any]]) -> None:
        """Accept events (Event Grid schema; the publisher fills in the topic) for the topic's subscriptions."""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the stand-in is told when it starts."""

    registries: Mapping[str, str]
    """Registry name -> base URL of its docker-registry, for example `http://127.0.0.1:17501`."""
    state: Path
    """Folder of what survives a restart (locks, secrets, the recording)."""
    storage: str | None = None
    """Connection string of the storage account (Azurite): run logs, dead letters."""
    functions_url: str | None = None
    """Base URL of the Functions host that events are delivered to."""
    functions_keys: Path | None = None
    """Folder of the host's key files."""
    poll_after: float = 1.0
    """Seconds between polls of a long-running operation that clients are told."""
    identity_header: str = "local"
    """IDENTITY_HEADER that the managed identity endpoint asks for."""
    smtp: int = 0
    """Port of the mail server; 0: any free one."""
    front_port: int = 0
    """Port of the front; what stands for code on Azure reaches Azure's host names through it. 0: it reaches none."""
    bundle: Path | None = None
    """Certificates that such code trusts."""
    roles: Path | None = None
    """The file of roles and grants that is enforced; None: everyone may do everything."""


class Cloud:
    """Services add routes and lifetimes to it; `build` makes the application, once, after the last of them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.roles = Roles(options.roles)
        self.arm = ArmRoutes(self.roles)
        self.operations = Operations(options.poll_after)
        self.event_grid: EventPublisher | None = None
        self.local = web.Application(client_max_size=_BODY_LIMIT)
        """Routes without an Azure host name: managed identity, health, notifications, admin."""
        self.local.router.add_get("/admin/permissions", self.roles.list_asked)
        self.local.router.add_delete("/admin/permissions", self.roles.forget_asked)
        self._hosts: dict[str, web.Application] = {}
        self._lifetimes: list[Lifetime] = [self._session, self.operations.running]
        self._http: aiohttp.ClientSession | None = None
        self.arm.add("GET", OPERATION_RESULT, self.operations.poll)
        self.host(ARM_HOST).router.add_route("*", "/{path:.*}", self.arm.answer)

    @property
    def http(self) -> aiohttp.ClientSession:
        """The shared client session: no proxy, no total timeout, bodies as they are on the wire."""
        if self._http is None:
            raise RuntimeError("the application is not running")
        return self._http

    def host(self, pattern: str) -> web.Application:
        """The application for one host name or `*.suffix`; the same one for every service that asks."""
        return self._hosts.setdefault(pattern, web.Application(client_max_size=_BODY_LIMIT))

    def lifetime(self, context: Lifetime) -> None:
        """Run the context around the application's life; contexts end in reverse order."""
        self._lifetimes.append(context)

    def registry(self, name: str) -> tuple[str, str]:
        """(name in its own case, base URL of its docker-registry), found without case; else ArmError 404."""
        for known, url in self.options.registries.items():
            if known.casefold() == name.casefold():
                return known, url.rstrip("/")
        message = f"The Resource 'Microsoft.ContainerRegistry/registries/{name}' was not found."
        raise ArmError(404, "ResourceNotFound", message)

    async def raise_events(self, topic_id: str, events: list[dict[str, Any]]) -> None:
        """Publish when Event Grid is installed; without it (a test of one service) events go nowhere."""
        if self.event_grid is not None:
            await self.event_grid.publish(topic_id, events)

    def build(self, middlewares: tuple[Middleware, ...] = ()) -> web.Application:
        """The whole application; `middlewares` see every call, outermost first, and refusals as answers."""
        app = self.local
        app.middlewares.extend([*middlewares, refusals])
        for pattern, host in self._hosts.items():
            app.add_domain(pattern, host)
        app.cleanup_ctx.extend(self._lifetimes)
        return app

    async def _session(self, _app: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            self._http = session
            yield
        self._http = None
