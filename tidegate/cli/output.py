"""What is printed: JSON alone on standard output where it is asked for, else tables; words and progress go to standard error."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

_GOOD = frozenset({"Promoted", "Delivered", "Serving", "ok"})
_BAD = frozenset({"Rejected", "Errored", "Failed", "RolledBack"})
_WIDEST = 40
"""Columns of a terminal that a cell may ask of all rows; a longer one sticks out of its own."""
_LEAST = 30
"""Columns that are worth having beside the cells for free text."""
_LABEL = 15
"""Columns of a label."""


def show_json(value: Any) -> None:
    """One JSON text."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_line(value: Any) -> None:
    """One JSON text on one line, for what is watched."""
    click.echo(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def words(text: str) -> None:
    """For people, beside the result."""
    click.echo(plain(text), err=True)


def give_up() -> None:
    """Standard output cannot be written: what is still buffered goes nowhere, else Python tries once more at its end."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]], empty: str) -> None:
    """Rows under headings (heading, field); the last column is free text. Nothing is cut, however narrow the terminal.

    Not on a terminal: tab-separated, without headings.
    """
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(cell(row.get(field)) for _, field in columns))
        return
    if not rows:
        words(empty)
        return
    fixed, (last, text) = columns[:-1], columns[-1]
    widths = [
        max(len(heading), *(min(len(_short(field, row.get(field))), _WIDEST) for row in rows))
        for heading, field in fixed
    ]
    headings = [heading.ljust(width) for (heading, _), width in zip(fixed, widths, strict=True)]
    click.echo(_styled("  ".join([*headings, last]), bold=True))
    for row in rows:
        cells = [
            _styled(_short(field, row.get(field)).ljust(width), fg=_colour(field, row.get(field)))
            for (_, field), width in zip(fixed, widths, strict=True)
        ]
        _row("  ".join(cells), cell(row.get(text)), sum(widths) + 2 * len(widths))


def _row(cells: str, text: str, used: int) -> None:
    """The text goes beside the cells, or below them where there is little room."""
    width = shutil.get_terminal_size().columns
    indent = used if width - used >= _LEAST else 4
    first, *more = textwrap.wrap(text, max(width - indent, _LEAST)) or [""]
    if indent != used and first:
        click.echo(cells.rstrip())
        cells, first, more = "", "", [first, *more]
    if cells:
        click.echo(f"{cells}  {first}".rstrip())
    for line in more:
        click.echo(f"{'':{indent}}{line}")


def pairs(values: Iterable[tuple[str, Any]]) -> None:
    """Labels and values, one a line, below each other where there is no label; what is empty is left out."""
    for label, value in values:
        if value not in (None, "", [], {}):
            click.echo(f"{f'{label}:' if label else '':<{_LABEL}}{cell(value)}")


def cell(value: Any) -> str:
    """A value in one line of text that no terminal takes for a command."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case list() | tuple():
            return ", ".join(cell(each) for each in value)
        case dict():
            return ", ".join(f"{plain(str(name))} {cell(each)}" for name, each in value.items())
        case _:
            return plain(str(value))


def plain(text: str) -> str:
    """Foreign text without control characters: escape sequences would move the cursor or rename the window."""
    return "".join(character if character.isprintable() else " " for character in text)


def raw(data: bytes) -> None:
    """A log: as it is into a pipe or a file, without control characters on a terminal."""
    if sys.stdout.isatty():
        for line in data.decode(errors="replace").splitlines():
            click.echo(plain(line))
        return
    sys.stdout.buffer.write(data)


def _short(field: str, value: Any) -> str:
    """For a table on a terminal: times to the second."""
    text = cell(value)
    return f"{text[:10]} {text[11:19]}" if field in ("at", "updated") else text


def _colour(field: str, value: Any) -> str | None:
    if field != "state":
        return None
    return "green" if value in _GOOD else "red" if value in _BAD else "yellow"


def _styled(text: str, *, fg: str | None = None, bold: bool = False) -> str:
    """Without colours and weights where NO_COLOR is set (no-color.org)."""
    plainly = os.environ.get("NO_COLOR") or not (fg or bold)
    return text if plainly else click.style(text, fg=fg, bold=bold or None)
