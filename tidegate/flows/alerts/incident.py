"""Incidents: everything that goes wrong with one experiment, or one subject, in a row is one incident and one mail.

    Quiet -> Open -> Closed (the next run succeeded) -> Open ...

An open incident waits a moment for more of the same before its first mail; what comes later is counted and named in at most
one mail an interval. After a quiet time the next failure is a new incident. What fails while people want to hear nothing is kept,
in pages among the evidence once it is much, and named when that time is over.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from typing import assert_never, override

from tidegate.flows.alerts import mailing
from tidegate.flows.alerts.alert_policy import AlertPolicy
from tidegate.flows.alerts.notices import MAX_NAMES, Alert, Notice, NoticeKind, Pages, line_of, page_name
from tidegate.flows.base import After, Decision, Explanation, Flow, Listing, Tell
from tidegate.flows.reminders import Remind, Reminded

NAME = "incident"
REMEMBERED = 256
"""Alerts that are recognised when they come twice: only a worker that died tells one twice, and then soon."""


# Events -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Raised:
    """Something went wrong."""

    alert: Alert


@dataclasses.dataclass(frozen=True, slots=True)
class Recovered:
    """It went well again."""

    name: str
    """The run that succeeded."""
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Muted:
    """A person wants no mail about it for a while."""

    until: datetime.datetime
    who: str
    at: datetime.datetime


type Event = Raised | Recovered | Muted | Reminded
type Command = Tell[mailing.Noticed] | mailing.KeepPage | After[Remind]


# States -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing ever went wrong."""


@dataclasses.dataclass(frozen=True, slots=True)
class Open:
    """It goes wrong."""

    key: str
    alert: Alert
    """The latest."""
    since: datetime.datetime
    attempt: int
    """Number of the reminder that is awaited."""
    count: int = 1
    unnamed: tuple[str, ...] = ()
    """What no notice has named yet."""
    known: tuple[str, ...] = ()
    """Ids of the last alerts."""
    is_waiting: bool = False
    """Whether a reminder is on its way."""
    mailed: bool = False
    """Whether a mail about it is on its way or was sent."""
    muted_until: datetime.datetime | None = None
    pages: Pages | None = None
    """What left the record while it was muted."""
    recovered: Recovered | None = None
    """The success that ended it while it was muted: told when that time is over, with all that nobody heard of."""


@dataclasses.dataclass(frozen=True, slots=True)
class Closed:
    """It went well again."""

    key: str
    since: datetime.datetime
    attempt: int
    known: tuple[str, ...]


type State = Quiet | Open | Closed
type Step = Decision[State, Command]


def key(subject: str) -> str:
    """The record of a subject's incidents; hashed, because a subject is foreign text of any length."""
    return f"{NAME}:{hashlib.sha256(subject.casefold().encode()).hexdigest()[:32]}"


@dataclasses.dataclass(frozen=True, slots=True)
class Incidents(Flow[State, Event, Command]):
    """The flow, under one policy."""

    policy: AlertPolicy
    name = NAME

    @override
    def initial(self) -> State:
        return Quiet()

    @override
    def decide(self, state: State, event: Event, /) -> Step:
        match event:
            case Raised(alert):
                return self._raised(state, alert)
            case Recovered():
                return self._recovered(state, event)
            case Muted(until=until):
                if not isinstance(state, Open) or (state.muted_until is not None and state.muted_until >= until):
                    return Decision(state)
                return Decision(dataclasses.replace(state, muted_until=until))
            case Reminded():
                return self._reminded(state, event)
            case _:
                assert_never(event)

    def _raised(self, state: State, alert: Alert) -> Step:
        match state:
            case Open(known=known) | Closed(known=known) if alert.id in known:
                return Decision(state)
            case Quiet():
                return self._open(alert, 1, (), ())
            case Closed():
                return self._open(alert, state.attempt + 1, state.known, ())
            case Open() if self._is_over(state, alert.at):
                rest = self._noticed(state, alert.at) if state.unnamed else ()
                return self._open(alert, state.attempt + 1, state.known, rest)
            case Open():
                return self._again(state, alert)
            case _:
                assert_never(state)

    def _is_over(self, state: Open, at: datetime.datetime) -> bool:
        return (at - state.alert.at).total_seconds() > self.policy.window and not _is_muted(state, at)

    def _open(self, alert: Alert, attempt: int, known: tuple[str, ...], before: tuple[Command, ...]) -> Step:
        after = Open(
            key=key(alert.subject),
            alert=alert,
            since=alert.at,
            attempt=attempt,
            unnamed=(alert.name,),
            known=(*known, alert.id)[-REMEMBERED:],
            is_waiting=True,
        )
        return Decision(after, (*before, After(self.policy.wait, Remind(attempt))))

    def _again(self, state: Open, alert: Alert) -> Step:
        newest = alert if alert.at >= state.alert.at else state.alert
        after = dataclasses.replace(
            state,
            alert=newest,
            count=state.count + 1,
            unnamed=(*state.unnamed, alert.name),
            known=(*state.known, alert.id)[-REMEMBERED:],
            recovered=state.recovered if state.recovered and state.recovered.at > alert.at else None,
        )
        if len(after.unnamed) >= MAX_NAMES:
            if _is_muted(after, alert.at):
                return self._paged(after, alert.at)
            return Decision(_named(after), self._noticed(after, alert.at))
        if after.is_waiting:
            return Decision(after)
        waiting = dataclasses.replace(after, is_waiting=True, attempt=after.attempt + 1)
        return Decision(waiting, (After(self.policy.repeat, Remind(waiting.attempt)),))

    def _paged(self, state: Open, at: datetime.datetime) -> Step:
        """Put the names out of the record; a reminder is on its way, and its notice says where they are."""
        # The number of the failure is in the name: no two incidents of a record have it with the same reminder.
        pages = state.pages or Pages(f"alerts/{state.key.replace(':', '-')}/{state.attempt}-{state.count}", 1, 0)
        pages = dataclasses.replace(pages, last=pages.last + 1)
        page = mailing.KeepPage(page_name(pages.folder, pages.last), (line_of(self._notice(state, at)),))
        return Decision(dataclasses.replace(state, unnamed=(), pages=pages), (page,))

    def _reminded(self, state: State, event: Reminded) -> Step:
        if not isinstance(state, Open) or event.attempt != state.attempt or not state.is_waiting:
            return Decision(state)
        until = state.muted_until
        if until is not None and until > event.at:
            again = dataclasses.replace(state, attempt=state.attempt + 1)
            return Decision(again, (After(int((until - event.at).total_seconds()) + 1, Remind(again.attempt)),))
        if state.recovered is not None:
            return self._closed(state, state.recovered)
        rested = dataclasses.replace(_named(state), is_waiting=False)
        return Decision(rested, self._noticed(state, event.at) if state.unnamed or state.pages else ())

    def _recovered(self, state: State, event: Recovered) -> Step:
        """A success older than the last failure says nothing: events come in any order."""
        if not isinstance(state, Open) or event.at <= state.alert.at:
            return Decision(state)
        if not _is_muted(state, event.at):
            return self._closed(state, event)
        if state.unnamed or state.pages:
            return Decision(dataclasses.replace(state, recovered=state.recovered or event))
        return Decision(Closed(state.key, state.since, state.attempt, state.known))

    def _closed(self, state: Open, by: Recovered) -> Step:
        closed = Closed(state.key, state.since, state.attempt, state.known)
        return Decision(closed, self._noticed(state, by.at, "recovered", by.name))

    def _noticed(
        self, state: Open, at: datetime.datetime, kind: NoticeKind | None = None, by: str = ""
    ) -> tuple[Tell[mailing.Noticed], ...]:
        notice = self._notice(state, at, kind, by)
        return (Tell(mailing.key(notice.alert.route), mailing.Noticed(notice)),)

    def _notice(self, state: Open, at: datetime.datetime, kind: NoticeKind | None = None, by: str = "") -> Notice:
        alert = state.alert
        if by:
            alert = dataclasses.replace(alert, facts=(("Succeeded", by), *alert.facts))
        return Notice(
            id=f"{state.key}/{state.attempt}/{state.count}/{kind or ''}",
            kind=kind or ("again" if state.mailed else "failed"),
            incident=state.key,
            alert=alert,
            names=state.unnamed,
            count=state.count,
            since=state.since,
            at=at,
            pages=state.pages,
        )

    @override
    def explain(self, event: Event, after: State, /) -> Explanation | None:
        match event:
            case Raised(alert):
                return Explanation("tidegate", alert.title)
            case Recovered(name=name):
                return Explanation("tidegate", f"{name} succeeded")
            case Muted(until=until, who=who):
                return Explanation(who, f"muted until {until:%Y-%m-%d %H:%M} UTC")
            case Reminded():
                return None
            case _:
                assert_never(event)

    @override
    def listing(self, state: object, /) -> Listing | None:
        return None


def _named(state: Open) -> Open:
    return dataclasses.replace(state, unnamed=(), pages=None, mailed=True)


def _is_muted(state: Open, at: datetime.datetime) -> bool:
    return state.muted_until is not None and state.muted_until > at
