"""What deliveries and people may ask of an endpoint, and what that means in each of its states."""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import Decision, Tell
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import rollout_ends as ends
from tidegate.flows.endpoints import rollout_news as news
from tidegate.flows.endpoints.endpoint_states import (
    CreatingDeployment,
    EndpointBook,
    Known,
    Leaving,
    Outcome,
    PausedRollout,
    RemovingDeployments,
    Retreat,
    Rollout,
    SettledEndpoint,
    ShiftingTraffic,
    State,
    UnknownEndpoint,
    WayBack,
    Wish,
    course_of,
)
from tidegate.flows.endpoints.rollout_messages import (
    ChampionAsked,
    ChampionTold,
    Command,
    HoldRequested,
    ReleaseRequested,
    Request,
    RollbackRequested,
    RolloutWanted,
    VersionRejected,
)
from tidegate.flows.endpoints.rollout_moves import Step
from tidegate.flows.endpoints.rollout_traffic import resumed
from tidegate.flows.models.deployment_name import deployment_name
from tidegate.flows.models.model_facts import Candidate
from tidegate.flows.models.model_gate import Target


def asked(state: State, event: Request) -> Step:
    match event:
        case RolloutWanted():
            return _wanted(state, event)
        case VersionRejected():
            return _rejected(state, event)
        case RollbackRequested():
            return _rollback(state, event)
        case HoldRequested():
            return _hold(state, event)
        case ReleaseRequested():
            return _release(state, event)
        case ChampionAsked(delivery=delivery, attempt=attempt, at=at):
            return Decision(state, (Tell(delivery, ChampionTold(attempt, champion(state), at)),))


def champion(state: State) -> Candidate | None:
    """Who serves, or will again once the way back is gone."""
    if isinstance(state, UnknownEndpoint):
        return None
    course = course_of(state)
    if isinstance(course, WayBack):
        return course.to.candidate if course.to else None
    return state.book.champion.candidate if state.book.champion else None


def _known(state: State, target: Target) -> Known:
    return SettledEndpoint(EndpointBook(target), 0) if isinstance(state, UnknownEndpoint) else state


def _noted[K: Known](state: K, book: EndpointBook) -> K:
    return dataclasses.replace(state, book=book)


# Wishes --------------------------------------------------------------------------------------------------------------


def _wanted(state: State, event: RolloutWanted) -> Step:
    """The candidate begins, waits, or is told at once why not."""
    wish = Wish(event.stage, event.candidate, event.delivery, event.at)
    known = _known(state, event.stage.target)
    if books.mark(wish) in known.book.heard:
        return Decision(state)
    known = _noted(known, books.heard(known.book, wish))
    rolling = _rolling(known)
    if rolling is not None and books.same_parts(rolling, wish.candidate):
        return Decision(known)  # it will be answered by its end
    answer = _answer(known, wish.candidate)
    if answer is not None:
        return Decision(known, (news.told(wish, *answer, None, event.at),))
    return _accepted(known, wish)


def _accepted(state: Known, wish: Wish) -> Step:
    """It waits for its turn, in the place of an older one, and begins if it is its turn now."""
    book, before = state.book, state.book.waiting
    commands: tuple[Command, ...] = ()
    if before is not None and before.delivery != wish.delivery:
        commands = (news.told(before, "superseded", f"{wish.candidate.name} is newer", None, wish.at),)
    after = books.replaced(book, waiting=wish)
    if not isinstance(state, SettledEndpoint) or book.hold is not None:
        return Decision(_noted(state, after), commands)
    return ends.settle(after, state.attempt, wish.at, commands)


def _answer(state: Known, candidate: Candidate) -> tuple[Outcome, str] | None:
    """Why the candidate will not be rolled out; None: it may be."""
    if candidate.name in state.book.blocked:
        return "rejected", f"{candidate.name} was rejected"
    others = (champion(state), _rolling(state))
    for other in others:
        if other is not None and _deployment(other) == _deployment(candidate):
            return _same_version(candidate, other)
    waiting = state.book.waiting.candidate if state.book.waiting else None
    newer = next((each for each in (*others, waiting) if books.is_older(candidate, each)), None)
    return ("superseded", f"{newer.name} is newer") if newer else None


def _same_version(candidate: Candidate, other: Candidate) -> tuple[Outcome, str]:
    if books.same_parts(candidate, other):
        return "serving", f"{candidate.name} serves already"
    reason = f"{candidate.name} is here already, made of other parts (model, image, script or environment)"
    return "failed", f"{reason}; register a new version"


def _rolling(state: State) -> Candidate | None:
    course = course_of(state)
    return course.wish.candidate if isinstance(course, Rollout) else None


def _deployment(candidate: Candidate) -> str:
    return deployment_name(candidate.model.name, candidate.model.version)


# Rejections ----------------------------------------------------------------------------------------------------------


def _rejected(state: State, event: VersionRejected) -> Step:
    """It will not serve here again; where it does, or is about to, it goes."""
    known = _known(state, event.target)
    if event.candidate in known.book.blocked:
        return Decision(state)
    book, forgotten = books.blocked(known.book, event.candidate)
    commands: tuple[Command, ...] = ()
    if forgotten:
        reason = f"{books.BLOCKED} versions are rejected here; {forgotten} is no longer remembered as one of them"
        commands = (news.of_endpoint(book, reason, forgotten, event.at),)
    waiting = book.waiting
    reason = f"rejected by {event.who}: {event.why}"
    if waiting is not None and waiting.candidate.name == event.candidate:
        book = books.replaced(book, waiting=None)
        commands = (*commands, news.told(waiting, "rejected", reason, None, event.at))
    step = _driven_out(_noted(known, book), event.candidate, reason, event.at)
    return Decision(step.state, (*commands, *step.commands))


def _driven_out(state: Known, candidate: str, reason: str, at: datetime.datetime) -> Step:
    course = course_of(state)
    book = state.book
    serves = book.champion is not None and book.champion.candidate.name == candidate
    match course:
        case Rollout(wish=wish) if wish.candidate.name == candidate:
            return abort(state, Leaving("rejected", reason), at)
        case Rollout() if serves:
            return abort(state, Leaving("rejected", reason, again=True), at)
        case None if serves:
            return _retreat(state, Retreat("rejected", reason), at)
        case _:  # on the way back: judged when it has been gone
            return Decision(state)


def _retreat(state: Known, retreat: Retreat, at: datetime.datetime) -> Step:
    """The champion goes; where something is being deleted, after that."""
    book = books.replaced(state.book, retreat=retreat)
    if isinstance(state, SettledEndpoint):
        return ends.settle(book, state.attempt, at)
    return Decision(_noted(state, book))


def abort(state: Known, leaving: Leaving, at: datetime.datetime) -> Step:
    """Give the rollout up: at once, or when the service has answered the change that is under way.

    One change at a time: a command that is still tried could otherwise be carried out after the one that undoes it.
    """
    course = course_of(state)
    if not isinstance(course, Rollout) or isinstance(state, SettledEndpoint | RemovingDeployments):
        return Decision(state)
    if course.leaving is not None and not course.leaving.again:
        return Decision(state)
    match state:
        case CreatingDeployment(started=False) | ShiftingTraffic(taken=False):
            return Decision(dataclasses.replace(state, course=dataclasses.replace(course, leaving=leaving)))
        case _:
            return ends.leave(state.book, course, leaving, state.attempt, at)


# Rollback, hold, release ---------------------------------------------------------------------------------------------


def rollback_target(state: State) -> Candidate | None:
    """Who would serve if a rollback were asked for now; None: it would change nothing."""
    if isinstance(state, UnknownEndpoint) or (state.book.hold is not None and state.book.hold.rollback):
        return None
    course = course_of(state)
    if course is None and state.book.champion is not None and state.book.retreat is None:
        to = books.last_good(state.book)
        return to.candidate if to else None
    return champion(state) if course is not None else None


def _rollback(state: State, event: RollbackRequested) -> Step:
    """Back to the last good version, and held. Asked again before it is released, nothing changes (invariant C7)."""
    if isinstance(state, UnknownEndpoint) or rollback_target(state) is None or _is_late(state.book, event.at):
        return Decision(state)
    book = books.held(state.book, event.who, event.why, event.at, rollback=True)
    held = _noted(state, books.replaced(book, returned=event.at))
    reason = f"rolled back by {event.who}: {event.why}"
    if isinstance(held, SettledEndpoint | RemovingDeployments):
        return _retreat(held, Retreat("rolled-back", reason), event.at)
    return abort(held, Leaving("rolled-back", reason), event.at)


def _hold(state: State, event: HoldRequested) -> Step:
    known = _known(state, event.target)
    if known.book.hold is not None or _is_late(known.book, event.at):
        return Decision(state)
    return Decision(_noted(known, books.held(known.book, event.who, event.why, event.at)))


def _release(state: State, event: ReleaseRequested) -> Step:
    """What waited begins, what was paused goes on."""
    if isinstance(state, UnknownEndpoint) or _is_late(state.book, event.at):
        return Decision(state)
    hold = state.book.hold
    if (hold is None and not isinstance(state, PausedRollout)) or (hold is not None and event.at < hold.at):
        return Decision(state)
    book = books.released(state.book, event.at)
    match state:
        case PausedRollout():
            return resumed(_noted(state, book), event.at)
        case SettledEndpoint() if book.waiting is not None:
            return ends.settle(book, state.attempt, event.at)
        case _:
            return Decision(_noted(state, book))


def _is_late(book: EndpointBook, at: datetime.datetime) -> bool:
    """Whether a release or a rollback that was asked for later, or this very one, has been heard."""
    return any(known is not None and at <= known for known in (book.released, book.returned))
