"""How something is asked for, and how its answer is shown: what the commands share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from tidegate.cli import output, reading
from tidegate.cli.connection import Answer, Connection, segment
from tidegate.cli.following import Waiting, check_end
from tidegate.cli.problems import Exit, Problem


def ask(
    connection: Connection, path: str, body: dict[str, Any], *, dry_run: bool, wait: float | None, as_json: bool
) -> None:
    """Ask for a promotion or a delivery, or for the plan of one; with `wait`, seconds, for its end as well."""
    answer = connection.post(path, body)
    if dry_run:
        _plan(answer.json(), as_json)
        return
    identity = str(answer.json()["id"])
    if wait is None:
        say(answer, as_json, f"asked for: {identity}\nSee what comes of it: tidegate show {identity} --wait")
        return
    found = Waiting(connection, wait, watched=False).until_end(f"{path}/{segment(identity)}")
    show(found, as_json)
    check_end(found)


def _plan(plan: Any, as_json: bool) -> None:
    if as_json:
        output.show_json(plan)
    else:
        output.pairs(reading.lines(plan))


def say(answer: Answer, as_json: bool, text: str) -> None:
    """What an answer means, in words; or the answer."""
    if as_json:
        output.show_json(answer.json())
    else:
        for line in text.splitlines():
            output.words(line)


def listed(
    connection: Connection,
    path: str,
    query: dict[str, str],
    columns: Sequence[tuple[str, str]],
    limit: int,
    as_json: bool,
) -> None:
    """Show a list, as long as `limit`."""
    page = _pages(connection, path, query, limit)
    if as_json:
        output.show_json(page)
        return
    filters = " ".join(f"--{name} {value}" for name, value in query.items() if value)
    output.table(page["items"], columns, f"Nothing here{f' with {filters}' if filters else ''}.")
    if page.get("next"):
        output.words(f"There are more than these {len(page['items'])}: --limit shows more, or narrow it down.")


def _pages(connection: Connection, path: str, query: dict[str, str], limit: int) -> Any:
    """One page, as long as it has to be: the API gives 200 at once."""
    items: list[Any] = []
    cursor = ""
    while True:
        most = str(min(limit - len(items), 200))
        page = connection.get(path, {**query, "limit": most, "cursor": cursor}).json()
        items += page["items"]
        cursor = page.get("next") or ""
        if not cursor or len(items) >= limit:
            return {**page, "items": items}


def place(connection: Connection, identity: str) -> str:
    """Where a promotion or a delivery of this id is: both have ids that say nothing of their kind. Problem: there is neither."""
    for kind in ("promotions", "deliveries"):
        path = f"/{kind}/{segment(identity)}"
        try:
            connection.get(path)
        except Problem as problem:
            if problem.status is not Exit.NOT_FOUND:
                raise
        else:
            return path
    todo = "See them: tidegate promotions, tidegate deliveries; a dead letter: tidegate dead-letters --json"
    raise Problem(Exit.NOT_FOUND, f"there is no promotion and no delivery {identity}", todo)


def show(found: Any, as_json: bool) -> None:
    """Show one promotion or delivery."""
    if as_json:
        output.show_json(found)
        return
    output.pairs(reading.lines(found))
    rows = found.get("history") or []
    if rows:
        click.echo()
        columns = (("AT", "at"), ("WHO", "who"), ("WHAT", "what"), ("FROM", "before"), ("TO", "after"), ("WHY", "why"))
        output.table(rows, columns, "")
