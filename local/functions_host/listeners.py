"""Everything that starts functions without being asked over HTTP: one listener a queue or timer function."""

from __future__ import annotations

import asyncio
import datetime
import functools
import logging
import pathlib
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from local.functions_host.executor import Executor
from local.functions_host.messages import Binding, Function
from local.functions_host.queues import Queue, QueueListener, poison_name
from local.functions_host.settings import AppSettings, HostSettings
from local.functions_host.timers import StatusFile, TimerListener, parse_schedule

_log = logging.getLogger("Host.Listeners")


class Queues(Protocol):
    """Finds the queue of a binding, or another queue on the same account."""

    def __call__(self, binding: Binding, name: str | None = None) -> Queue: ...


class Listener(Protocol):
    async def listen(self) -> None:
        """Run until cancelled."""


class Listeners:
    """The listeners of one app, started and stopped together."""

    def __init__(
        self,
        executor: Executor,
        settings: AppSettings,
        host: HostSettings,
        queues: Queues,
        ready: Callable[[], Awaitable[None]],
        *,
        timers: pathlib.Path,
        queue_lease_s: float,
    ) -> None:
        """`timers` is the folder of the timers' status."""
        self._executor = executor
        self._settings = settings
        self._host = host
        self._queues = queues
        self._ready = ready
        self._timers = timers
        self._queue_lease_s = queue_lease_s
        self._listeners: list[Listener] = []
        self._by_queue: dict[str, list[QueueListener]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, function: Function) -> None:
        """Make the listener of a function, if its trigger needs one; raises SettingsError."""
        match function.trigger.type:
            case "queueTrigger":
                self._listeners.append(self._queue_listener(function))
            case "timerTrigger":
                self._listeners.append(self._timer_listener(function))
            case _:  # started by requests
                pass

    def start(self) -> None:
        self._tasks = [asyncio.create_task(each.listen()) for each in self._listeners]
        for task in self._tasks:
            task.add_done_callback(_complain)

    def wake(self, queue: str) -> None:
        """A message was put into this queue by the host itself."""
        for listener in self._by_queue.get(queue, ()):
            listener.wake()

    async def stop(self) -> None:
        """Stop polling and waiting; messages that run are waited for."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _all(each.finish() for listeners in self._by_queue.values() for each in listeners)

    def _queue_listener(self, function: Function) -> QueueListener:
        name = self._settings.resolve(str(function.trigger.settings["queueName"])).lower()
        queue = self._queues(function.trigger, name)
        poison = poison_name(name)
        listener = QueueListener(
            queue,
            self._queues(function.trigger, poison) if poison else None,
            functools.partial(self._executor.run, function),
            self._host.queues,
            self._queue_lease_s,
            lambda: random.uniform(0.8, 1.2),
            self._ready,
        )
        self._by_queue.setdefault(name, []).append(listener)
        return listener

    def _timer_listener(self, function: Function) -> TimerListener:
        settings = function.trigger.settings
        monitored = _is_true(settings.get("useMonitor", True))
        return TimerListener(
            function.name,
            parse_schedule(self._settings.resolve(str(settings["schedule"]))),
            functools.partial(self._executor.run, function),
            run_on_startup=_is_true(settings.get("runOnStartup", False)),
            status=StatusFile(self._timers / f"{function.name}.json") if monitored else None,
            now=lambda: datetime.datetime.now().astimezone(),
        )


def _complain(task: asyncio.Task[None]) -> None:
    """A listener ends only when it is cancelled; anything else is a fault of this host."""
    if not task.cancelled() and (error := task.exception()):
        _log.error("A listener has ended", exc_info=error)


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"


async def _all(waits: Iterable[Awaitable[None]]) -> Sequence[None]:
    return await asyncio.gather(*waits)
