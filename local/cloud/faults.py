"""Faults that a test asks for: the answer is wrong, late or lost, or the operation that a call starts goes wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.operations import OPERATION_FAULT, OperationFault

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


_CODE, _MESSAGE = "InvalidParameters", "A test asked for this failure."


class Kind(enum.StrEnum):
    """What goes wrong. The first three are about one call, the others about the operation that it starts."""

    STATUS = "status"
    """Answer `status` (with Retry-After when `retryAfter` is given) and do nothing."""
    LOST_RESPONSE = "lost-response"
    """Do the work, then drop the connection: the caller cannot know what happened."""
    SLOW = "slow"
    """Wait `seconds` before the call is handled."""
    SLOW_OPERATION = "slow-operation"
    """The operation is in progress for `seconds` before its work begins."""
    FAIL_OPERATION = "fail-operation"
    """The operation does nothing and its poll answers `status` (400), or says that it failed, with `code` and `message`."""
    SAYS_SUCCESS_DOES_NOTHING = "import-says-success-does-nothing"
    """The operation does nothing and reports success."""


@dataclasses.dataclass(slots=True)
class Fault:
    """One fault and the calls it meets. `count` falls with each; at zero the fault is gone (None: until cleared)."""

    kind: Kind
    method: str | None = None
    host: str | None = None
    path: re.Pattern[str] = dataclasses.field(default_factory=lambda: re.compile(""))
    """Searched in the path without regard to case."""
    count: int | None = None
    status: int = 503
    retry_after: str | None = None
    seconds: float = 0.0
    code: str = _CODE
    """Of a failed operation, for example OutOfQuota."""
    message: str = _MESSAGE

    def meets(self, request: web.Request) -> bool:
        """Whether this call is one of those it is for."""
        host = request.host.partition(":")[0]
        return (
            self.count != 0
            and self.method in (None, request.method)
            and self.host in (None, host)
            and self.path.search(request.path) is not None
        )

    def operation(self) -> OperationFault:
        """What it does to an operation; nothing when it is about the call."""
        match self.kind:
            case Kind.SLOW_OPERATION:
                return OperationFault(delay=self.seconds)
            case Kind.FAIL_OPERATION:
                return OperationFault(failure=ArmError(self.status, self.code, self.message))
            case Kind.SAYS_SUCCESS_DOES_NOTHING:
                return OperationFault(skip_work=True)
            case Kind.STATUS | Kind.LOST_RESPONSE | Kind.SLOW:
                return OperationFault()


class Faults:
    """The faults in force, oldest first; a call meets the first that is for it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Between the recorder and the services. The admin endpoint is never met."""
        fault = next((fault for fault in self._faults if fault.meets(request)), None)
        if fault is None or request.path.startswith("/admin/"):
            return await handler(request)
        if fault.count is not None:
            fault.count -= 1
        return await _with_fault(fault, request, handler)

    async def add(self, request: web.Request) -> web.Response:
        """POST /admin/faults {"match": {"method", "host", "path", "count"}, "fault": {"kind", ...}}."""
        self._faults.append(parse(await request.json()))
        return web.Response(status=204)

    async def clear(self, _request: web.Request) -> web.Response:
        """DELETE /admin/faults."""
        self._faults.clear()
        return web.Response(status=204)


def parse(body: Any) -> Fault:
    """The fault that a request body asks for; 400 names what is wrong with it."""
    try:
        match, fault = body.get("match") or {}, body["fault"]
        kind = Kind(fault["kind"])
        default_status = 400 if kind is Kind.FAIL_OPERATION else 503
        retry_after = fault.get("retryAfter")
        return Fault(
            kind=kind,
            method=match.get("method"),
            host=match.get("host"),
            path=re.compile(match.get("path", ""), re.IGNORECASE),
            count=match.get("count"),
            status=int(fault.get("status", default_status)),
            retry_after=None if retry_after is None else str(retry_after),
            seconds=float(fault.get("seconds", 0)),
            code=str(fault.get("code", _CODE)),
            message=str(fault.get("message", _MESSAGE)),
        )
    except (AttributeError, KeyError, TypeError, ValueError, re.error) as error:
        raise ArmError(400, "InvalidFault", f"{type(error).__name__}: {error}") from error


def install(cloud: Cloud) -> Faults:
    """The faults, whose middleware the application puts inside the recorder's."""
    faults = Faults()
    cloud.local.router.add_post("/admin/faults", faults.add)
    cloud.local.router.add_delete("/admin/faults", faults.clear)
    return faults


async def _with_fault(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    match fault.kind:
        case Kind.STATUS:
            headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            return ArmError(fault.status, "InjectedFault", "A test asked for this answer.", headers).response()
        case Kind.LOST_RESPONSE:
            return await _lose_response(request, handler)
        case Kind.SLOW:
            await asyncio.sleep(fault.seconds)
        case Kind.SLOW_OPERATION | Kind.FAIL_OPERATION | Kind.SAYS_SUCCESS_DOES_NOTHING:
            request[OPERATION_FAULT] = fault.operation()
    return await handler(request)


async def _lose_response(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Do the work, send the first bytes of an answer, and drop the connection.

    Reads have no effect and may stream their answer, so they are not even handled. The first bytes are there because
    urllib3 takes a connection that ends without any for a proxy that it never reached; azure-core would then send the
    call again, while without the front in between it knows that the call was sent and does not.
    """
    response: web.StreamResponse = web.Response()
    if request.method not in ("GET", "HEAD"):
        response = await handler(request)
    if isinstance(request.transport, asyncio.Transport):
        request.transport.write(b"HTTP/1.1")
        request.transport.close()
    return response
