"""Tokens of a registry: the challenge, the exchange of an Entra token, access tokens by scope, and Basic for docker."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local.cloud.core import Cloud
from local.cloud.errors import RegistryError
from local.cloud.permissions import of_registry_action
from local.cloud.registries import Registries, Registry
from local.cloud.tokens import ARM_AUDIENCES, issue_token, token_claims

TOKEN_USER = "00000000-0000-0000-0000-000000000000"
"""User name that goes with a refresh token as password (`docker login`, `skopeo --creds`)."""

_ENTRA_AUDIENCES = (*ARM_AUDIENCES, "https://containerregistry.azure.net")
_REFRESH_SECONDS = 3 * 3600
_ACCESS_SECONDS = 3600
_SCOPE = re.compile(r"(?P<type>[a-z]+):(?P<name>\S+):(?P<actions>[a-z_,*]+)")


def install(cloud: Cloud, registries: Registries) -> None:
    auth = _TokenEndpoints(registries)
    router = cloud.host("*.azurecr.io").router
    router.add_post("/oauth2/exchange", auth.exchange)
    router.add_post("/oauth2/token", auth.token)
    router.add_get("/oauth2/token", auth.token_for_basic)


def require_access(request: web.Request, registry: Registry, kind: str, name: str, *actions: str) -> None:
    """401 with the challenge that names the scope, unless the caller's token allows the actions or Basic is good, and
    the caller's roles allow them.

    `kind` and `name` are those of a scope: `repository` and its name, or `registry` and `catalog`. Seen: a registry
    answers who may not as it answers who did not say who they are (Azure/acr issue 164).
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        claims = _basic_claims(value, registry)
        covered = claims is not None
    else:
        claims = _claims(value, registry, "access") if scheme.lower() == "bearer" else None
        covered = claims is not None and _allows(claims, kind, name, actions)
    if claims is not None and all([_may(registry, claims, action) for action in actions]) and covered:  # noqa: C419  records each
        return
    scope = f"{kind}:{name}:{','.join(actions)}" if name else ""
    raise RegistryError(
        401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": _challenge(registry, scope)}
    )


class _TokenEndpoints:
    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    async def exchange(self, request: web.Request) -> web.Response:
        """An Entra access token becomes a refresh token of this registry."""
        registry = self._registries.at(request.host)
        form = await request.post()
        if form.get("grant_type") not in ("access_token", "access_token_refresh_token"):
            raise RegistryError(400, "UNSUPPORTED", "grant_type must be access_token")
        if form.get("service") != registry.host:
            raise RegistryError(400, "UNSUPPORTED", f"service must be {registry.host}")
        claims = token_claims(str(form.get("access_token", "")))
        if str(claims.get("aud", "")).rstrip("/") not in _ENTRA_AUDIENCES or claims.get("exp", 0) < time.time():
            raise RegistryError(401, "UNAUTHORIZED", "the access token is expired or not for a registry")
        return web.json_response({"refresh_token": refresh_token(registry, _bearer(claims))})

    async def token(self, request: web.Request) -> web.Response:
        """A refresh token, or the user name and password of `docker login`, becomes an access token for the scopes."""
        registry = self._registries.at(request.host)
        form = await request.post()
        match form.get("grant_type"):
            case "refresh_token":
                proof = str(form.get("refresh_token", ""))
            case "password" if form.get("username") == TOKEN_USER:
                proof = str(form.get("password", ""))
            case _:
                raise RegistryError(400, "UNSUPPORTED", "grant_type must be refresh_token or password")
        if (claims := _claims(proof, registry, "refresh")) is None:
            raise RegistryError(401, "UNAUTHORIZED", "the refresh token is expired or of another registry")
        return _access(registry, claims, [str(scope) for scope in form.getall("scope", [])])

    async def token_for_basic(self, request: web.Request) -> web.Response:
        """The same for clients of Docker's older token protocol, which send Basic."""
        registry = self._registries.at(request.host)
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        claims = _basic_claims(value, registry) if scheme.lower() == "basic" else None
        if claims is None:
            raise RegistryError(401, "UNAUTHORIZED", "authentication required")
        return _access(registry, claims, request.query.getall("scope", []))


def refresh_token(registry: Registry, bearer: Mapping[str, Any]) -> str:
    """What `az acr login --expose-token` shows; the password that goes with TOKEN_USER."""
    return issue_token(registry.host, seconds=_REFRESH_SECONDS, kind="refresh", **bearer)


def _bearer(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Who a token is for, to be handed on to the tokens that it is exchanged for."""
    return {name: claims[name] for name in ("appid", "oid", "sub") if name in claims}


def _may(registry: Registry, claims: Mapping[str, Any], action: str) -> bool:
    return registry.roles.asked(claims, of_registry_action(action, registry.id))


def _access(registry: Registry, claims: Mapping[str, Any], scopes: list[str]) -> web.Response:
    """The token covers of each scope what the roles of its bearer allow; that may be nothing."""
    access = []
    for scope in (part for text in scopes for part in text.split()):
        if (parts := _SCOPE.fullmatch(scope)) is None:
            raise RegistryError(400, "UNSUPPORTED", f"'{scope}' is no scope")
        wanted = parts["actions"].split(",")
        granted = [one for one in wanted if registry.roles.allows(claims, of_registry_action(one, registry.id))]
        access.append({"type": parts["type"], "name": parts["name"], "actions": granted})
    token = issue_token(registry.host, seconds=_ACCESS_SECONDS, kind="access", access=access, **_bearer(claims))
    return web.json_response({"access_token": token, "token": token, "expires_in": _ACCESS_SECONDS})


def _claims(token: str, registry: Registry, kind: str) -> dict[str, Any] | None:
    claims = token_claims(token)
    good = claims.get("aud") == registry.host and claims.get("kind") == kind and claims.get("exp", 0) >= time.time()
    return claims if good else None


def _allows(claims: dict[str, Any], kind: str, name: str, actions: tuple[str, ...]) -> bool:
    granted = {
        action
        for entry in claims.get("access", [])
        if entry["type"] == kind and entry["name"] in (name, "*")
        for action in entry["actions"]
    }
    return "*" in granted or granted.issuperset(actions)


def _basic_claims(value: str, registry: Registry) -> dict[str, Any] | None:
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return _claims(password, registry, "refresh") if user == TOKEN_USER else None


def _challenge(registry: Registry, scope: str) -> str:
    realm = f'Bearer realm="https://{registry.host}/oauth2/token",service="{registry.host}"'
    return f'{realm},scope="{scope}"' if scope else realm
