"""One execution of a function from its trigger to its outputs: log lines, timeout, retries."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
import os
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from local.functions_host.messages import Failed, Function, Input, Invocation, Outcome, Retry, Succeeded

_log = logging.getLogger("Host.Executor")
_RETRIED = {"timerTrigger"}
"""Triggers whose functions' own retry policy the host follows. Event Grid and queues send again themselves."""


class Invoker(Protocol):
    """What runs the app: a worker process."""

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run one invocation to its end, whatever that is."""

    def kill(self) -> None:
        """End the process that runs invocations; it is replaced."""


class OutputWriter(Protocol):
    async def write(self, function: Function, succeeded: Succeeded) -> None:
        """Carry out the output bindings; raises `OutputError`."""


class OutputError(Exception):
    """An output binding could not be written; the message says which and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """What a trigger starts a function with."""

    data: Input
    reason: str
    """Said in the log: `New queue message detected on 'jobs'.`"""
    metadata: Mapping[str, Input] = dataclasses.field(default_factory=dict)
    traceparent: str = ""
    tracestate: str = ""


class Executor:
    """Runs functions; knows which invocations run now."""

    def __init__(
        self,
        invoker: Invoker,
        outputs: OutputWriter,
        timeout_s: float | None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._invoker = invoker
        self._outputs = outputs
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._running: dict[str, str] = {}
        self._executions = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def function_of(self, invocation_id: str | None) -> str | None:
        """Name of the function that an invocation running now belongs to."""
        return self._running.get(invocation_id) if invocation_id else None

    @property
    def running(self) -> int:
        """Executions that have begun and not ended, waits between retries included."""
        return self._executions

    async def wait_idle(self) -> None:
        """Return as soon as nothing runs."""
        await self._idle.wait()

    async def run(self, function: Function, call: Call) -> Outcome:
        """Run the function, again as its retry policy says; outputs are written only after it succeeded."""
        self._executions += 1
        self._idle.clear()
        try:
            retry = function.retry if function.trigger.type in _RETRIED else None
            for attempt in itertools.count():
                outcome = await self._attempt(function, call, attempt, retry)
                if isinstance(outcome, Succeeded) or retry is None or attempt == retry.max_retries:
                    return outcome
                await self._sleep(delay_s(retry, attempt, random.uniform(0.8, 1.2)))
            raise AssertionError("itertools.count() ended")
        finally:
            self._executions -= 1
            if not self._executions:
                self._idle.set()

    async def _attempt(self, function: Function, call: Call, attempt: int, retry: Retry | None) -> Outcome:
        invocation = Invocation(
            id=str(uuid.uuid4()),
            function_id=function.id,
            trigger=function.trigger.name,
            data=call.data,
            metadata=call.metadata,
            traceparent=call.traceparent or f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00",
            tracestate=call.tracestate,
            attempt=attempt,
            max_retries=retry.max_retries if retry else 0,
        )
        extra = {"invocation_id": invocation.id, "function": function.name}
        _log.info(
            "Executing 'Functions.%s' (Reason='%s', Id=%s)", function.name, call.reason, invocation.id, extra=extra
        )
        self._running[invocation.id] = function.name
        began = time.monotonic()
        try:
            outcome = await self._invoke(function, invocation)
        finally:
            del self._running[invocation.id]
        _log_end(function, invocation, outcome, (time.monotonic() - began) * 1000)
        return outcome

    async def _invoke(self, function: Function, invocation: Invocation) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout_s):
                outcome = await self._invoker.invoke(invocation)
        except TimeoutError:
            self._invoker.kill()  # a running thread cannot be stopped, so the process is: what else ran in it fails too
            return Failed(f"Timeout value of {self._timeout_s} s was exceeded by function: Functions.{function.name}.")
        if isinstance(outcome, Succeeded):
            try:
                await self._outputs.write(function, outcome)
            except OutputError as error:
                return Failed(str(error))
        return outcome


def delay_s(retry: Retry, attempt: int, jitter: float) -> float:
    """Seconds between attempt `attempt` and the next. Unverified: the real growth and jitter of the exponential strategy."""
    if retry.strategy == "fixed_delay":
        return retry.delay_s
    return min(retry.minimum_s * 2.0**attempt * jitter, retry.maximum_s) if attempt < 64 else retry.maximum_s


def _log_end(function: Function, invocation: Invocation, outcome: Outcome, milliseconds: float) -> None:
    extra = {"invocation_id": invocation.id, "function": function.name}
    match outcome:
        case Succeeded():
            text = "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%.0fms)"
            _log.info(text, function.name, invocation.id, milliseconds, extra=extra)
        case Failed(message, traceback):
            text = "Executed 'Functions.%s' (Failed, Id=%s, Duration=%.0fms): %s"
            detail = f"{message}\n{traceback.rstrip()}" if traceback else message
            _log.error(text, function.name, invocation.id, milliseconds, detail, extra=extra)
