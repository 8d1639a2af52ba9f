"""Freeze windows: the times of every week in which no stage begins, and when the one that holds now is over."""

from __future__ import annotations

import datetime

from tidegate.flows.models.model_gate import Freeze

WEEK = 7 * 24 * 3600
"""Seconds. Windows are in UTC, so every week has as many."""


def frozen_until(windows: tuple[Freeze, ...], at: datetime.datetime) -> datetime.datetime | None:
    """When the freeze that holds at a time is over, windows that touch or overlap taken as one; None: nothing is frozen.

    Windows that leave no minute of the week open give a time a week away, at which it is still frozen.
    """
    free, now = at, _second_of_week(at)
    while (left := _left(windows, now)) and (free - at).total_seconds() < WEEK:
        free += datetime.timedelta(seconds=left)
        now = (now + left) % WEEK
    return free if free > at else None


def _left(windows: tuple[Freeze, ...], second: float) -> float:
    """Seconds until every window that holds at this second of the week is over; 0: none holds."""
    return max((_left_of(window, second) for window in windows), default=0.0)


def _left_of(window: Freeze, second: float) -> float:
    start, end = window.start * 60, window.end * 60
    length = (end - start) % WEEK or (WEEK if end > start else 0)
    since = (second - start) % WEEK
    return length - since if since < length else 0.0


def _second_of_week(at: datetime.datetime) -> float:
    utc = at.astimezone(datetime.UTC)
    monday = datetime.datetime.combine(
        utc.date() - datetime.timedelta(days=utc.weekday()), datetime.time.min, datetime.UTC
    )
    return (utc - monday).total_seconds()
