"""Role assignments: who may do what in the local world, by infra/data/roles.json, and a record of what was asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from infra import access
from local import world
from local.cloud.errors import ArmError
from local.cloud.permissions import Permission

FILE = Path(access.__file__).parent / "data" / "roles.json"

_SCOPES = {
    world.registry_id(world.STAGING): "staging-registry",
    world.registry_id(world.HEALTHY): "healthy-registry",
    world.KEY_VAULT_ID: "key-vault",
    world.OUTCOMES_TOPIC_ID: "outcomes-topic",
    world.STORAGE_ACCOUNT_ID: "state-account",
}
_WORKSPACE = re.compile(r".*/providers/microsoft\.machinelearningservices/workspaces/[^/]+(/.*)?", re.IGNORECASE)


class Roles:
    """Without a file everything is allowed to everyone: for tests of one service."""

    def __init__(self, file: Path | None) -> None:
        self._granted = None if file is None else access.read(file)
        grants = () if self._granted is None else self._granted.grants
        self._principals = {world.client_id(each): each for each in (world.OWNER, *(one.principal for one in grants))}
        self._asked: dict[tuple[str, str, str, bool], bool] = {}

    def allows(self, claims: Mapping[str, Any], permission: Permission) -> bool:
        """Whether the bearer of a token has a permission."""
        principal = self.principal(claims)
        if self._granted is None or principal == world.OWNER:
            return True
        scope = _scope(permission.scope)
        return bool(scope) and self._granted.allows(principal, scope, permission.action, data=permission.data)

    def asked(self, claims: Mapping[str, Any], permission: Permission) -> bool:
        """The same for a call that takes the permission: it goes on record."""
        allowed = self.allows(claims, permission)
        self._asked[(self.principal(claims), permission.action, _scope(permission.scope), permission.data)] = allowed
        return allowed

    def require(self, claims: Mapping[str, Any], permission: Permission) -> None:
        """ARM's refusal, unless the bearer has the permission."""
        if not self.asked(claims, permission):
            raise ArmError(
                403,
                "AuthorizationFailed",
                f"{client(claims)} does not have authorization to perform action '{permission.action}' over scope"
                f" '{permission.scope}' or the scope is invalid. If access was recently granted, please refresh your"
                " credentials.",
            )

    def principal(self, claims: Mapping[str, Any]) -> str:
        """The principal of infra/data/roles.json that a token is for; empty: one without any role."""
        return self._principals.get(str(claims.get("appid", "")), "")

    async def list_asked(self, _request: web.Request) -> web.Response:
        """GET /admin/permissions: each permission that a call took, by whom and where, and whether it was allowed."""
        names = ("principal", "action", "scope", "data", "allowed")
        listed = [dict(zip(names, (*key, allowed), strict=True)) for key, allowed in sorted(self._asked.items())]
        return web.json_response({"permissions": listed})

    async def forget_asked(self, _request: web.Request) -> web.Response:
        """DELETE /admin/permissions."""
        self._asked.clear()
        return web.Response(status=204)


def client(claims: Mapping[str, Any]) -> str:
    """The bearer as Azure's messages name it."""
    return f"The client '{claims.get('appid', '')}' with object id '{claims.get('oid', '')}'"


def _scope(resource_id: str) -> str:
    """The scope of infra/data/roles.json that an ARM id is in; empty: it is above the resource group."""
    lowered = resource_id.casefold()
    for known, name in _SCOPES.items():
        if f"{lowered}/".startswith(f"{known}/".casefold()):
            return name
    if _WORKSPACE.fullmatch(resource_id):
        return "workspace"
    return "resource-group" if f"{lowered}/".startswith(f"{world.GROUP_ID}/".casefold()) else ""
