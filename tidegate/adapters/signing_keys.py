"""The keys that a tenant signs its tokens with: read over HTTPS, kept, and read again when one is not known."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping

import jwt
import requests

from tidegate.errors import TransientError

LIFE = 24 * 3600.0
"""Seconds after which they are read again; Entra announces new ones longer before it signs with them."""
AT_MOST_EVERY = 60.0
"""Seconds between two readings, however many tokens with unknown keys come in: anybody can write such a token."""
LIMIT = 256 * 1024
"""Bytes of the document."""
MOST_KEYS = 64

_TIMEOUT = (4, 8)


class SigningKeys:
    """Safe to use from several threads: one of them reads, the others wait for it."""

    def __init__(self, read: Callable[[], bytes], now: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._now = now
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._lock = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of this id; None: the tenant has none. TransientError: they cannot be read, and it is not among the kept."""
        with self._lock:
            age = None if self._read_at is None else self._now() - self._read_at
            if kid in self._keys and age is not None and age < LIFE:
                return self._keys[kid]
            if self._tried_at is None or self._now() - self._tried_at >= AT_MOST_EVERY:
                self._renew(is_needed=kid not in self._keys)
            elif self._read_at is None:
                raise TransientError("the tenant's signing keys cannot be read", retry_after=AT_MOST_EVERY)
            return self._keys.get(kid)

    def _renew(self, *, is_needed: bool) -> None:
        self._tried_at = self._now()
        try:
            self._keys = keys_of(self._read())
        except TransientError:
            if is_needed:
                raise
            return  # a key that was good yesterday is better than nobody being let in
        self._read_at = self._now()


def keys_of(document: bytes) -> Mapping[str, jwt.PyJWK]:
    """The RSA signing keys of a JSON Web Key Set, by id. TransientError: it is none."""
    try:
        listed = json.loads(document)["keys"]
        rsa = [each for each in listed[:MOST_KEYS] if each.get("kty") == "RSA" and each.get("use", "sig") == "sig"]
        return {str(each["kid"]): jwt.PyJWK(each, "RS256") for each in rsa}
    except (ValueError, LookupError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise TransientError(f"the tenant's signing keys are not readable ({type(error).__name__})") from error


def of_tenant(tenant: str) -> Callable[[], bytes]:
    """Reads the key set of an Entra tenant, at most LIMIT bytes of it."""
    url = f"https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys"

    def read() -> bytes:
        try:
            with requests.get(url, timeout=_TIMEOUT, allow_redirects=False, stream=True) as answer:
                if answer.status_code != 200:
                    raise TransientError(f"the tenant's signing keys: answered {answer.status_code}")
                body: bytes = answer.raw.read(LIMIT + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise TransientError(f"the tenant's signing keys: no answer ({type(error).__name__})") from error
        if len(body) > LIMIT:
            raise TransientError(f"the tenant's signing keys: larger than {LIMIT} bytes")
        return body

    return read
