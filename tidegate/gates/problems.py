"""What is wrong with a gates file, where, and what would be right."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import override


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One fault, where it is and what would be right. Line and column count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    field: str
    text: str

    @override
    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.field, self.text) if part)


class GatesError(ValueError):
    """The file cannot be used; `problems` holds every fault found, and the message has one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def shown(value: str) -> str:
    """Foreign text for a message: quoted, escaped and short."""
    return ascii(value if len(value) <= 60 else f"{value[:57]}...")


def did_you_mean(name: str, allowed: Collection[str]) -> str:
    """` (did you mean 'timeout'?)` or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(name, allowed, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
