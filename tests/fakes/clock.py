"""Time that passes only when a test says so."""

from __future__ import annotations

import datetime

START = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime.datetime = START) -> None:
        self._now = start

    def now(self) -> datetime.datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += datetime.timedelta(seconds=seconds)

    def advance_to(self, moment: datetime.datetime) -> None:
        """Let time pass until a moment; a moment in the past changes nothing."""
        self._now = max(self._now, moment)
