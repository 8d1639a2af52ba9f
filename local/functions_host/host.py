"""Puts the parts together: starts them in order, decides what of the app can run, stops everything gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from local.functions_host import log
from local.functions_host.executor import Executor
from local.functions_host.keys import HostKeys, KeyRing
from local.functions_host.messages import Binding, Function, Indexed, IndexFailed, Logged, Succeeded
from local.functions_host.outputs import SUPPORTED, Outputs
from local.functions_host.routes import Route, RouteError, RouteTable, compile_route
from local.functions_host.settings import AppSettings, HostSettings, SettingsError
from local.functions_host.web import App, Web, level_of
from local.functions_host.workerprocess import WorkerProcess

if TYPE_CHECKING:
    from local.functions_host.listeners import Listeners
    from local.functions_host.queues import Queue
    from local.functions_host.server import Server
    from local.functions_host.storage import Storage
    from local.functions_host.topics import Topics

_log = logging.getLogger("Host")
_EXIT_S = 2
"""For an idle worker to exit by itself, and run the app's exit handlers."""
_TRIGGERS = {"httpTrigger", "eventGridTrigger", "queueTrigger", "timerTrigger"}


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    app: pathlib.Path
    address: str
    port: int
    """0 takes a free one."""
    environ: Mapping[str, str] = dataclasses.field(repr=False)
    """Of the app: the process's own and local.settings.json, merged."""
    settings: HostSettings
    keys: HostKeys | None
    """None lets everybody do everything."""
    folder: pathlib.Path
    """Where the keys are, and the timers' status."""
    queue_lease_s: float = 600
    stop_s: float = 30
    """How long a stop waits for what runs."""
    start_wait_s: float = 30
    """How long a request waits for the host to be ready before it is answered 503."""


class Host:
    """One function app, served. `start`, then `stop`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._settings = AppSettings(options.environ)
        ring = KeyRing(options.keys, options.folder)
        self._web = Web(ring, wait_s=options.start_wait_s, details=self._details)
        self._worker = WorkerProcess(options.app, options.environ, self._logged)
        self._executor = Executor(self._worker, self, options.settings.function_timeout_s)
        self._outputs: Outputs | None = None
        self._server: Server | None = None
        self._storage: Storage | None = None
        self._topics: Topics | None = None
        self._listeners: Listeners | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Serve, index the app, then listen. Returns the port; an app that cannot be loaded is no error of the host."""
        await self._worker.start()  # first: it loads the app while this process loads its own libraries
        from local.functions_host.server import Server

        self._server = Server(self._web)
        try:
            port = await self._server.start(self._options.address, self._options.port)
        except OSError:
            await self._worker.stop(0)
            raise
        _log.info("Listening on http://%s:%d", self._options.address, port)
        match await self._worker.index():
            case Indexed(functions):
                allowed = self._options.settings.functions
                self._load([each for each in functions if allowed is None or each.name in allowed])
            case IndexFailed():
                pass  # `_watch` reports it, as it would later
        self._watcher = asyncio.create_task(self._watch())
        return port

    async def stop(self) -> None:
        """Take no new work, let what runs end for `stop_s` seconds, end the worker."""
        if self._watcher:
            self._watcher.cancel()
        self._web.stop()
        grace_s = _EXIT_S
        try:
            async with asyncio.timeout(self._options.stop_s):
                if self._listeners:
                    await self._listeners.stop()
                await self._executor.wait_idle()
        except TimeoutError:
            _log.warning("%d executions did not end in %s s", self._executor.running, self._options.stop_s)
            grace_s = 0
        await self._worker.stop(grace_s)
        if self._server:
            await (
                self._server.stop()
            )  # after the worker: what did not end has failed now, and its callers get an answer
        for client in (self._storage, self._topics):
            if client:
                await client.close()

    async def write(self, function: Function, succeeded: Succeeded) -> None:
        """Carry out the output bindings of an invocation (the executor's `OutputWriter`)."""
        if self._outputs and function.outputs:
            await self._outputs.write(function, succeeded)

    def _load(self, found: Sequence[Function]) -> None:
        """Serve the functions that can run; say of each other one why it cannot."""
        functions: dict[str, Function] = {}
        routes: list[Route] = []
        disabled = frozenset(each.name for each in found if self._settings.is_disabled(each.name))
        self._connect(found)
        for function in found:
            try:
                self._check(function)
                if function.trigger.type == "httpTrigger":
                    routes.append(self._route(function))
                elif function.name not in disabled and self._listeners:
                    self._listeners.add(function)
            except (SettingsError, RouteError, KeyError, ValueError) as error:
                message = f"The '{function.name}' function is in error: {error}"
                _log.error(message)
                self._web.warn(message)
                continue
            functions[function.name] = function
        table = RouteTable(routes)
        for one, other in table.overlaps():
            _log.warning(
                "Routes %s (%s) and %s (%s) overlap.", one.template, one.function, other.template, other.function
            )
        self._web.serve(App(functions, disabled, table, self._executor))
        if self._listeners:
            self._listeners.start()
        for function in functions.values():
            _log.info(
                "%s: %s%s", function.name, self._where(function, routes), " (disabled)" * (function.name in disabled)
            )

    def _connect(self, found: Sequence[Function]) -> None:
        """Load the libraries that the app's bindings need, and no others: storage alone takes half a second."""
        types = {binding.type.lower() for function in found for binding in function.bindings}
        if types & {"queuetrigger", "queue"}:
            from local.functions_host.storage import Storage

            self._storage = Storage()
        if types & {"eventgrid"}:
            from local.functions_host.topics import Topics

            self._topics = Topics(self._settings)
        if types & {"queuetrigger", "timertrigger"}:
            from local.functions_host.listeners import Listeners

            self._listeners = Listeners(
                self._executor,
                self._settings,
                self._options.settings,
                self._queue,
                self._worker.wait_ready,
                timers=self._options.folder / "timers",
                queue_lease_s=self._options.queue_lease_s,
            )
        if types & {"queue", "eventgrid"}:
            wake = self._listeners.wake if self._listeners else lambda _: None
            topic = self._topics.topic if self._topics else _no_topic
            self._outputs = Outputs(self._queue, topic, wake, base64_encoded=self._options.settings.queues.base64)

    def _check(self, function: Function) -> None:
        if function.trigger.type not in _TRIGGERS:
            raise SettingsError(f"this host has no {function.trigger.type}")
        for binding in function.bindings:
            if binding is not function.trigger and binding.type.lower() not in SUPPORTED:
                raise SettingsError(f"this host has no {binding.direction} binding of type {binding.type}")
            if binding.type.lower() in {"queue", "queuetrigger"}:
                self._queue(binding)
            if binding.type.lower() == "eventgrid" and self._topics:
                self._topics.topic(binding)

    def _route(self, function: Function) -> Route:
        settings = function.trigger.settings
        level_of(function)
        template = self._settings.resolve(settings.get("route") or function.name)
        return compile_route(
            function.name, template, settings.get("methods") or (), self._options.settings.route_prefix
        )

    def _queue(self, binding: Binding, name: str | None = None) -> Queue:
        if self._storage is None:
            raise SettingsError("no storage: no binding needs a queue")
        name = name or self._settings.resolve(str(binding.settings["queueName"]))
        connection = self._settings.connection(self._settings.resolve(str(binding.settings.get("connection") or "")))
        return self._storage.queue(connection, name)

    def _where(self, function: Function, routes: list[Route]) -> str:
        for route in routes:
            if route.function == function.name:
                return f"[{','.join(sorted(route.methods)) or 'all'}] /{route.template}"
        return function.trigger.type

    async def _watch(self) -> None:
        """Once the app cannot be loaded, at first or again, say so and start nothing any more."""
        failed = await self._worker.given_up()
        _log.error("The function app could not be loaded: %s\n%s", failed.message, failed.traceback.rstrip())
        self._web.fail([f"{failed.message}\n{failed.traceback}".strip()])
        if self._listeners:
            await self._listeners.stop()

    def _logged(self, logged: Logged) -> None:
        log.forward(logged, self._executor.function_of(logged.invocation_id))

    def _details(self) -> dict[str, Any]:
        worker = {"pid": self._worker.pid, "starts": self._worker.starts}
        return {"id": self._options.app.name, "worker": worker, "running": self._executor.running}


def _no_topic(binding: Binding) -> Any:
    raise SettingsError(f"output {binding.name}: no Event Grid topic")


async def run(options: Options, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    host = Host(options)
    starting = asyncio.create_task(host.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        await stopping
    else:
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
    await host.stop()
