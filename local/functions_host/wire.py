"""A request and a response of HTTP, without a server."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from urllib.parse import parse_qsl


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    scheme: str
    method: str
    path: str
    """Percent-encoded, with its leading slash."""
    query: str
    """As sent, without the question mark."""
    headers: Mapping[str, str]
    """Lower-case names; values of a repeated header joined with a comma."""
    body: bytes

    def parameters(self) -> dict[str, list[str]]:
        """The query's values by name, empty ones dropped as the real host does."""
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.query):
            values.setdefault(name, []).append(value)
        return values


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
