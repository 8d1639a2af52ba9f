"""What is printed: JSON alone on standard output where it is asked for, else tables; words and progress go to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

_GOOD = frozenset({"Promoted", "Delivered", "Serving", "ok"})
_BAD = frozenset({"Rejected", "Errored", "Failed", "RolledBack"})


def show_json(value: Any) -> None:
    """One JSON text."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_line(value: Any) -> None:
    """One JSON text on one line, for what is watched."""
    click.echo(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def words(text: str) -> None:
    """For people, beside the result."""
    click.echo(plain(text), err=True)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]], empty: str) -> None:
    """Rows under headings (heading, field). Not on a terminal: tab-separated, uncut, without headings."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(cell(row.get(field)) for _, field in columns))
        return
    if not rows:
        words(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading, _ in columns:
        grid.add_column(heading)
    for row in rows:
        grid.add_row(*(Text(cell(row.get(field)), _style(field, row.get(field))) for _, field in columns))
    Console(soft_wrap=False).print(grid)


def pairs(values: Iterable[tuple[str, Any]]) -> None:
    """Labels and values, one a line; what is empty is left out."""
    for label, value in values:
        if value not in (None, "", [], {}):
            click.echo(f"{label + ':':<12}{cell(value)}")


def cell(value: Any) -> str:
    """A value in one line of text that no terminal takes for a command."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(cell(each) for each in value)
        case dict():
            return plain(json.dumps(value, ensure_ascii=False))
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


def _style(field: str, value: Any) -> str:
    if field != "state":
        return ""
    return "green" if value in _GOOD else "red" if value in _BAD else "yellow"
