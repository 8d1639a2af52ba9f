"""Routes of management.azure.com: ids compared without case, api-version, token and role checked before a handler."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from local import world
from local.cloud.errors import ArmError
from local.cloud.permissions import of_arm_call
from local.cloud.roles import Roles
from local.cloud.tokens import require_bearer

ARM_HOST = "management.azure.com"
GROUP = "/subscriptions/{subscription}/resourceGroups/{group}"
REGISTRY = GROUP + "/providers/Microsoft.ContainerRegistry/registries/{registry}"

_CHALLENGE = {"WWW-Authenticate": f'Bearer authorization_uri="https://login.microsoftonline.com/{world.TENANT}"'}


@dataclasses.dataclass(frozen=True, slots=True)
class ArmCall:
    """One call to ARM whose api-version and token were accepted."""

    request: web.Request
    names: Mapping[str, str]
    """Parts of the path by their name in the template, in the caller's case."""
    api_version: str
    claims: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of the caller's token."""

    async def json(self) -> dict[str, Any]:
        """The body as an object (no body: the empty object); anything else is refused with 400."""
        text = await self.request.text()
        try:
            body = json.loads(text) if text else {}
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ArmError(400, "InvalidRequestContent", "The request content could not be deserialized.")
        return body


type ArmHandler = Callable[[ArmCall], Awaitable[web.StreamResponse]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    handler: ArmHandler
    anonymous: bool


class ArmRoutes:
    """A router of its own, because ARM compares paths without case and aiohttp's router cannot."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self._routes: list[_Route] = []

    def add(self, method: str, template: str, handler: ArmHandler, *, anonymous: bool = False) -> None:
        """`{name}` in the template matches one part of the path. Anonymous: neither token nor api-version is needed."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
        self._routes.append(_Route(method, re.compile(pattern + "/?", re.IGNORECASE), handler, anonymous))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Find the route, check the call, run the handler. ARM knows who may before it knows what there is."""
        found = [(route, match) for route in self._routes if (match := route.pattern.fullmatch(request.path))]
        route, match = next((pair for pair in found if pair[0].method == request.method), (None, None))
        if route is None or not route.anonymous:
            api_version = _api_version(request)
            claims = require_bearer(request, headers=_CHALLENGE)
            if (needed := of_arm_call(request.method, request.path)) is not None:
                self._roles.require(claims, needed)
        else:
            api_version, claims = request.query.get("api-version", ""), {}
        if route is not None and match is not None:
            return await route.handler(ArmCall(request, match.groupdict(), api_version, claims))
        if found:
            raise ArmError(405, "MethodNotAllowed", f"{request.method} is not allowed on {request.path}.")
        raise ArmError(404, "InvalidResourceType", f"The local stand-in has no route for {request.path}.")


def same_id(left: str, right: str) -> bool:
    """Whether two ARM resource ids name one resource: case and a trailing slash do not matter."""
    return left.rstrip("/").casefold() == right.rstrip("/").casefold()


def _api_version(request: web.Request) -> str:
    """Any well-formed version is accepted: each client sends its own."""
    version = request.query.get("api-version", "")
    if not version:
        raise ArmError(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(-preview)?", version):
        raise ArmError(400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid.")
    return version
