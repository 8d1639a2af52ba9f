"""One way that mails go: one mail at a time, no more than the policy allows, and what has to wait becomes a digest.

Half of the allowed mails may go at once: a notice alone without delay, a digest no sooner than a moment after the mail before
it, so that it gathers what fails meanwhile. The rest are spread over the time. So the first failures of a storm are mailed
singly and the others follow as digests, instead of all waiting for the end of the hour.

What waits is bounded: it waits as the lines that the digest will have, a full page of them is put among the evidence, and the
digest reads it from there. A mail that nobody takes is put where dead letters are, and can be let out again from there.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import assert_never, override

from tidegate.flows.alerts.alert_policy import AlertPolicy
from tidegate.flows.alerts.notices import MAX_NAMES, Line, Notice, Pages, line_of, page_name
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
    what: tuple[Notice | Line, ...]
    """A notice alone, or lines."""
    pages: tuple[str, ...]
    """Names of pages with more lines."""
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class KeepPage:
    """Put lines that wait for a digest among the evidence."""

    name: str
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class KeepMail:
    """Put a mail that nobody took where dead letters are."""

    mail: SendMail
    reason: str


type Command = SendMail | KeepPage | KeepMail | After[Remind] | Publish


# States -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """The mails that nobody took since the last one that went out."""

    since: datetime.datetime
    mails: int
    reason: str
    """Of the last one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mailbox:
    """What was said lately, what is being said, and what waits."""

    route: str = ""
    attempt: int = 0
    """Number of the last mail or reminder."""
    sent: tuple[datetime.datetime, ...] = ()
    """When the last mails went out: as many as are allowed at all."""
    sending: SendMail | None = None
    waiting: tuple[Notice | Line, ...] = ()
    """A notice alone is kept whole: it will be a mail of its own."""
    pages: tuple[Pages, ...] = ()
    """Kept pages that no mail has taken up yet."""
    kept: int = 0
    """Number of the last page."""
    is_waiting: bool = False
    """Whether a reminder is on its way."""
    known: tuple[str, ...] = ()
    lost: Lost | None = None


type Step = Decision[Mailbox, Command]


def key(route: str) -> str:
    """The record of a way."""
    return f"{NAME}:{route}"


@dataclasses.dataclass(frozen=True, slots=True)
class Mailing(Flow[Mailbox, Event, Command]):
    """The flow, under one policy."""

    policy: AlertPolicy
    name = NAME

    @override
    def initial(self) -> Mailbox:
        return Mailbox()

    @override
    def decide(self, state: Mailbox, event: Event, /) -> Step:
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
                return self._next(dataclasses.replace(state, sending=None, sent=sent, lost=None), at)
            case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at) if state.sending:
                before = state.lost or Lost(at, 0, reason)
                lost = dataclasses.replace(before, mails=before.mails + 1, reason=reason)
                told = (KeepMail(state.sending, reason), _undelivered(state, state.sending, reason, at))
                step = self._next(dataclasses.replace(state, sending=None, lost=lost), at)
                return Decision(step.state, (*told, *step.commands))
            case Reminded() | MailSent() | CommandRefused() | CommandErrored():
                return Decision(state)
            case _:
                assert_never(event)

    def _noticed(self, state: Mailbox, notice: Notice) -> Step:
        after = dataclasses.replace(
            state,
            route=notice.alert.route,
            waiting=(*map(_brief, state.waiting), _brief(notice)) if state.waiting else (notice,),
            pages=_with(state.pages, notice.pages),
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
        pages, rest = _taken(state.pages)
        mail = SendMail(state.route, () if rest else state.waiting, pages, attempt)
        waiting = state.waiting if rest else ()
        after = dataclasses.replace(state, attempt=attempt, sending=mail, waiting=waiting, pages=rest)
        return Decision(after, (mail,))

    def _wait(self, state: Mailbox, at: datetime.datetime) -> int:
        """Whole seconds until another mail is allowed.

        `at` may lie before now: it is when something happened that may have been heard of late. No mail lies after now.
        """
        policy = self.policy
        at = max((at, *state.sent[-1:]))
        recent = [moment for moment in state.sent if (at - moment).total_seconds() < policy.within]
        if not recent:
            return 0
        at_once = max(policy.mails // 2, 1)
        spacing = policy.within / max(policy.mails - at_once, 1)
        if len(recent) < at_once:
            spacing = 0 if len(state.waiting) == 1 and not state.pages else min(policy.wait, spacing)
        allowed = recent[-1] + datetime.timedelta(seconds=spacing)
        if len(recent) >= policy.mails:
            allowed = max(allowed, recent[-policy.mails] + datetime.timedelta(seconds=policy.within))
        seconds = (allowed - at).total_seconds()
        return int(seconds) + 1 if seconds > 0 else 0

    @override
    def explain(self, event: Event, after: Mailbox, /) -> Explanation | None:
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
    folder = f"alerts/{state.route}"
    after = dataclasses.replace(state, kept=kept, waiting=(), pages=_with(state.pages, Pages(folder, kept, kept)))
    return Decision(after, (KeepPage(page_name(folder, kept), tuple(map(_brief, state.waiting))),))


def _brief(each: Notice | Line) -> Line:
    return line_of(each) if isinstance(each, Notice) else each


def _with(pages: tuple[Pages, ...], more: Pages | None) -> tuple[Pages, ...]:
    """One after the other; pages that follow each other in one folder are told as one run of them."""
    if more is None:
        return pages
    if pages and (pages[-1].folder, pages[-1].last + 1) == (more.folder, more.first):
        return (*pages[:-1], dataclasses.replace(pages[-1], last=more.last))
    return (*pages, more)


def _taken(pages: tuple[Pages, ...]) -> tuple[tuple[str, ...], tuple[Pages, ...]]:
    """Names of as many pages as a mail takes up, and the pages that are left."""
    names: tuple[str, ...] = ()
    for place, each in enumerate(pages):
        end = min(each.last, each.first + PAGES_A_MAIL - len(names) - 1)
        names += dataclasses.replace(each, last=end).names
        if end < each.last:
            return names, (dataclasses.replace(each, first=end + 1), *pages[place + 1 :])
    return names, ()


def _undelivered(state: Mailbox, mail: SendMail, reason: str, at: datetime.datetime) -> Publish:
    """The second way to hear of it, when mail itself is what does not work."""
    names = tuple(name for each in mail.what for name in each.names)
    data: tuple[tuple[str, str | int | bool | tuple[str, ...]], ...] = (
        ("route", state.route),
        ("reason", reason),
        ("names", names[:MAX_NAMES]),
        ("pages", mail.pages),
    )
    return Publish("Tidegate.AlertUndelivered", state.route, at, data, f"{key(state.route)}/{mail.attempt}/undelivered")
