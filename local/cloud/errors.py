"""Refusals, in the shape of the service that refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, override

import aiohttp
from aiohttp import web


class ServiceError(Exception):
    """Raised by a handler to refuse; `refusals` turns it into the answer."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> Any:
        return {"error": {"code": self.code, "message": self.message}}

    def response(self) -> web.Response:
        return web.json_response(self.body(), status=self.status, headers=self.headers)


class ArmError(ServiceError):
    """`{"error": {"code", "message"}}`, the shape that ARM and Key Vault share."""


class RegistryError(ServiceError):
    """`{"errors": [{"code", "message"}]}`, the shape of the OCI distribution specification."""

    @override
    def body(self) -> Any:
        return {"errors": [{"code": self.code, "message": self.message, "detail": None}]}


@web.middleware
async def refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn a raised refusal into the answer of the service that raised it.

    A part behind the stand-in that cannot be reached is 503, which clients try again.
    """
    try:
        return await handler(request)
    except ServiceError as error:
        return error.response()
    except aiohttp.ClientConnectionError as error:
        return ServiceError(503, "ServiceUnavailable", f"A part of the local stack does not answer: {error}").response()
