"""What every flow is made of: a pure decision, and commands that may wait or tell another flow."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, Protocol

type Pairs = tuple[tuple[str, str], ...]
"""A mapping as sorted pairs, so that what holds it is a value."""


@dataclasses.dataclass(frozen=True, slots=True)
class Decision[S, C]:
    """The state after an event, and what to do about it. The same state and no commands: the event changed nothing."""

    state: S
    commands: tuple[C, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class After[C]:
    """Carry the command out no earlier than this many seconds from now. Waiting costs nothing: it is a message that sleeps."""

    seconds: float
    command: C


@dataclasses.dataclass(frozen=True, slots=True)
class Tell[E]:
    """Deliver an event to another record: flows meet only by events. Twice: the second changes nothing."""

    key: str
    event: E


@dataclasses.dataclass(frozen=True, slots=True)
class Publish:
    """Tell other systems what came out of it. Never holds the flow up."""

    type: str
    subject: str
    at: datetime.datetime
    data: tuple[tuple[str, str | int | bool | tuple[str, ...]], ...]
    id: str
    """The same for the same outcome, however often it is published."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A push or a request by hand: what made the work begin or join."""

    id: str
    """The event's id, or the request's."""
    who: str
    why: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class CommandRefused:
    """The answer to a command was no, and will be no again."""

    attempt: int
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class CommandErrored:
    """There was no answer to a command for as long as it was worth asking."""

    attempt: int
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """Who made an event, why, and where the evidence is; for the audit row of the transition it causes."""

    who: str
    why: str = ""
    evidence: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """How a state shows in lists; empty fields where it has none."""

    state: str
    repository: str
    tags: tuple[str, ...]
    digest: str
    reason: str


class Flow[S, E, C](Protocol):
    """One state machine: its states, the events it hears, its commands. Pure: time, ids and randomness come in with the event."""

    name: str
    """Also the first word of its records' keys."""

    def initial(self) -> S:
        """The state of a record nobody has heard of."""

    def decide(self, state: S, event: E, /) -> Decision[S, C]:
        """What an event means in a state. An event that answers an earlier attempt, or comes twice, changes nothing."""

    def explain(self, event: E, after: S, /) -> Explanation | None:
        """Who and why an event led to a state, for the audit; None: a look that found nothing new, which is no transition."""

    def listing(self, state: S, /) -> Listing | None:
        """How the record is listed; None: it is not."""


def flow_name(key: str) -> str:
    """Which flow a record belongs to."""
    return key.partition(":")[0]


def run_poll_delay(check: int) -> float:
    """Seconds until the n-th look (from 1) at a run of a test: often in the first second, then every half minute.

    Azure names no interval for runs; its own command line looks every 30 s.
    """
    return _delay((0.3, 0.3, 0.3, 0.3, 1, 1, 1, 2, 3, 5, 8, 13, 20), check)


def import_poll_delay(check: int) -> float:
    """Seconds until the n-th look (from 1) at an import: soon, for small images, then ever less often.

    Azure names no interval for imports; the one that was recorded took 11 s (azure-cli, test_acr_image_import).
    """
    return _delay((0, 0.1, 0.2, 0.4, 0.4, 1, 1, 2, 3, 5, 8, 13, 20), check)


def _delay(first: tuple[float, ...], check: int) -> float:
    return first[check - 1] if check <= len(first) else 30


type AnyFlow = Flow[Any, Any, Any]
"""A flow among others, whose records and messages are its own affair."""
