"""Tokens for the local world: App Service managed identity, the client secret flow of login.microsoftonline.com, and people."""

from __future__ import annotations

import time
import uuid
from typing import Any

from aiohttp import web

from local import world
from local.cloud import entra_signing
from local.cloud.core import Cloud
from local.cloud.entra_signing import SigningKey
from local.cloud.errors import ArmError
from local.cloud.tokens import issue_token

LOGIN_HOST = "login.microsoftonline.com"
_AUTHORITY = f"https://{LOGIN_HOST}"
_LIFETIME = 3600


def install(cloud: Cloud) -> None:
    identity = _Identity(cloud.options.identity_header, SigningKey(cloud.options.state / "entra-signing.pem"))
    cloud.local.router.add_post("/admin/tokens", identity.token_of_person)
    cloud.local.router.add_get("/msi/token", identity.managed_identity)
    login = cloud.host(LOGIN_HOST).router
    login.add_get("/common/discovery/instance", _instance_discovery)
    login.add_get("/{tenant}/v2.0/.well-known/openid-configuration", _openid_configuration)
    login.add_get("/{tenant}/discovery/v2.0/keys", identity.keys)
    login.add_get("/{tenant}/discovery/keys", identity.keys)
    login.add_post("/{tenant}/oauth2/v2.0/token", identity.client_secret)


class _Identity:
    def __init__(self, header: str, key: SigningKey) -> None:
        self._header = header
        self._key = key

    async def keys(self, _request: web.Request) -> web.Response:
        """What the tokens of people are verified by."""
        return web.json_response(self._key.key_set())

    async def token_of_person(self, request: web.Request) -> web.Response:
        """A token of whoever is asked for, as if they had signed in: {"name", "roles", "seconds", "version"}."""
        asked = await request.json()
        name, roles = str(asked.get("name", "")), [str(role) for role in asked.get("roles", [])]
        if not name:
            raise ArmError(400, "BadRequest", "'name' is required.")
        seconds, version = int(asked.get("seconds", _LIFETIME)), int(asked.get("version", 2))
        claims = entra_signing.of_person(name, roles, seconds=seconds, version=version)
        return web.json_response({"access_token": self._key.sign(claims), "claims": claims})

    async def managed_identity(self, request: web.Request) -> web.Response:
        """App Service's endpoint: the header proves that the caller was given the environment, the token names it.

        Behind a colon the header may name another principal: an environment that belongs to another identity.
        """
        header, _, principal = request.headers.get("X-IDENTITY-HEADER", "").partition(":")
        if header != self._header:
            raise ArmError(401, "Unauthorized", "X-IDENTITY-HEADER is missing or wrong.")
        resource = request.query.get("resource", "")
        if not resource or "api-version" not in request.query:
            raise ArmError(400, "BadRequest", "'resource' and 'api-version' are required.")
        client = request.query.get("client_id") or world.client_id(principal or world.FUNCTION_IDENTITY)
        claims = _named(client) if principal else {**_named(client), "xms_mirid": world.FUNCTION_APP_ID}
        token = self._issue(resource, client, claims)
        return web.json_response(
            {
                "access_token": token,
                "expires_on": str(int(time.time()) + _LIFETIME),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": client,
            }
        )

    async def client_secret(self, request: web.Request) -> web.Response:
        """Any client id with any secret is accepted: there is nothing to protect. Those of `world.client_id` have roles."""
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return _oauth_error("unsupported_grant_type", "AADSTS70003: only client_credentials is known here.")
        client, scope = str(form.get("client_id", "")), str(form.get("scope", ""))
        if not client or not (form.get("client_secret") or form.get("client_assertion")):
            return _oauth_error("invalid_client", "AADSTS7000216: 'client_id' and 'client_secret' are required.", 401)
        resources = [part.removesuffix("/.default") for part in scope.split() if part.endswith("/.default")]
        if len(resources) != 1:
            what = f"AADSTS1002012: the scope '{scope}' is not one '<resource>/.default'."
            return _oauth_error("invalid_scope", what)
        token = self._issue(resources[0], client, _named(client))
        return web.json_response({"token_type": "Bearer", "expires_in": _LIFETIME, "access_token": token})

    def _issue(self, resource: str, client: str, claims: dict[str, Any]) -> str:
        """Signed for the application that people sign in with, which is verified; unsigned for all else."""
        if resource in entra_signing.AUDIENCES:
            application = entra_signing.of_application(client, claims["oid"], resource, seconds=_LIFETIME)
            return self._key.sign(application)
        return issue_token(resource, seconds=_LIFETIME, **claims)


def _named(client: str) -> dict[str, Any]:
    """Claims that say which client a token is for."""
    object_id = str(uuid.uuid5(uuid.NAMESPACE_OID, client))
    return {"appid": client, "oid": object_id, "sub": object_id}


async def _openid_configuration(request: web.Request) -> web.Response:
    base = f"{_AUTHORITY}/{request.match_info['tenant']}"
    return web.json_response(
        {
            "issuer": f"{_AUTHORITY}/{world.TENANT}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }
    )


async def _instance_discovery(_request: web.Request) -> web.Response:
    return web.json_response(
        {
            "tenant_discovery_endpoint": f"{_AUTHORITY}/{world.TENANT}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [
                {
                    "preferred_network": LOGIN_HOST,
                    "preferred_cache": "login.windows.net",
                    "aliases": [LOGIN_HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"],
                }
            ],
        }
    )


def _oauth_error(code: str, description: str, status: int = 400) -> web.Response:
    return web.json_response({"error": code, "error_description": description}, status=status)
