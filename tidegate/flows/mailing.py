"""One way that mails go: one mail at a time, no more than the policy allows, and what has to wait becomes a digest.

Half of the allowed mails may go at once, one after the other; the rest are spread over the time, so that the first failures
of a storm are mailed singly and the others follow as digests, instead of all waiting for the end of the hour.

What waits is bounded: a full page is put among the evidence, and the digest reads it from there.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import assert_never, override

from tidegate.flows.alert_policy import AlertPolicy
from tidegate.flows.alerts import MAX_NAMES, Notice
from tidegate.flows.base import (
    After,
    CommandErrored,
    CommandRefused,
    Decision,
    Explanation,
    Flow,
    Listing,
    Publish,
)
from tidegate.flows.reminders import Remind, Reminded

NAME = "mailing"
REMEMBERED = 256
"""Notices that are recognised when they come twice."""
PAGES_A_MAIL = 4
"""Pages of a digest; with what waits besides, at most 1,000 names, 100 kB: more than that, mail programs cut off."""


# Messages -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Noticed:
    """There is something to say."""

    notice: Notice


@dataclasses.dataclass(frozen=True, slots=True)
class MailSent:
    """The workflow took the mail."""

    attempt: int
    at: datetime.datetime


type Event = Noticed | MailSent | Reminded | CommandRefused | CommandErrored


@dataclasses.dataclass(frozen=True, slots=True)
class SendMail:
    """Say it: one notice by a mail of its own, several as a digest."""

    route: str
    notices: tuple[Notice, ...]
    pages: tuple[str, ...]
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class KeepPage:
    """Put notices that wait for a digest among the evidence."""

    name: str
    notices: tuple[Notice, ...]


type Command = SendMail | KeepPage | After[Remind] | Publish


# States -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Mailbox:
    """What was said lately, what is being said, and what waits."""

    route: str = ""
    attempt: int = 0
    """Number of the last mail or reminder."""
    sent: tuple[datetime.datetime, ...] = ()
    """When the last mails went out: as many as are allowed at all."""
    sending: SendMail | None = None
    waiting: tuple[Notice, ...] = ()
    pages: tuple[str, ...] = ()
    """Names of kept pages that no mail has taken up yet."""
    kept: int = 0
    """Number of the last page."""
    is_waiting: bool = False
    """Whether a reminder is on its way."""
    known: tuple[str, ...] = ()


type Step = Decision[Mailbox, Command]


def key(route: str) -> str:
    """The record of a way."""
    return f"{NAME}:{route}"


@dataclasses.dataclass(frozen=True, slots=True)
class Mailing(Flow):
    """The flow, under one policy."""

    policy: AlertPolicy
    name = NAME

    @override
    def initial(self) -> Mailbox:
        return Mailbox()

    @override
    def decide(self, state: Mailbox, event: Event, /) -> Step:  # type: ignore[override]  # each flow takes its own states
        match event:
            case Noticed(notice) if notice.id in state.known:
                return Decision(state)
            case Noticed(notice):
                return self._noticed(state, notice)
            case _ if event.attempt != state.attempt:
                return Decision(state)
            case Reminded(at=at) if state.is_waiting:
                return self._next(dataclasses.replace(state, is_waiting=False), at)
            case MailSent(at=at) if state.sending:
                sent = (*state.sent, at)[-self.policy.mails :]
                return self._next(dataclasses.replace(state, sending=None, sent=sent), at)
            case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at) if state.sending:
                lost = _undelivered(state, state.sending, reason, at)
                step = self._next(dataclasses.replace(state, sending=None), at)
                return Decision(step.state, (lost, *step.commands))
            case Reminded() | MailSent() | CommandRefused() | CommandErrored():
                return Decision(state)
            case _:
                assert_never(event)

    def _noticed(self, state: Mailbox, notice: Notice) -> Step:
        after = dataclasses.replace(
            state,
            route=notice.alert.route,
            waiting=(*map(_brief, state.waiting), _brief(notice) if state.waiting else notice),
            known=(*state.known, notice.id)[-REMEMBERED:],
        )
        paged = _page(after)
        if paged.state.sending is not None or paged.state.is_waiting:
            return paged
        step = self._next(paged.state, notice.at)
        return Decision(step.state, (*paged.commands, *step.commands))

    def _next(self, state: Mailbox, at: datetime.datetime) -> Step:
        """The next mail now, or a reminder for when it is allowed."""
        if not state.waiting and not state.pages:
            return Decision(state)
        attempt = state.attempt + 1
        wait = self._wait(state, at)
        if wait > 0:
            return Decision(
                dataclasses.replace(state, attempt=attempt, is_waiting=True), (After(wait, Remind(attempt)),)
            )
        pages, rest = state.pages[:PAGES_A_MAIL], state.pages[PAGES_A_MAIL:]
        mail = SendMail(state.route, () if rest else state.waiting, pages, attempt)
        waiting = state.waiting if rest else ()
        after = dataclasses.replace(state, attempt=attempt, sending=mail, waiting=waiting, pages=rest)
        return Decision(after, (mail,))

    def _wait(self, state: Mailbox, at: datetime.datetime) -> int:
        """Whole seconds until another mail is allowed."""
        policy = self.policy
        recent = [moment for moment in state.sent if (at - moment).total_seconds() < policy.within]
        if not recent:
            return 0
        at_once = max(policy.mails // 2, 1)
        if len(recent) < at_once:
            return 0
        spacing = policy.within / max(policy.mails - at_once, 1)
        allowed = recent[-1] + datetime.timedelta(seconds=spacing)
        if len(recent) >= policy.mails:
            allowed = max(allowed, recent[-policy.mails] + datetime.timedelta(seconds=policy.within))
        seconds = (allowed - at).total_seconds()
        return int(seconds) + 1 if seconds > 0 else 0

    @override
    def explain(self, event: Event, after: object, /) -> Explanation | None:  # type: ignore[override]  # each flow takes its own events
        match event:
            case Noticed(notice):
                return Explanation("tidegate", notice.alert.title)
            case MailSent(attempt=attempt):
                return Explanation("tidegate", f"mail {attempt}")
            case CommandRefused(reason=reason) | CommandErrored(reason=reason):
                return Explanation("tidegate", reason)
            case Reminded():
                return None
            case _:
                assert_never(event)

    @override
    def listing(self, state: object, /) -> Listing | None:
        return None


def _page(state: Mailbox) -> Step:
    """Once the notices that wait name more than a page, they leave the record."""
    if sum(len(notice.names) for notice in state.waiting) < MAX_NAMES:
        return Decision(state)
    kept = state.kept + 1
    name = f"alerts/{state.route}/{kept:08d}.json"
    after = dataclasses.replace(state, kept=kept, waiting=(), pages=(*state.pages, name))
    return Decision(after, (KeepPage(name, tuple(map(_brief, state.waiting))),))


def _brief(notice: Notice) -> Notice:
    """The notice as an entry of a digest: without the details that would make the record large."""
    if not notice.alert.log and not notice.alert.facts:
        return notice
    return dataclasses.replace(notice, alert=dataclasses.replace(notice.alert, log="", facts=()))


def _undelivered(state: Mailbox, mail: SendMail, reason: str, at: datetime.datetime) -> Publish:
    """The second way to hear of it, when mail itself is what does not work."""
    names = tuple(name for notice in mail.notices for name in notice.names)
    data: tuple[tuple[str, str | int | bool | tuple[str, ...]], ...] = (
        ("route", state.route),
        ("reason", reason),
        ("names", names[:MAX_NAMES]),
        ("pages", mail.pages),
    )
    return Publish("Tidegate.AlertUndelivered", state.route, at, data, f"{key(state.route)}/{mail.attempt}/undelivered")
