"""Patterns of `gates.yaml` for names and lines of text: `*` stands for any characters, letter case does not matter.

Everything else stands for itself, so an error message can be pasted as it is. Matching takes time linear in the text: a log
written to make a pattern slow cannot.
"""

from __future__ import annotations


def matches(pattern: str, name: str) -> bool:
    """Whether the pattern is the whole name."""
    first, *rest = pattern.casefold().split("*")
    text = name.casefold()
    if not rest:
        return text == first
    if not text.startswith(first):
        return False
    place = _after(rest[:-1], text, len(first))
    return place >= 0 and len(text) - place >= len(rest[-1]) and text.endswith(rest[-1])


def occurs(pattern: str, line: str) -> bool:
    """Whether the pattern is somewhere in the line."""
    return _after(pattern.casefold().split("*"), line.casefold(), 0) >= 0


def _after(parts: list[str], text: str, place: int) -> int:
    """Where the parts end that follow each other from a place on; -1: they do not. The leftmost find of each is enough."""
    for part in parts:
        found = text.find(part, place)
        if found < 0:
            return -1
        place = found + len(part)
    return place
