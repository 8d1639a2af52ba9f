"""The text of single values of `alerts`: each function returns the value, or raises ValueError with the rule."""

from __future__ import annotations

import re

from tidegate.flows.alerts.alert_policy import LONGEST_LINE
from tidegate.gates.problems import shown

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+")
_NAME = re.compile(r"[^\0-\x1f\x7f]{1,255}")
_SPAN = re.compile(r"([1-9][0-9]{0,4})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 14 * 86400
LEAST_LETTERS = 4


def address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"{shown(text)} is not an e-mail address")
    return text


def host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"{shown(text)} is not the name of a host; write it in lower case, without https://")
    return text


def name_pattern(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a name or a pattern of names, for example litter-*")
    return text


def line_pattern(text: str) -> str:
    """A pattern of one or two letters would be in every line."""
    if not _NAME.fullmatch(text) or len(text) > LONGEST_LINE:
        raise ValueError(f"{shown(text)} is not a pattern of one line")
    if sum(not each.isspace() and each != "*" for each in text) < LEAST_LETTERS:
        raise ValueError(f"{shown(text)} says too little: at least {LEAST_LETTERS} characters beside * and spaces")
    return text


def example(text: str) -> str:
    if not text.strip() or "\n" in text:
        raise ValueError(f"{shown(text)} is not one line of a log")
    return text


def span(text: str) -> int:
    """Seconds."""
    found = _SPAN.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a duration; write a number and s, m, h or d, for example 24h")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST:
        raise ValueError(f"{shown(text)} is too long; from 1s to 14d")
    return seconds
