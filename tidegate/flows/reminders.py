"""A flow's message to itself: nothing is asked of anybody, time passes."""

from __future__ import annotations

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Remind:
    """Come back to the record; inside After, later."""

    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class Reminded:
    """The time has come."""

    attempt: int
    at: datetime.datetime
