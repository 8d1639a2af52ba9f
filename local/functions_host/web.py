"""Answers every request to the host, as a function of the request: availability, keys, admin API, webhooks, HTTP functions."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import unquote

from local.functions_host import eventgrid, httptrigger
from local.functions_host.executor import Call
from local.functions_host.keys import EVENT_GRID, Grant, KeyRing, Level
from local.functions_host.messages import Function, Json, Outcome, Text
from local.functions_host.routes import RouteTable
from local.functions_host.wire import Request, Response

_log = logging.getLogger("Host.Web")
_NOT_RUNNING = Response(503, b"Function host is not running.", (("content-type", "text/plain; charset=utf-8"),))
_UNAUTHORIZED = Response(401)
_NOT_FOUND = Response(404)


class State(enum.Enum):
    """The host's states, by the names that /admin/host/status gives them."""

    STARTING = "Starting"
    RUNNING = "Running"
    ERROR = "Error"
    STOPPING = "Stopping"


class Runner(Protocol):
    async def run(self, function: Function, call: Call) -> Outcome:
        """Run one function to its end."""


@dataclasses.dataclass(frozen=True, slots=True)
class App:
    """The functions that answer requests."""

    functions: Mapping[str, Function]
    disabled: frozenset[str]
    routes: RouteTable
    runner: Runner

    def event_grid(self, name: str) -> Function | None:
        """The Event Grid function of exactly this name; a disabled one has no listener, so it is not found."""
        function = self.functions.get(name)
        listens = function and function.trigger.type == "eventGridTrigger" and name not in self.disabled
        return function if listens else None


class Web:
    """Needs no server: give `handle` a request. Before `serve` it answers 503, after waiting `wait_s` seconds."""

    def __init__(self, keys: KeyRing, wait_s: float = 30, details: Callable[[], dict[str, Any]] = dict) -> None:
        self._keys = keys
        self._wait_s = wait_s
        self._details = details
        self._app: App | None = None
        self._state = State.STARTING
        self._errors: list[str] = []
        self._settled = asyncio.Event()
        self._background: set[asyncio.Task[Outcome]] = set()
        self._began = time.monotonic()

    def serve(self, app: App) -> None:
        """The host is ready: answer requests with this app's functions."""
        self._app = app
        self._become(State.RUNNING)

    def fail(self, errors: list[str]) -> None:
        """The app cannot run: answer 503 to its callers, and the reasons to the administrator."""
        self._errors = errors
        self._become(State.ERROR)

    def warn(self, error: str) -> None:
        """One function cannot run; the administrator sees why."""
        self._errors.append(error)

    def stop(self) -> None:
        """The host is stopping: new requests are turned away."""
        self._become(State.STOPPING)

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        path = request.path.lstrip("/")
        if path == "admin/host/ping":
            return Response(200) if self._state is State.RUNNING else _NOT_RUNNING
        parameters = request.parameters()
        presented = request.headers.get("x-functions-key") or next(iter(parameters.get("code", ())), None)
        if path == "admin/host/status":
            return self._status() if self._keys.grant(presented).opens(Level.ADMIN) else _UNAUTHORIZED
        app = await self._running()
        if app is None:
            return _NOT_RUNNING
        match path.split("/"):
            case ["admin", *rest]:
                return self._admin(app, rest, request, self._keys.grant(presented))
            case ["runtime", "webhooks", extension, *_]:
                return await self._webhook(app, extension, request, parameters, self._keys.grant(presented))
            case _:
                return await self._http(app, request, presented)

    def _become(self, state: State) -> None:
        self._state = state
        self._settled.set()

    async def _running(self) -> App | None:
        if self._state is State.STARTING:
            try:
                async with asyncio.timeout(self._wait_s):
                    await self._settled.wait()
            except TimeoutError:
                return None
        return self._app if self._state is State.RUNNING else None

    def _status(self) -> Response:
        uptime = int((time.monotonic() - self._began) * 1000)
        status = {"state": self._state.value, "version": "4.0.0-stand-in", "processUptime": uptime}
        return _json(200, status | self._details() | {"errors": self._errors})

    def _admin(self, app: App, rest: list[str], request: Request, grant: Grant) -> Response:
        if not grant.opens(Level.ADMIN):
            return _UNAUTHORIZED
        match rest:
            case ["functions"] if request.method == "GET":
                return _json(200, [_described(app, each) for each in app.functions.values()])
            case ["functions", name] if request.method == "POST":
                return self._invoke(app, unquote(name), request.body)
            case _:
                return _NOT_FOUND

    def _invoke(self, app: App, name: str, body: bytes) -> Response:
        """Start a function by hand, in the background; `input` is the text of its trigger."""
        function = app.functions.get(name)
        if function is None:
            return _NOT_FOUND
        try:
            given = json.loads(body).get("input") or ""
        except (ValueError, AttributeError):
            return Response(400)
        if (
            function.trigger.type == "httpTrigger"
        ):  # unverified how the real host builds a request; its own route is there
            return Response(400)
        text = given if isinstance(given, str) else json.dumps(given)
        data = Text(text) if function.trigger.type == "queueTrigger" else Json(text or "{}")
        call = Call(data, "This function was programmatically called via the host APIs.")
        task = asyncio.create_task(app.runner.run(function, call))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return Response(202)

    async def _webhook(
        self, app: App, extension: str, request: Request, parameters: Mapping[str, list[str]], grant: Grant
    ) -> Response:
        if refusal := _webhook_refusal(grant, extension.lower()):
            return refusal
        name = ",".join(parameters.get("functionName", ()))
        function = app.event_grid(name)
        if function is None:
            return _text(404, f"cannot find function: '{name}'")
        if request.method == "OPTIONS":
            origin = request.headers.get("webhook-request-origin", "")
            return Response(200, b"", (("Webhook-Allowed-Origin", origin),))
        match eventgrid.read(request.headers.get("aeg-event-type"), request.body):
            case eventgrid.Handshake(code):
                return _json(200, {"validationResponse": code})
            case eventgrid.Events(events):
                calls = [eventgrid.call(each) for each in events]
                outcomes = await asyncio.gather(*(app.runner.run(function, each) for each in calls))
                return _text(*eventgrid.answer(name, list(outcomes)))
            case eventgrid.Unsubscribed():
                return Response(202)
            case eventgrid.Refused(status):
                return Response(status)

    async def _http(self, app: App, request: Request, presented: str | None) -> Response:
        """In the real host's order: 404 for the route, 401 for the key, 404 for a disabled function."""
        found = app.routes.find(request.method, request.path.strip("/"))
        if found is None:
            return _NOT_FOUND
        function = app.functions[found[0]]
        grant = self._keys.grant(presented, function.name)
        if not grant.opens(level_of(function)):
            return _UNAUTHORIZED
        if function.name in app.disabled and grant.level is not Level.ADMIN:
            return _NOT_FOUND
        outcome = await app.runner.run(function, httptrigger.call(request, found[1]))
        return httptrigger.respond(function, outcome)


def level_of(function: Function) -> Level:
    """The authorization level of an HTTP function; `function` where its binding says nothing."""
    return Level(str(function.trigger.settings.get("authLevel", "function")).lower())


def _webhook_refusal(grant: Grant, extension: str) -> Response | None:
    """The webhook opens to its own system key and to the master key. Another extension's key is known but not for this: 403."""
    if grant.level is Level.ADMIN:
        return None if extension == "eventgrid" else _NOT_FOUND
    if grant.level is not Level.SYSTEM:
        return _UNAUTHORIZED
    return None if extension == "eventgrid" and grant.key_name == EVENT_GRID else Response(403)


def _described(app: App, function: Function) -> dict[str, Any]:
    bindings = [
        {"name": each.name, "type": each.type, "direction": each.direction, **each.settings}
        for each in function.bindings
    ]
    return {"name": function.name, "isDisabled": function.name in app.disabled, "config": {"bindings": bindings}}


def _json(status: int, document: Any) -> Response:
    return Response(status, json.dumps(document).encode(), (("content-type", "application/json; charset=utf-8"),))


def _text(status: int, text: str) -> Response:
    return Response(status, text.encode(), (("content-type", "text/plain; charset=utf-8"),) if text else ())
