"""Key Vault secrets: the challenge that tells a client where to get its token, then set, get, versions, list."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any, override

from aiohttp import web

from local import world
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.permissions import Permission
from local.cloud.roles import Roles, client
from local.cloud.state import StateFile
from local.cloud.tokens import VAULT_AUDIENCE, require_bearer

_HOST = f"{world.KEY_VAULT}.vault.azure.net"
_CHALLENGE = {
    "WWW-Authenticate": f'Bearer authorization="https://login.microsoftonline.com/{world.TENANT}",'
    f' resource="{VAULT_AUDIENCE}"'
}
_VALUE_LIMIT = 25 * 1024
"""Bytes of a secret's value; Azure's documented limit is 25k."""


def install(cloud: Cloud) -> KeyVault:
    """Serve the vault, and give it to what puts its own secrets there."""
    vault = KeyVault(StateFile(cloud.options.state / "secrets.json", private=True), cloud.roles)
    router = cloud.host(_HOST).router
    router.add_get("/secrets", vault.list_names)
    router.add_put("/secrets/{name}", vault.set_secret)
    for path in ("/secrets/{name}", "/secrets/{name}/"):  # the SDK writes the slash before a version it does not name
        router.add_get(path, vault.get_secret)
    router.add_get("/secrets/{name}/versions", vault.list_versions)
    router.add_get("/secrets/{name}/{version}", vault.get_secret)
    return vault


class _Forbidden(ArmError):
    @override
    def body(self) -> Any:
        error = super().body()["error"]
        return {"error": {**error, "innererror": {"code": "ForbiddenByRbac"}}}


class KeyVault:
    """One vault. Every version of a secret is kept; the newest is the one that has no name."""

    def __init__(self, state: StateFile, roles: Roles) -> None:
        self._state = state
        self._roles = roles

    async def set_secret(self, request: web.Request) -> web.Response:
        """A new version each time, as in Azure, even of an equal value."""
        self._authorize(request, "setSecret/action")
        body = await request.json()
        value = body.get("value") if isinstance(body, dict) else None
        if not isinstance(value, str) or len(value.encode()) > _VALUE_LIMIT:
            raise ArmError(
                400, "BadParameter", f"The property 'value' must be a string of at most {_VALUE_LIMIT} bytes."
            )
        name = request.match_info["name"].lower()
        version = self._keep(name, value, body.get("contentType"), body.get("tags") or {})
        return web.json_response(_bundle(name, version))

    def seed(self, name: str, value: str) -> None:
        """A secret that a part of the local world needs there, unless it is there already."""
        if name not in self._state.value:
            self._keep(name, value, None, {})

    def _keep(self, name: str, value: str, kind: str | None, tags: Mapping[str, str]) -> dict[str, Any]:
        now = int(time.time())
        version = {
            "version": uuid.uuid4().hex,
            "value": value,
            "contentType": kind,
            "tags": tags,
            "attributes": {"enabled": True, "created": now, "updated": now, "recoveryLevel": "Recoverable+Purgeable"},
        }
        self._state.value.setdefault(name, []).append(version)
        self._state.save()
        return version

    async def get_secret(self, request: web.Request) -> web.Response:
        self._authorize(request, "getSecret/action")
        name = request.match_info["name"].lower()
        wanted = request.match_info.get("version")
        for version in reversed(self._versions(name)):
            if wanted is None or version["version"] == wanted:
                return web.json_response(_bundle(name, version))
        raise _not_found(name)

    async def list_versions(self, request: web.Request) -> web.Response:
        self._authorize(request, "readMetadata/action")
        name = request.match_info["name"].lower()
        return _page([_item(name, version, with_version=True) for version in self._versions(name)])

    async def list_names(self, request: web.Request) -> web.Response:
        self._authorize(request, "readMetadata/action")
        return _page([_item(name, versions[-1], with_version=False) for name, versions in self._state.value.items()])

    def _authorize(self, request: web.Request, action: str) -> None:
        """401: who is it? 403: it has no role with the data action."""
        claims = require_bearer(request, (VAULT_AUDIENCE,), _CHALLENGE)
        needed = Permission(f"Microsoft.KeyVault/vaults/secrets/{action}", world.KEY_VAULT_ID, data=True)
        if not self._roles.asked(claims, needed):
            message = (
                f"Caller is not authorized to perform action on resource. {client(claims)}, action: '{needed.action}'."
            )
            raise _Forbidden(403, "Forbidden", message)
        if not request.query.get("api-version"):
            raise ArmError(400, "BadParameter", "The api-version query parameter is required.")

    def _versions(self, name: str) -> list[dict[str, Any]]:
        versions: list[dict[str, Any]] = self._state.value.get(name, [])
        if not versions:
            raise _not_found(name)
        return versions


def _not_found(name: str) -> ArmError:
    return ArmError(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")


def _bundle(name: str, version: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": version["value"], **_item(name, version, with_version=True)}


def _item(name: str, version: Mapping[str, Any], *, with_version: bool) -> dict[str, Any]:
    identifier = f"https://{_HOST}/secrets/{name}" + (f"/{version['version']}" if with_version else "")
    item = {"id": identifier, "attributes": version["attributes"], "tags": version["tags"]}
    return item if version["contentType"] is None else {**item, "contentType": version["contentType"]}


def _page(items: list[dict[str, Any]]) -> web.Response:
    """One page holds all: a local vault has a handful of secrets."""
    return web.json_response({"value": items, "nextLink": None})
