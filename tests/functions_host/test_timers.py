"""Schedules, and the timer listener on a clock of its own."""

from __future__ import annotations

import asyncio
import datetime
import json
import pathlib

import pytest

from local.functions_host.executor import Call
from local.functions_host.messages import Json, Outcome, Succeeded
from local.functions_host.settings import SettingsError
from local.functions_host.timers import Interval, Schedule, Status, StatusFile, TimerListener, parse_schedule
from tests.functions_host.fakes import Clock

UTC = datetime.UTC
START = datetime.datetime(2026, 11, 25, 18, 0, 30, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("0 */5 * * * *", "2026-11-25T18:05:00"),
        ("30 0 18 * * *", "2026-11-26T18:00:30"),
        ("*/10 * * * * *", "2026-11-25T18:00:40"),
        ("0 0 9 * * MON", "2026-11-30T09:00:00"),
        ("0 0 9 25 * 1", "2027-01-25T09:00:00"),  # day of month AND day of week
        ("*/5 * * * *", "2026-11-25T18:05:00"),  # five fields: at second 0
        ("00:00:45", "2026-11-25T18:01:15"),
        ("24:00:00", "2026-12-19T18:00:30"),
    ],
)
def test_a_schedule_gives_its_next_run(text: str, following: str) -> None:
    assert parse_schedule(text).after(START).replace(tzinfo=None).isoformat() == following


@pytest.mark.parametrize("text", ["* * *", "0 61 * * * *", "nonsense", "0 0 0 0 0 0 0"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_schedule(text)


class Timer:
    """A listener on a fake clock, stopped after some runs; each run takes `takes_s`."""

    def __init__(
        self, schedule: Schedule, status: StatusFile | None = None, *, on_startup: bool = False, takes_s: float = 0
    ) -> None:
        self.clock = Clock(START)
        self.runs: list[tuple[str, bool]] = []
        self._left = 0
        self._takes_s = takes_s
        self._listener = TimerListener(
            "tick",
            schedule,
            self._run,
            run_on_startup=on_startup,
            status=status,
            now=self.clock.now,
            sleep=self._sleep,
        )

    def run(self, sleeps: int) -> list[tuple[str, bool]]:
        """Listen until it has slept so often; times of the runs and whether they were past due."""
        self._left = sleeps
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(self._listener.listen())
        return self.runs

    async def _run(self, call: Call) -> Outcome:
        assert isinstance(call.data, Json)
        data = json.loads(call.data.value)
        self.runs.append((f"{self.clock.now():%H:%M:%S}", data["IsPastDue"]))
        self.clock.move(self._takes_s)
        return Succeeded()

    async def _sleep(self, seconds: float) -> None:
        if self._left == 0:
            raise asyncio.CancelledError
        self._left -= 1
        await self.clock.sleep(seconds)


def test_a_timer_runs_at_its_times() -> None:
    assert Timer(parse_schedule("*/20 * * * * *")).run(3) == [
        ("18:00:40", False),
        ("18:01:00", False),
        ("18:01:20", False),
    ]


def test_a_run_that_takes_longer_than_the_interval_is_not_overlapped() -> None:
    assert Timer(Interval(10), takes_s=25).run(2) == [("18:00:40", False), ("18:01:15", False)]


def test_a_long_wait_is_made_of_short_ones_because_the_clock_may_be_set() -> None:
    timer = Timer(parse_schedule("0 3 18 * * *"))
    assert timer.run(3) == [("18:03:00", False)]
    assert timer.clock.slept == [60, 60, 30]


def test_run_on_startup_runs_at_once() -> None:
    assert Timer(parse_schedule("0 0 * * * *"), on_startup=True).run(0) == [("18:00:30", False)]


def kept(folder: pathlib.Path, following: datetime.datetime) -> StatusFile:
    file = StatusFile(folder / "tick.json")
    file.write(Status(None, following, START))
    return file


def test_a_run_missed_while_the_host_was_down_is_made_up_for_once(tmp_path: pathlib.Path) -> None:
    file = kept(tmp_path, START - datetime.timedelta(hours=5))
    assert Timer(parse_schedule("0 0 * * * *"), file).run(60) == [("18:00:30", True), ("19:00:00", False)]


def test_a_run_that_is_still_to_come_is_not_past_due(tmp_path: pathlib.Path) -> None:
    file = kept(tmp_path, START + datetime.timedelta(minutes=5))
    assert Timer(parse_schedule("0 0 * * * *"), file).run(0) == []


def test_the_status_is_kept_after_each_run(tmp_path: pathlib.Path) -> None:
    file = StatusFile(tmp_path / "timers/tick.json")
    Timer(parse_schedule("0 0 * * * *"), file).run(60)
    nineteen, twenty = (datetime.datetime(2026, 11, 25, hour, tzinfo=UTC) for hour in (19, 20))
    assert file.read() == Status(nineteen, twenty, nineteen)


def test_more_than_one_run_a_minute_is_not_monitored(tmp_path: pathlib.Path) -> None:
    file = kept(tmp_path, START - datetime.timedelta(hours=5))
    assert Timer(Interval(30), file).run(1) == [("18:01:00", False)]


def test_a_status_file_that_is_no_status_is_like_none(tmp_path: pathlib.Path) -> None:
    (tmp_path / "tick.json").write_text('{"Last": 3}')
    assert StatusFile(tmp_path / "tick.json").read() is None
