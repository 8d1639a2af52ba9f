"""What goes back to who asked, and the numbers of a query."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tidegate.errors import MalformedEvent

LOG_LIMIT = 256 * 1024
"""Bytes of a test log that are shown: its end."""


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """HTML of our own, with everything foreign in it escaped."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a JSON body, text where `body` is bytes, or a page."""

    body: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def number(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of the query. MalformedEvent: it is none."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise MalformedEvent(f"{name}: must be a whole number")
    return int(text)
