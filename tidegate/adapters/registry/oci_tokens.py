"""Access tokens of Azure's container registries: Entra token -> refresh token -> access token for one scope.

The registry is asked at its own host only. A challenge's realm is never followed, so nobody can point it elsewhere.
Protocol: github.com/Azure/acr, docs/AAD-OAuth.md.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from tidegate.errors import TransientError

AUDIENCE = "https://containerregistry.azure.net/.default"
"""Registries can be set to refuse tokens for the management API (azureADAuthenticationAsArmPolicy), but never these."""

_EARLY = 120
"""Seconds before its end at which a token is not used any more."""
_UNKNOWN_LIFE = 300
"""Seconds that a token is kept when it does not say when it ends."""

type Post = Callable[[str, str, Mapping[str, str]], Mapping[str, Any]]
"""`post(host, path, form)` gives the JSON of the answer; TransientError: there was none, or it was not 200."""


class RegistryTokens:
    """Tokens by host and scope, cached until shortly before they end. May be shared by threads."""

    def __init__(self, credential: TokenCredential, post: Post, now: Callable[[], float] = time.time) -> None:
        self._credential = credential
        self._post = post
        self._now = now
        self._cache: dict[tuple[str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def access(self, host: str, scope: str) -> str:
        """A token for `repository:<name>:<actions>` at a registry's host."""
        cached = self._cached(host, scope)
        if cached:
            return cached
        form = {"grant_type": "refresh_token", "service": host, "scope": scope, "refresh_token": self._refresh(host)}
        return self._keep(host, scope, self._post(host, "/oauth2/token", form).get("access_token"))

    def forget(self, host: str) -> None:
        """The registry refused a token: ask for new ones."""
        with self._lock:
            self._cache = {key: kept for key, kept in self._cache.items() if key[0] != host}

    def _refresh(self, host: str) -> str:
        cached = self._cached(host, "")
        if cached:
            return cached
        try:
            entra = self._credential.get_token(AUDIENCE).token
        except AzureError as error:
            raise TransientError(f"{host}: no token of the app's identity") from error
        form = {"grant_type": "access_token", "service": host, "access_token": entra}
        return self._keep(host, "", self._post(host, "/oauth2/exchange", form).get("refresh_token"))

    def _cached(self, host: str, scope: str) -> str | None:
        with self._lock:
            token, until = self._cache.get((host, scope), ("", 0.0))
        return token if until > self._now() else None

    def _keep(self, host: str, scope: str, token: object) -> str:
        if not isinstance(token, str) or not token:
            raise TransientError(f"{host}: the registry gave no token for {scope or 'this identity'}")
        with self._lock:
            self._cache[host, scope] = (token, self._until(token))
        return token

    def _until(self, token: str) -> float:
        try:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            return float(claims["exp"]) - _EARLY
        except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
            return self._now() + _UNKNOWN_LIFE
