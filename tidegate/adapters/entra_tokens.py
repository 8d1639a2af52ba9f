"""Verifies Entra tokens: signature, issuer, audience, time, tenant; then says whose they are.

Rules: learn.microsoft.com/entra/identity-platform/access-tokens, "Validate tokens". Access tokens and ID tokens of our own
application are both taken: App Service passes the ID token of a browser's session on, and hands out no access token for us.
"""

from __future__ import annotations

import re
from typing import Any

import jwt

from tidegate.adapters.signing_keys import SigningKeys
from tidegate.errors import NotSignedIn
from tidegate.identity import Person

MAX_TOKEN = 16 * 1024
"""Characters; Entra's are a few thousand."""
LEEWAY = 60
"""Seconds by which clocks may differ."""
MAX_NAME = 100
MAX_ROLES = 64

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_USER = ("upn", "preferred_username", "unique_name", "email", "name")
_APPLICATION = ("appid", "azp")
_REQUIRED = ["exp", "nbf", "iss", "aud", "tid", "oid"]
_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet"),
    (jwt.InvalidAudienceError, "it is for another application"),
    (jwt.InvalidIssuerError, "another tenant issued it"),
    (jwt.InvalidSignatureError, "its signature is not the tenant's"),
    (jwt.MissingRequiredClaimError, "it lacks a claim that every token of Entra has"),
)


class EntraTokens:
    """The Tokens of one tenant and one application. Without either, no token is good."""

    def __init__(self, tenant: str, audience: str, keys: SigningKeys) -> None:
        self._tenant = tenant
        self._audiences = [audience, f"api://{audience}"] if audience else []
        self._issuers = [f"https://login.microsoftonline.com/{tenant}/v2.0", f"https://sts.windows.net/{tenant}/"]
        self._keys = keys

    def verified(self, token: str) -> Person:
        """The person of a token. NotSignedIn says in which way it is not good, and nothing of what is in it."""
        if not self._tenant or not self._audiences:
            raise NotSignedIn("token: this installation takes none (TIDEGATE_TENANT_ID, TIDEGATE_API_AUDIENCE)")
        if len(token) > MAX_TOKEN:
            raise _invalid(f"it is longer than {MAX_TOKEN} characters")
        try:
            claims = self._claims(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:  # a header may be anything, nested ever so deep
            words = next((words for kind, words in _REASONS if isinstance(error, kind)), "it is no token of Entra")
            raise _invalid(words) from error
        return self._person(claims)

    def _claims(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != "RS256" or not isinstance(header.get("kid"), str):
            raise _invalid("it is not signed in the way of Entra")
        key = self._keys.find(header["kid"])
        if key is None:
            raise _invalid("the tenant has no such signing key")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=self._audiences,
            issuer=self._issuers,
            leeway=LEEWAY,
            options={"require": _REQUIRED},
        )
        return claims

    def _person(self, claims: dict[str, Any]) -> Person:
        tenant, oid, roles = claims["tid"], claims["oid"], claims.get("roles", [])
        if tenant != self._tenant:
            raise _invalid("another tenant issued it")
        if not isinstance(oid, str) or not _ID.match(oid):
            raise _invalid("its object id is none")
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise _invalid("its roles are none")
        return Person(f"{tenant}/{oid}", _name(claims) or oid, tuple(roles[:MAX_ROLES]), "token")


def _name(claims: dict[str, Any]) -> str:
    """As Azure calls whoever created a resource (systemData.createdBy): a user's sign-in name, an application's client id.

    So a registration and an approval can be seen to be by one person. Empty: the token has no name.
    """
    is_application = "scp" not in claims and "name" not in claims
    wanted = _APPLICATION if is_application else _USER
    return next((line for claim in wanted if (line := _line(claims.get(claim)))), "")


def _invalid(words: str) -> NotSignedIn:
    return NotSignedIn(f"token: {words}", is_token=True)


def _line(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:MAX_NAME]
