"""Long-running operations beside a resource: it is answered at once, and a second address says how the work goes."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from aiohttp import web

from local import world
from local.cloud.arm import ARM_HOST, ArmCall, ArmRoutes
from local.cloud.errors import ArmError, ServiceError
from local.cloud.operations import OPERATION_FAULT, OperationFault, Outcome, ask_again, with_fault

_PROVIDERS = "/subscriptions/{subscription}/providers/"
MACHINE_LEARNING = _PROVIDERS + "Microsoft.MachineLearningServices/locations/{location}/mfeOperationsStatus/{operation}"
CONTAINER_INSTANCE = _PROVIDERS + "Microsoft.ContainerInstance/locations/{location}/operations/{operation}"


class MlOperations:
    """Operations live as long as the process: after a restart a poll finds nothing (404), and a GET of the resource is the truth.

    An operation that failed answers 200 with `{"status": "Failed", "error": ...}`, as azure-ai-ml was seen to expect.
    """

    def __init__(self, poll_after: float, address: str = MACHINE_LEARNING) -> None:
        self._poll_after = poll_after
        self._address = address
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._times: dict[str, list[str]] = {}

    def install(self, arm: ArmRoutes) -> None:
        """Add the address that says how an operation goes."""
        arm.add("GET", self._address, self._poll)

    def begin(
        self, request: web.Request, work: Coroutine[Any, Any, Any], failed: Callable[[ServiceError], None]
    ) -> str:
        """Start the work and give the operation's name. `failed` hears of the refusal before anyone who polls does."""
        name = f"oeidp:{uuid.uuid4()}"
        fault = request.get(OPERATION_FAULT, OperationFault())
        self._times[name] = [_now()]
        self._tasks[name] = asyncio.create_task(self._carry_out(name, work, fault, failed), name=name)
        return name

    def headers(self, operation: str, api_version: str) -> dict[str, str]:
        """What the answer that starts an operation carries."""
        path = self._address.format(subscription=world.SUBSCRIPTION, location=world.LOCATION, operation=operation)
        address = f"https://{ARM_HOST}{path}?api-version={api_version}"
        return {"Azure-AsyncOperation": address, **ask_again(self._poll_after)}

    def outcome(self, operation: str) -> Outcome | None:
        """None while it goes on. ArmError 404: there is no such operation."""
        task = self._tasks.get(operation)
        if task is None:
            raise ArmError(404, "OperationNotFound", f"The operation '{operation}' was not found.")
        return task.result() if task.done() else None

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """At the end what still goes on is given up."""
        yield
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _carry_out(
        self,
        name: str,
        work: Coroutine[Any, Any, Any],
        fault: OperationFault,
        failed: Callable[[ServiceError], None],
    ) -> Outcome:
        outcome = await with_fault(work, fault)
        if outcome.refusal is not None:
            failed(outcome.refusal)
        self._times[name].append(_now())
        return outcome

    async def _poll(self, call: ArmCall) -> web.Response:
        name = call.names["operation"]
        outcome = self.outcome(name)
        begun, *ended = self._times[name]
        body: dict[str, Any] = {"id": call.request.path, "name": name, "startTime": begun}
        if outcome is None:
            return web.json_response({**body, "status": "InProgress"}, headers=ask_again(self._poll_after))
        body |= {"endTime": ended[0], "percentComplete": 100}
        if outcome.refusal is not None:
            error = {"code": outcome.refusal.code, "message": outcome.refusal.message}
            return web.json_response({**body, "status": "Failed", "error": error})
        return web.json_response({**body, "status": "Succeeded"})


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
