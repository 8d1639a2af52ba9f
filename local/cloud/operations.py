"""Long-running operations: 202 with a Location; a poll gives 202 until the work is done, then its result or refusal."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
import uuid
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from aiohttp import web

from local import world
from local.cloud.arm import ARM_HOST, ArmCall
from local.cloud.errors import ArmError, ServiceError

log = logging.getLogger("tidegate.local.cloud")

OPERATION_RESULT = (
    "/subscriptions/{subscription}/providers/Microsoft.ContainerRegistry"
    "/locations/{location}/operationResults/{operation}"
)


@dataclasses.dataclass(frozen=True, slots=True)
class OperationFault:
    """What a test asked of the operation that a call starts (faults.py puts it on the request)."""

    delay: float = 0.0
    """Seconds that the operation is in progress before its work begins."""
    failure: ServiceError | None = None
    skip_work: bool = False
    """Report success and do nothing."""


OPERATION_FAULT = web.RequestKey("operation_fault", OperationFault)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How the work of an operation ended."""

    value: Any = None
    refusal: ServiceError | None = None


@dataclasses.dataclass(slots=True)
class _Span:
    """When an operation ran; Unix times in seconds."""

    path: str
    started: float
    finished: float | None = None

    def end(self, _task: asyncio.Task[Outcome]) -> None:
        self.finished = time.time()


class Operations:
    """Operations live as long as the process: after a restart a poll finds nothing (404), as a client must expect."""

    def __init__(self, poll_after: float) -> None:
        self.poll_after = poll_after
        """Seconds between polls that clients are told. Azure was seen to tell nothing; the SDK then waits 30 s."""
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._spans: list[_Span] = []

    def accepted(self, call: ArmCall, work: Coroutine[Any, Any, Any]) -> web.Response:
        """Start the work and answer 202.

        The work's value is the body of the last poll (None: `{"status": "Succeeded"}`); a ServiceError that it raises
        is the last poll's refusal. Unverified: how Azure answers the poll of a failed import (no recording was found).
        """
        operation = f"registries-{uuid.uuid4()}"
        fault = call.request.get(OPERATION_FAULT, OperationFault())
        span = _Span(call.request.path, time.time())
        self._spans.append(span)
        self._tasks[operation] = asyncio.create_task(with_fault(work, fault), name=operation)
        self._tasks[operation].add_done_callback(span.end)
        return self._in_progress(call, operation)

    async def poll(self, call: ArmCall) -> web.Response:
        operation = call.names["operation"]
        task = self._tasks.get(operation)
        if task is None:
            raise ArmError(404, "OperationNotFound", f"The operation '{operation}' was not found.")
        if not task.done():
            return self._in_progress(call, operation)
        outcome = task.result()
        if outcome.refusal is not None:
            raise outcome.refusal
        return web.json_response({"status": "Succeeded"} if outcome.value is None else outcome.value)

    async def list_spans(self, _request: web.Request) -> web.Response:
        """GET /admin/operations: the call that started each, and when it began and ended; no end while it runs."""
        return web.json_response({"operations": [dataclasses.asdict(span) for span in self._spans]})

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        yield
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _in_progress(self, call: ArmCall, operation: str) -> web.Response:
        location = OPERATION_RESULT.format(
            subscription=call.names["subscription"], location=world.LOCATION, operation=operation
        )
        headers = {"Location": f"https://{ARM_HOST}{location}?api-version={call.api_version}"}
        headers |= ask_again(self.poll_after)
        return web.Response(status=202, headers=headers, content_type="application/json", text="null")


def ask_again(seconds: float) -> dict[str, str]:
    """Headers that tell a client when to poll again."""
    if seconds < 1:  # azure-core understands it; Retry-After counts whole seconds
        return {"retry-after-ms": str(round(seconds * 1000))}
    return {"Retry-After": str(max(1, round(seconds)))}


async def with_fault(work: Coroutine[Any, Any, Any], fault: OperationFault) -> Outcome:
    """The work's value or refusal. It is returned, not raised: nobody may ever poll for it."""
    try:
        await asyncio.sleep(fault.delay)
        if fault.failure is not None:
            return Outcome(refusal=fault.failure)
        return Outcome(value=None if fault.skip_work else await work)
    except ServiceError as refusal:
        return Outcome(refusal=refusal)
    except Exception as error:  # a defect of the stand-in must not look like a lost operation
        log.exception("operation failed")
        return Outcome(refusal=ArmError(500, "InternalServerError", f"{type(error).__name__}: {error}"))
    finally:
        work.close()
