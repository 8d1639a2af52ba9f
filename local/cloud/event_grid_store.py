"""What Event Grid must not forget: deliveries in progress, subscriptions made at run time, the last published events."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from local.cloud.event_grid_events import Event

KEPT_EVENTS = 2000
"""Published events that stay listable; older ones are forgotten."""

_TABLES = """
CREATE TABLE IF NOT EXISTS delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  subscription TEXT NOT NULL COLLATE NOCASE,
  event TEXT NOT NULL,
  published REAL NOT NULL,
  due REAL NOT NULL,
  attempts INTEGER NOT NULL,
  last_attempt REAL,
  outcome TEXT NOT NULL,
  reason TEXT,
  gave_up REAL);
CREATE TABLE IF NOT EXISTS published (
  id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, event TEXT NOT NULL, published REAL NOT NULL);
CREATE TABLE IF NOT EXISTS subscription (name TEXT PRIMARY KEY COLLATE NOCASE, body TEXT NOT NULL);
"""
_IN_PROGRESS = """
SELECT id, subscription, event, published, due, attempts, last_attempt, outcome, reason, gave_up
FROM delivery WHERE subscription = ? ORDER BY id
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one subscription. Times are epoch seconds."""

    id: int
    subscription: str
    event: Event
    size: int
    """Bytes, for batching."""
    published: float
    due: float
    """Next attempt, or next try to write the dead letter."""
    attempts: int = 0
    last_attempt: float | None = None
    outcome: str = ""
    """`lastDeliveryOutcome` once there was an attempt."""
    reason: str | None = None
    """`deadLetterReason` once it was given up."""
    gave_up: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """One accepted event, as the admin endpoint lists it."""

    sequence: int
    topic: str
    event: Event
    at: float


class EventStore:
    """A SQLite file. Every method is one transaction that is in the file when it returns.

    The file survives a killed process at any moment; the last transactions may be lost with the machine's power
    (`synchronous=NORMAL`), which a local stand-in does not promise to survive.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        """Opened at the first use."""
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES)
        return self._connection

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def accept(
        self, topic: str, events: Sequence[Event], targets: Iterable[tuple[str, Event]], now: float
    ) -> list[Delivery]:
        """Keep events and one delivery for each target (subscription name, event), due at once."""
        deliveries = []
        with self._transaction():
            for event in events:
                self._db.execute(
                    "INSERT INTO published (topic, event, published) VALUES (?, ?, ?)", (topic, event.dumps(), now)
                )
            self._db.execute("DELETE FROM published WHERE id <= (SELECT max(id) FROM published) - ?", (KEPT_EVENTS,))
            for name, event in targets:
                text = event.dumps()
                row = self._db.execute(
                    "INSERT INTO delivery (subscription, event, published, due, attempts, outcome)"
                    " VALUES (?, ?, ?, ?, 0, '')",
                    (name, text, now, now),
                )
                deliveries.append(Delivery(row.lastrowid or 0, name, event, len(text.encode()), now, now))
        return deliveries

    def update(self, deliveries: Iterable[Delivery]) -> None:
        """Keep what became of deliveries that go on."""
        with self._transaction():
            self._db.executemany(
                "UPDATE delivery SET due=?, attempts=?, last_attempt=?, outcome=?, reason=?, gave_up=? WHERE id=?",
                [(d.due, d.attempts, d.last_attempt, d.outcome, d.reason, d.gave_up, d.id) for d in deliveries],
            )

    def forget(self, deliveries: Iterable[Delivery]) -> None:
        """Remove deliveries that ended; removing twice changes nothing."""
        with self._transaction():
            self._db.executemany("DELETE FROM delivery WHERE id=?", [(delivery.id,) for delivery in deliveries])

    def in_progress(self, subscription: str) -> list[Delivery]:
        """A subscription's deliveries that have not ended, oldest first."""
        return [_delivery(row) for row in self._db.execute(_IN_PROGRESS, (subscription,))]

    def receivers(self) -> set[str]:
        """Names of the subscriptions that have deliveries in progress."""
        return {name for (name,) in self._db.execute("SELECT DISTINCT subscription FROM delivery")}

    def recent(self, after: int = 0) -> list[Published]:
        """Kept events with a higher sequence number, oldest first."""
        rows = self._db.execute("SELECT id, topic, event, published FROM published WHERE id > ? ORDER BY id", (after,))
        return [Published(number, topic, Event.loads(event), at) for number, topic, event, at in rows]

    def keep_subscription(self, name: str, body: dict[str, Any]) -> None:
        """Keep (or replace) a subscription made at run time, as the request described it."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO subscription VALUES (?, ?)", (name, json.dumps(body)))

    def forget_subscription(self, name: str) -> None:
        """Remove a subscription made at run time and its deliveries."""
        with self._transaction():
            self._db.execute("DELETE FROM subscription WHERE name=?", (name,))
            self._db.execute("DELETE FROM delivery WHERE subscription=?", (name,))

    def subscriptions(self) -> list[dict[str, Any]]:
        """The requests that described the kept subscriptions."""
        return [json.loads(body) for (body,) in self._db.execute("SELECT body FROM subscription ORDER BY name")]

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT; rolled back when the block raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _delivery(row: Sequence[Any]) -> Delivery:
    number, name, text, published, due, attempts, last_attempt, outcome, reason, gave_up = row
    event, size = Event.loads(text), len(text.encode())
    return Delivery(number, name, event, size, published, due, attempts, last_attempt, outcome, reason, gave_up)
