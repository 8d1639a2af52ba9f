"""Freeze windows: when nothing may begin, and until when."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tidegate.flows.models.freeze_windows import WEEK, frozen_until
from tidegate.flows.models.model_gate import Freeze

MONDAY = datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC)
DAY = 1440
NIGHT = Freeze(22 * 60, DAY + 6 * 60)
"""Monday 22:00 to Tuesday 06:00."""
WEEKEND = Freeze(4 * DAY + 18 * 60, 8 * 60)
"""Friday 18:00, round the week's end, to Monday 08:00."""
EVENING = Freeze(20 * 60, 22 * 60)
"""Right before NIGHT."""


def at(day: int, hour: int, minute: int = 0, second: float = 0) -> datetime.datetime:
    return MONDAY + datetime.timedelta(days=day, hours=hour, minutes=minute, seconds=second)


CASES: dict[str, tuple[tuple[Freeze, ...], datetime.datetime, datetime.datetime | None]] = {
    "nothing is frozen without windows": ((), at(0, 23), None),
    "before the window": ((NIGHT,), at(0, 21, 59), None),
    "its first second": ((NIGHT,), at(0, 22), at(1, 6)),
    "its last second": ((NIGHT,), at(1, 5, 59, 59), at(1, 6)),
    "its end is free": ((NIGHT,), at(1, 6), None),
    "a week later it holds again": ((NIGHT,), at(7, 23), at(8, 6)),
    "round the week's end, before it": ((WEEKEND,), at(6, 23), at(7, 8)),
    "round the week's end, after it": ((WEEKEND,), at(0, 7), at(0, 8)),
    "not between": ((WEEKEND,), at(2, 12), None),
    "windows that touch are one": ((EVENING, NIGHT), at(0, 20, 30), at(1, 6)),
    "their order means nothing": ((NIGHT, EVENING), at(0, 20, 30), at(1, 6)),
    "windows that overlap are one": ((Freeze(0, 120), Freeze(60, 180)), at(0, 0, 30), at(0, 3)),
    "one within another": ((Freeze(0, 180), Freeze(60, 90)), at(0, 1), at(0, 3)),
    "to the very end of the week": ((Freeze(6 * DAY, 7 * DAY),), at(6, 12), at(7, 0)),
    "an empty one holds never": ((Freeze(60, 60),), at(0, 1), None),
}


@pytest.mark.parametrize(("windows", "moment", "until"), CASES.values(), ids=CASES.keys())
def test_a_window_holds_from_its_start_until_its_end(
    windows: tuple[Freeze, ...], moment: datetime.datetime, until: datetime.datetime | None
) -> None:
    assert frozen_until(windows, moment) == until


def test_windows_are_in_utc_wherever_the_time_comes_from() -> None:
    east = at(0, 23).astimezone(datetime.timezone(datetime.timedelta(hours=9)))
    assert frozen_until((NIGHT,), east) == at(1, 6)


@pytest.mark.parametrize("whole", [(Freeze(0, 7 * DAY),), (Freeze(0, DAY), Freeze(DAY, 0))], ids=["one", "two"])
def test_a_week_that_is_frozen_all_through_is_looked_at_again_after_a_week(whole: tuple[Freeze, ...]) -> None:
    until = frozen_until(whole, at(0, 12))
    assert until is not None
    assert (until - at(0, 12)).total_seconds() >= WEEK


_MINUTE = some.integers(0, 7 * DAY - 1)
_WINDOWS = some.lists(some.builds(Freeze, _MINUTE, some.integers(0, 7 * DAY)), max_size=4).map(tuple)


def _holds(windows: tuple[Freeze, ...], moment: datetime.datetime) -> bool:
    """Minute by minute, as a person would look it up."""
    minute = int((moment - MONDAY).total_seconds() // 60) % (7 * DAY)
    for window in windows:
        if window.start <= window.end:
            held = window.start <= minute < window.end
        else:
            held = minute >= window.start or minute < window.end
        if held:
            return True
    return False


@given(windows=_WINDOWS, minute=some.integers(0, 14 * DAY))
def test_it_is_frozen_exactly_until_the_first_free_minute(windows: tuple[Freeze, ...], minute: int) -> None:
    moment = MONDAY + datetime.timedelta(minutes=minute)
    until = frozen_until(windows, moment)
    assert (until is not None) == _holds(windows, moment)
    if until is not None and until - moment < datetime.timedelta(seconds=WEEK):
        assert not _holds(windows, until)
        assert _holds(windows, until - datetime.timedelta(minutes=1))
