"""Figures: a value beside its reference as a ratio, with the aim it is held to; as a table and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, override


@dataclasses.dataclass(frozen=True, slots=True)
class Aim:
    """A bound of a figure's ratio, or of its value, in its unit."""

    of: Literal["ratio", "value"]
    relation: Literal["<=", "<", ">="]
    bound: float

    def is_met(self, value: float) -> bool:
        match self.relation:
            case "<=":
                return value <= self.bound
            case "<":
                return value < self.bound
            case ">=":
                return value >= self.bound

    @override
    def __str__(self) -> str:
        return f"{self.of} {self.relation} {self.bound:g}"


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    """What was measured, and after ` / ` what it stands beside."""
    value: float
    unit: str
    reference: float | None = None
    """In the same unit, from the same run; None: there is nothing to compare with."""
    aim: Aim | None = None

    @property
    def ratio(self) -> float | None:
        """Value over reference."""
        return self.value / self.reference if self.reference else None

    @property
    def ok(self) -> bool | None:
        """Whether the aim is met; None without an aim."""
        if self.aim is None:
            return None
        judged = self.value if self.aim.of == "value" else self.ratio
        return judged is not None and self.aim.is_met(judged)

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": _rounded(self.value),
            "unit": self.unit,
            "reference": _rounded(self.reference),
            "ratio": _rounded(self.ratio),
            "aim": None if self.aim is None else str(self.aim),
            "ok": self.ok,
        }


def write(path: Path, conditions: str, figures: Sequence[Figure]) -> None:
    """A list with one row a figure; the first row says under which conditions they were measured, and has no value."""
    row = dict.fromkeys(("value", "reference", "ratio", "aim", "ok"))
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"name": "conditions", "unit": conditions, **row}, *(figure.json() for figure in figures)]
    path.write_text(json.dumps(rows, indent=2) + "\n")


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns, with a heading."""
    heading = ("FIGURE / REFERENCE", "VALUE", "REFERENCE", "UNIT", "RATIO", "AIM", "")
    rows = [heading, *(_row(figure) for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def rounds[T](ways: Sequence[T], count: int) -> Iterator[T]:
    """Every way once a round, each round beginning with another one: what changes meanwhile meets all of them alike."""
    for number in range(count):
        yield from turned(ways, number)


def turned[T](ways: Sequence[T], number: int) -> tuple[T, ...]:
    """The ways in their order, beginning with the one whose turn it is in this round."""
    first = number % len(ways)
    return (*ways[first:], *ways[:first])


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of the values do not exceed (nearest rank)."""
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def compared(
    name: str,
    values: Sequence[float],
    references: Sequence[float],
    unit: str,
    aim: Aim | None = None,
    summary: Callable[[Sequence[float]], float] = statistics.median,
) -> Figure:
    """Both summarised in the same way, by their medians unless said otherwise."""
    return Figure(name, summary(values), unit, summary(references), aim)


def _row(figure: Figure) -> tuple[str, ...]:
    verdict = {None: "", True: "ok", False: "MISSED"}[figure.ok]
    aim = "" if figure.aim is None else str(figure.aim)
    return (
        figure.name,
        _shown(figure.value),
        _shown(figure.reference),
        figure.unit,
        _shown(figure.ratio),
        aim,
        verdict,
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    right = {1, 2, 4}
    cells = (
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _shown(value: float | None) -> str:
    """Three significant digits, without an exponent."""
    if value is None:
        return ""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{digits}f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
