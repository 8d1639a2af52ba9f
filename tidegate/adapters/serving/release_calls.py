"""HTTP to the two services that run release pipelines: their one host each, bounded, no redirect, the token in a header alone."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any, Literal

import requests

from tidegate.adapters.azure_calls import BOUNDED, retry_after
from tidegate.errors import PermanentError, TransientError

_TIMEOUT = (BOUNDED["connection_timeout"], 15)
_BUSY = (401, 408, 409, 425, 429)
_LIMIT = 4 << 20
"""Bytes of an answer: a page of runs."""


class ReleaseCalls:
    """Calls to one host. May be shared by threads."""

    def __init__(self, host: Literal["dev.azure.com", "api.github.com"], headers: Mapping[str, str]) -> None:
        self._host = host
        self._session = requests.Session()
        self._session.auth = lambda request: request  # or requests would send passwords from ~/.netrc
        self._session.headers.update({"Accept": "application/json", "User-Agent": "tidegate", **headers})

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def call(
        self, method: str, parts: tuple[str, ...], token: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """`parts` of the path are quoted one by one, so that no name of a project leads elsewhere.

        An empty answer is an empty object. PermanentError: refused. TransientError: not now, or no answer.
        """
        path = "/".join(urllib.parse.quote(part, safe="") for part in parts)
        what = f"{method} {self._host}/{path}"
        try:
            with self._session.request(
                method,
                f"https://{self._host}/{path}",
                params=query,
                json=body,
                headers={"Authorization": token},
                timeout=_TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = answer.raw.read(_LIMIT + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise TransientError(f"{what}: no answer ({type(error).__name__})") from error
        return _checked(what, answer, content)


def _checked(what: str, answer: requests.Response, content: bytes) -> dict[str, Any]:
    """Azure DevOps answers an unknown token with 203 and a page to sign in at: that is no answer either."""
    status = answer.status_code
    value = _object(content)
    if status in (200, 201, 204) and (value is not None or not content):
        return value or {}
    words = f"{what}: {status} {str((value or {}).get('message') or answer.reason or '')[:200]}".strip()
    limited = status == 403 and answer.headers.get("x-ratelimit-remaining") == "0"  # GitHub, beside 429
    if 400 <= status < 500 and status not in _BUSY and not limited:
        raise PermanentError(words)
    raise TransientError(words, retry_after=retry_after(answer.headers))


def _object(content: bytes) -> dict[str, Any] | None:
    import json

    if len(content) > _LIMIT:
        return None
    try:
        value = json.loads(content) if content else {}
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
