"""Access tokens: unsigned JWTs that say for which service they are. They prove nothing: no security boundary."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from local import world
from local.cloud.errors import ArmError

ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
ML_AUDIENCE = "https://ml.azure.com"
"""Of the data plane of Azure Machine Learning: registries, and endpoints that take Entra tokens."""
VAULT_AUDIENCE = "https://vault.azure.net"

OBJECT_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, "tidegate-local-identity"))
"""Object id of the one identity of the local world."""


def issue_token(audience: str, *, seconds: int = 3600, now: float | None = None, **claims: Any) -> str:
    """A token for one service; `require_bearer` accepts it until it expires."""
    issued = int(time.time() if now is None else now)
    payload = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{world.TENANT}/",
        "iat": issued,
        "nbf": issued,
        "exp": issued + seconds,
        "tid": world.TENANT,
        "oid": OBJECT_ID,
        "sub": OBJECT_ID,
        **claims,
    }
    return ".".join((_segment({"alg": "none", "typ": "JWT"}), _segment(payload), _segment("unsigned")))


def token_claims(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified; empty when it is none."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def require_bearer(
    request: web.Request, audiences: Sequence[str] = ARM_AUDIENCES, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The claims of the caller's token; 401 when it is missing, expired or for another service."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ArmError(401, "AuthenticationFailed", "The 'Authorization' header is missing or no bearer.", headers)
    claims = token_claims(token.strip())
    if str(claims.get("aud", "")).rstrip("/") not in {audience.rstrip("/") for audience in audiences}:
        message = f"The access token is not for {audiences[0]}."
        raise ArmError(401, "InvalidAuthenticationTokenAudience", message, headers)
    if float(claims.get("exp", 0)) < time.time():
        raise ArmError(401, "ExpiredAuthenticationToken", "The access token expired.", headers)
    return claims


def _segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
