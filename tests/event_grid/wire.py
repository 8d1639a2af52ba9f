"""Event Grid on a real port, and an endpoint that records what arrives."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from local.cloud import event_grid
from local.cloud.core import Cloud, Options
from local.cloud.event_grid import EventGrid


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What an endpoint received."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    @property
    def events(self) -> list[dict[str, Any]]:
        """The delivered events, whatever the schema."""
        return self.body if isinstance(self.body, list) else [self.body]


class Receiver:
    """A webhook; `handle` decides the answer to deliveries, handshakes in both schemas succeed."""

    def __init__(self, handle: Callable[[Request], web.Response] = lambda _: web.Response()) -> None:
        self.requests: list[Request] = []
        self.url = ""
        self._handle = handle

    @property
    def deliveries(self) -> list[Request]:
        """Without the handshakes."""
        return [request for request in self.requests if request.headers.get("aeg-event-type") == "Notification"]

    @property
    def ids(self) -> list[str]:
        """Ids of the delivered events, in the order of arrival."""
        return [str(event["id"]) for request in self.deliveries for event in request.events]

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        received = Request(request.method, dict(request.query), request.headers.copy(), json.loads(body or "null"))
        self.requests.append(received)
        if request.method == "OPTIONS":
            return web.Response(headers={"WebHook-Allowed-Origin": "eventgrid.azure.net"})
        if received.headers.get("aeg-event-type") == "SubscriptionValidation":
            return web.json_response({"validationResponse": received.body[0]["data"]["validationCode"]})
        return self._handle(received)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Receiver]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        async with served(app) as self.url:
            yield self


@dataclasses.dataclass(frozen=True, slots=True)
class RunningCloud:
    """A cloud of Event Grid alone."""

    url: str
    grid: EventGrid
    client: aiohttp.ClientSession

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        async with self.client.post(self.url + path, json=body) as response:
            return response.status, await response.json() if response.content_type == "application/json" else None

    async def get(self, path: str) -> Any:
        async with self.client.get(self.url + path) as response:
            return await response.json()

    async def subscription(self, name: str) -> dict[str, Any]:
        """What the admin endpoint says of a subscription."""
        listed = (await self.get("/admin/subscriptions"))["subscriptions"]
        found: dict[str, Any] = next(item for item in listed if item["name"] == name)
        return found


@contextlib.asynccontextmanager
async def running_cloud(state: Path, *, scale: str = "0.001", **options: Any) -> AsyncIterator[RunningCloud]:
    cloud = Cloud(Options(registries={}, state=state, **options))
    event_grid.install(cloud, {event_grid.TIME_SCALE: scale})
    grid = cloud.event_grid
    assert isinstance(grid, EventGrid)
    async with served(cloud.build()) as url, aiohttp.ClientSession() as client:
        yield RunningCloud(url, grid, client)


@contextlib.asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """Base URL on a free port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
