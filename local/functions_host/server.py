"""Serves a `Web` with aiohttp on one address."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

from local.functions_host.web import Web
from local.functions_host.wire import Request, Response

_log = logging.getLogger("Host.Web")
BODY_LIMIT = 104_857_600
"""Bytes; the real host's default. More is answered 413."""


class Server:
    def __init__(self, site: Web) -> None:
        self._site = site
        self._runner = web.ServerRunner(web.Server(self._answer, request_factory=_request), shutdown_timeout=5)

    async def start(self, host: str, port: int) -> int:
        """Listen; port 0 takes a free one. Returns the port; OSError when it is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; requests that are being answered should be done by now."""
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        path, _, query = request.raw_path.partition("?")
        try:
            body = await request.read() if request.body_exists else b""
            response = await self._site.handle(Request(request.scheme, request.method, path, query, headers, body))
        except web.HTTPRequestEntityTooLarge:
            response = Response(413)
        except Exception:  # noqa: BLE001 - a fault of the host itself is an empty 500, as in the real one, and in the log
            _log.exception("%s %s could not be answered", request.method, path)
            response = Response(500)
        answer = web.Response(status=response.status, body=response.body)
        for name, value in response.headers:
            answer.headers.add(name, value)
        return answer


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT)
