"""What is being tried again because a service gives no answer, for people who wonder why nothing moves."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable

from tidegate.records import ListRecord, Record


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """One step without an answer."""

    step: str
    """The command's name, for example ImportImage."""
    tries: int
    since: datetime.datetime
    next: datetime.datetime
    reason: str


def retries(records: Iterable[Record]) -> tuple[Retry, ...]:
    """Of all these records."""
    return tuple(
        Retry(type(entry.command).__name__, entry.tries, entry.since, entry.due, entry.reason)
        for record in records
        for entry in record.outbox
        if entry.tries and not isinstance(entry.command, ListRecord)
    )
