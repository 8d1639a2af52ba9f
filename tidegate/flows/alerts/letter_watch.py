"""Watches for what Event Grid gave up on: each dead letter that it wrote is told to people once.

Event Grid writes its dead letters beside ours and tells nobody. A timer makes the one record of this flow look for blobs behind
the last one it saw, in the order they were written; what is told and how far it looked are one write.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import assert_never, override

from tidegate.flows.alerts import outcome_alerts
from tidegate.flows.alerts.alert_policy import AlertPolicy
from tidegate.flows.base import CommandErrored, CommandRefused, Decision, Explanation, Flow, Listing, Publish, Tell

NAME = "letter-watch"
KEY = f"{NAME}:dead-letters"
FIRST_LOOK = datetime.timedelta(days=1)
"""How far back the first look goes: an installation does not begin with old news."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A place among the blobs, in the order they were written."""

    written: datetime.datetime
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Letter:
    """A blob of Event Grid's with one event or several."""

    name: str
    id: str
    """Of its first event, as dead letters are listed."""
    events: int
    reason: str
    written: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Letters:
    """What was written after a place, oldest first."""

    letters: tuple[Letter, ...]
    mark: Mark
    """The last blob that was looked at."""
    more: bool
    """Whether there are more behind it."""


@dataclasses.dataclass(frozen=True, slots=True)
class LookDue:
    """The timer says that it is time to look."""

    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class LettersFound:
    """What a look found."""

    attempt: int
    found: Letters
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class LookForLetters:
    """Look for what was written after a place."""

    after: Mark
    attempt: int


type Event = LookDue | LettersFound | CommandRefused | CommandErrored
type Command = LookForLetters | Tell[object]


@dataclasses.dataclass(frozen=True, slots=True)
class Watching:
    """How far it looked."""

    mark: Mark | None = None
    attempt: int = 0
    is_looking: bool = False


type Step = Decision[Watching, Command]


@dataclasses.dataclass(frozen=True, slots=True)
class LetterWatch(Flow[Watching, Event, Command]):
    """The flow, under one policy."""

    policy: AlertPolicy
    name = NAME

    @override
    def initial(self) -> Watching:
        return Watching()

    @override
    def decide(self, state: Watching, event: Event, /) -> Step:
        match event:
            case LookDue() if state.is_looking:
                return Decision(state)
            case LookDue(at):
                return _look(state, state.mark or Mark(at - FIRST_LOOK, ""))
            case _ if event.attempt != state.attempt or not state.is_looking:
                return Decision(state)
            case LettersFound(found=found):
                told = tuple(tell for letter in found.letters if (tell := self._tell(letter)))
                step = _look(state, found.mark) if found.more else Decision(_resting(state, found.mark))
                return Decision(step.state, (*told, *step.commands))
            case CommandRefused() | CommandErrored():  # the next look begins where this one did
                return Decision(_resting(state, state.mark))
            case _:
                assert_never(event)

    def _tell(self, letter: Letter) -> Tell[object] | None:
        data = (
            ("subscription", letter.name.partition("/")[0]),
            ("reason", letter.reason),
            ("id", letter.id),
            ("events", str(letter.events)),
        )
        news = Publish("Tidegate.EventUndelivered", letter.name, letter.written, data, f"letters/{letter.name}")
        return outcome_alerts.alert_of(news, self.policy)

    @override
    def explain(self, event: Event, after: Watching, /) -> Explanation | None:
        match event:
            case LettersFound(found=found) if found.letters:
                return Explanation("tidegate", f"{len(found.letters)} dead letters of Event Grid")
            case CommandRefused(reason=reason) | CommandErrored(reason=reason):
                return Explanation("tidegate", reason)
            case LettersFound() | LookDue():
                return None
            case _:
                assert_never(event)

    @override
    def listing(self, state: object, /) -> Listing | None:
        return None


def _look(state: Watching, after: Mark) -> Step:
    looking = Watching(after, state.attempt + 1, is_looking=True)
    return Decision(looking, (LookForLetters(after, looking.attempt),))


def _resting(state: Watching, mark: Mark | None) -> Watching:
    return dataclasses.replace(state, mark=mark, is_looking=False)
