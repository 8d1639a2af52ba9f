"""Who may publish to the custom topic (keys, signatures, tokens), and the key that opens the Functions host's webhook."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from aiohttp import web

from local.cloud.errors import ArmError
from local.cloud.tokens import require_bearer

AUDIENCE = "https://eventgrid.azure.net"
FUNCTIONS_KEY = "eventgrid_extension"
"""System key of the Event Grid webhook. Source: the Functions host names it `<extension>_extension`."""


@dataclasses.dataclass(frozen=True, slots=True)
class TopicKeys:
    """Both access keys of a custom topic, base64 as Azure's are."""

    key1: str
    key2: str

    @classmethod
    def kept_in(cls, file: Path) -> TopicKeys:
        """Read the file, or make it (only its owner can read it) with new keys: they stay the same over restarts."""
        if file.exists():
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        keys = cls(_new_key(), _new_key())
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(dataclasses.asdict(keys), stream)
        return keys

    def authorize(self, request: web.Request, now: datetime.datetime) -> Mapping[str, Any] | None:
        """Accept `aeg-sas-key`, `aeg-sas-token` or a bearer token for Event Grid, and return the claims of the latter;
        anything else is 401.

        Source: "Authenticate publishing clients". Order when several are present is unverified.
        """
        if (key := request.headers.get("aeg-sas-key")) is not None:
            _require(self._is_key(key), "the key in aeg-sas-key is not a key of this topic")
        elif (token := request.headers.get("aeg-sas-token")) is not None:
            fault = self._token_fault(token, now)
            _require(fault is None, fault or "")
        elif (authorization := request.headers.get("Authorization", "")).startswith("SharedAccessSignature "):
            fault = self._token_fault(authorization.partition(" ")[2], now)
            _require(fault is None, fault or "")
        else:
            return require_bearer(request, (AUDIENCE,))
        return None

    def _is_key(self, text: str) -> bool:
        return any(hmac.compare_digest(text.encode(), key.encode()) for key in (self.key1, self.key2))

    def _token_fault(self, token: str, now: datetime.datetime) -> str | None:
        """`r=<resource>&e=<expiry>&s=<signature>`: HMAC-SHA256 over all before `&s=`, with the decoded key. The
        resource is not compared with the topic's address, because clients reach the stand-in under several."""
        signed, _, signature = token.rpartition("&s=")
        expiry = parse_qs(signed).get("e", [""])[0]
        expected = [_signature(key, signed) for key in (self.key1, self.key2)]
        if not any(hmac.compare_digest(unquote_plus(signature).encode(), one.encode()) for one in expected):
            return "the signature in aeg-sas-token is not one of a key of this topic"
        if (expires := _time(expiry)) is None:
            return f"the expiry in aeg-sas-token is no time: {expiry!r}"
        return "the token in aeg-sas-token expired" if expires < now else None


class FunctionsKeys:
    """The system key `eventgrid_extension` in the Functions host's key file, read when first needed and after a 401."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "host.json"
        self._key: str | None = None

    @property
    def where(self) -> str:
        """The file, for messages."""
        return str(self._file)

    def current(self) -> str | None:
        """The key, None while the host has not written one."""
        return self._key or self.renewed()

    def renewed(self) -> str | None:
        """The key as the file has it now."""
        try:
            document = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # not started yet, or being written this moment
            return None
        self._key = next((key["value"] for key in _system_keys(document) if key.get("name") == FUNCTIONS_KEY), None)
        return self._key


def _system_keys(document: object) -> list[Mapping[str, str]]:
    keys = document.get("systemKeys") if isinstance(document, dict) else None
    return keys if isinstance(keys, list) else []


def _require(condition: bool, fault: str) -> None:
    if not condition:
        raise ArmError(401, "Unauthorized", f"The request is not authorized: {fault}.")


def _signature(key: str, text: str) -> str:
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _time(text: str) -> datetime.datetime | None:
    """Clients write the expiry as ISO 8601, `2026-11-25 12:00:00+00:00`, or .NET's `11/25/2026 12:00:00 PM`."""
    for parse in (datetime.datetime.fromisoformat, _dotnet_time):
        try:
            parsed = parse(text)
        except ValueError:
            continue
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)
    return None


def _dotnet_time(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=datetime.UTC)


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
