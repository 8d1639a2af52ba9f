"""A record of every call to the stand-in, without secrets: tests read it to see which calls a client really made."""

from __future__ import annotations

import collections
import datetime as dt
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from local.cloud.core import Cloud

_KEPT = 20_000
"""Calls kept in memory; the file has all of them."""

_OWN_PATHS = ("/admin/", "/health")
"""Not recorded: the tests' own questions."""


class Recorder:
    """Lines of `calls.jsonl` since the start, the latest also in memory; the start before is `calls.previous.jsonl`.

    No bodies, headers or queries: secrets live there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._calls: collections.deque[dict[str, Any]] = collections.deque(maxlen=_KEPT)

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Outermost, so that it sees the answer that the client sees; status 0 means that none was sent."""
        started = time.monotonic()
        status = 0
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        else:
            return response
        finally:
            dropped = request.transport is None or request.transport.is_closing()
            self._record(request, 0 if dropped else status, time.monotonic() - started)

    async def list_calls(self, request: web.Request) -> web.Response:
        """GET /admin/calls?host=&method=&path=: calls in order; each filter is a part of the value."""
        wanted = {name: request.query[name] for name in ("host", "method", "path") if name in request.query}
        calls = [call for call in self._calls if all(part in call[name] for name, part in wanted.items())]
        return web.json_response({"calls": calls})

    async def clear(self, _request: web.Request) -> web.Response:
        """DELETE /admin/calls forgets what is in memory; the file stays."""
        self._calls.clear()
        return web.Response(status=204)

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self._path.replace(self._path.with_suffix(".previous.jsonl"))
        self._file = self._path.open("w", buffering=1)
        yield
        self._file.close()
        self._file = None

    def _record(self, request: web.Request, status: int, seconds: float) -> None:
        if request.path.startswith(_OWN_PATHS):
            return
        call = {
            "time": dt.datetime.now(dt.UTC).isoformat(),
            "method": request.method,
            "host": request.host.partition(":")[0],
            "path": request.path,
            "apiVersion": request.query.get("api-version", ""),
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
        }
        self._calls.append(call)
        if self._file is not None:
            self._file.write(json.dumps(call) + "\n")


def install(cloud: Cloud) -> Recorder:
    """The recorder, whose middleware the application puts outermost."""
    recorder = Recorder(cloud.options.state / "calls.jsonl")
    cloud.local.router.add_get("/admin/calls", recorder.list_calls)
    cloud.local.router.add_delete("/admin/calls", recorder.clear)
    cloud.lifetime(recorder.running)
    return recorder
