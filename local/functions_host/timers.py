"""Timer functions: schedules, and a listener that never overlaps itself and notices a run that was missed."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import logging
import pathlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from croniter import croniter
from croniter.croniter import CroniterBadCronError

from local.functions_host.executor import Call
from local.functions_host.messages import Json, Outcome
from local.functions_host.settings import SettingsError, parse_timespan

_log = logging.getLogger("Host.Timers")
_LONGEST_SLEEP_S = 60
"""The wall clock may be set meanwhile, so a long wait is made of short ones."""


class Schedule(Protocol):
    def after(self, moment: datetime.datetime) -> datetime.datetime:
        """The first run strictly after `moment`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cron:
    """NCRONTAB: seconds first; every field must match, day of month and day of week too."""

    expression: str

    def after(self, moment: datetime.datetime) -> datetime.datetime:
        found: datetime.datetime = croniter(
            self.expression, moment, ret_type=datetime.datetime, second_at_beginning=True, day_or=False
        ).get_next()
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    seconds: float

    def after(self, moment: datetime.datetime) -> datetime.datetime:
        return moment + datetime.timedelta(seconds=self.seconds)


def parse_schedule(text: str) -> Schedule:
    """Six-field NCRONTAB, five-field cron (at second 0), or a TimeSpan such as 00:00:30."""
    if len(text.split()) == 1:
        return Interval(parse_timespan(text))
    expression = f"0 {text}" if len(text.split()) == 5 else text
    try:
        croniter(expression, second_at_beginning=True)
    except (CroniterBadCronError, ValueError) as error:
        raise SettingsError(f"{text!r} is not a six-field NCRONTAB expression: {error}") from error
    return Cron(expression)


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """When a timer ran last and runs next; kept in a file where the timer is monitored."""

    last: datetime.datetime | None
    next: datetime.datetime
    updated: datetime.datetime

    def to_json(self) -> str:
        last = self.last.isoformat() if self.last else "0001-01-01T00:00:00"
        return json.dumps({"Last": last, "Next": self.next.isoformat(), "LastUpdated": self.updated.isoformat()})


class StatusFile:
    """`<function>.json` in a folder: written whole, or not at all."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def read(self) -> Status | None:
        """What was kept; None at the first start, and when the file is no status."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            last, following, updated = (
                datetime.datetime.fromisoformat(document[k]) for k in ("Last", "Next", "LastUpdated")
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Status(last if last.year > 1 else None, following, updated)

    def write(self, status: Status) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(status.to_json(), encoding="utf-8")
        partial.replace(self._path)


class TimerListener:
    """Runs one timer function at its times, one run after the other."""

    def __init__(
        self,
        name: str,
        schedule: Schedule,
        run: Callable[[Call], Awaitable[Outcome]],
        *,
        run_on_startup: bool,
        status: StatusFile | None,
        now: Callable[[], datetime.datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`status` None: not monitored, so a missed run is not noticed. `now` is aware, in the time zone of the schedule."""
        self._name = name
        self._schedule = schedule
        self._run = run
        self._run_on_startup = run_on_startup
        self._status = status if status and _is_monitored(schedule, now()) else None
        self._now = now
        self._sleep = sleep

    async def listen(self) -> None:
        """Run until cancelled; a function that runs then is not cancelled."""
        kept = self._status.read() if self._status else None
        last = kept.last if kept else None
        past_due = kept is not None and kept.next <= self._now()
        if past_due:
            _log.info("Timer %s is past due.", self._name)
        if past_due or self._run_on_startup:
            last = await self._fire(last, self._schedule.after(self._now()), past_due=past_due)
        following = self._schedule.after(self._now())
        self._keep(last, following)
        while True:
            while (wait := (following - self._now()).total_seconds()) > 0:
                await self._sleep(min(wait, _LONGEST_SLEEP_S))
            last = await self._fire(last, following, past_due=False)
            following = self._schedule.after(max(self._now(), following))
            self._keep(last, following)

    async def _fire(
        self, last: datetime.datetime | None, following: datetime.datetime, *, past_due: bool
    ) -> datetime.datetime:
        began = self._now()
        status = Status(last, following, last or began).to_json()
        data = {"IsPastDue": past_due, "ScheduleStatus": json.loads(status), "Schedule": {"AdjustForDST": True}}
        call = Call(Json(json.dumps(data)), f"Timer fired at {began.isoformat()}")
        await asyncio.shield(asyncio.ensure_future(self._run(call)))
        return began

    def _keep(self, last: datetime.datetime | None, following: datetime.datetime) -> None:
        if self._status:
            self._status.write(Status(last, following, self._now()))


def _is_monitored(schedule: Schedule, moment: datetime.datetime) -> bool:
    """More than one run a minute is never monitored."""
    first = schedule.after(moment)
    return schedule.after(first) - first >= datetime.timedelta(minutes=1)
