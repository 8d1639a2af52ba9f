"""Answers while traffic moves: a division is asked for and read back, watched, judged, and the next one follows."""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import CommandErrored, CommandRefused, Decision
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import rollout_ends as ends
from tidegate.flows.endpoints import rollout_moves as moves
from tidegate.flows.endpoints import rollout_news as news
from tidegate.flows.endpoints.endpoint_states import Leaving, PausedRollout, Rollout, ShiftingTraffic, WatchingTraffic
from tidegate.flows.endpoints.rollout_analysis import Fine, Inconclusive, Judgement, Worse, judge, without_ours
from tidegate.flows.endpoints.rollout_messages import (
    Answer,
    EndpointBusy,
    EndpointFound,
    EndpointLost,
    TrafficAsked,
    TrafficRead,
)
from tidegate.flows.endpoints.rollout_moves import Step
from tidegate.flows.endpoints.rollout_timing import (
    REPAIRS,
    SHIFT_ASKS,
    SHIFT_DEADLINE,
    SILENCE,
    look_again,
    seconds,
    soak_look,
)
from tidegate.flows.models.model_facts import Weights
from tidegate.flows.reminders import Reminded

_CONTENDED = "somebody else divides the traffic of the endpoint"

# Asking for a division -----------------------------------------------------------------------------------------------


def shifted(state: ShiftingTraffic, event: Answer) -> Step:
    match event:
        case TrafficAsked(at=at) if not state.taken:
            return _taken(state, at)
        case EndpointBusy(check=check, at=at) if state.taken and check == state.checks + 1:
            if seconds(state.since, at) > SHIFT_DEADLINE:
                return _trouble(state, f"the traffic is still being moved after {SHIFT_DEADLINE} s", at)
            return moves.read_back(state, check + 1, at)
        case EndpointFound(weights=weights, at=at) if state.taken:
            return _read_back(state, weights, at)
        case EndpointLost(reason=reason, at=at) if state.taken:
            return _lost(state, reason, at)
        case CommandRefused() | CommandErrored():
            return _refused(state, event)
        case _:
            return Decision(state)


def _refused(state: ShiftingTraffic, event: CommandRefused | CommandErrored) -> Step:
    """Why it was refused is seen by a look: the endpoint may be gone, which is no fault of the candidate's."""
    reason = f"the traffic could not be moved: {event.reason}"
    is_silent, is_left = isinstance(event, CommandErrored), isinstance(state.course, Rollout) and state.course.leaving
    if is_silent or is_left or state.taken:
        return _trouble(state, reason, event.at, is_silent=is_silent)
    after = dataclasses.replace(state, attempt=state.attempt + 1, refused=reason)
    return moves.read_back(after, 1, event.at)


def _taken(state: ShiftingTraffic, at: datetime.datetime) -> Step:
    course = state.course
    if isinstance(course, Rollout) and course.leaving:
        return ends.leave(state.book, course, course.leaving, state.attempt, at)
    return moves.read_back(state, 1, at)


def _read_back(state: ShiftingTraffic, found: Weights, at: datetime.datetime) -> Step:
    book, course, attempt = state.book, state.course, state.attempt
    if not books.is_same(found, state.wanted):
        if state.refused:
            return _trouble(state, state.refused, at)
        if state.asks < SHIFT_ASKS:
            return moves.shift_again(state, at)
        return _trouble(state, f"{_CONTENDED}: {books.shown(found)}, not {books.shown(state.wanted)}", at)
    if not isinstance(course, Rollout):
        return ends.returned(book, course, attempt, at)
    if course.is_last and (book.champion is None or course.wish.stage.soak <= 0) and book.hold is None:
        return ends.complete(book, course, attempt, at)
    return moves.watch(book, course, attempt + 1, at)


def _lost(state: ShiftingTraffic, reason: str, at: datetime.datetime) -> Step:
    """The endpoint is gone, and all of its deployments with it."""
    book, course, attempt = state.book, state.course, state.attempt
    why = f"the endpoint was lost: {reason}"
    if isinstance(course, Rollout):
        return ends.anew(book, course, why, attempt, at)
    if course.to is None:
        return ends.returned(book, course, attempt, at)
    if course.repairs >= REPAIRS:
        return ends.cannot(book, course, why, attempt, at)
    made = dataclasses.replace(course, repairs=course.repairs + 1, made=True)
    return moves.prepare(book, made, attempt + 1, at)


def _trouble(state: ShiftingTraffic, reason: str, at: datetime.datetime, *, is_silent: bool = False) -> Step:
    """A rollout is taken back. On the way back the version may be gone after all, and is then made again, a few times."""
    book, course, attempt = state.book, state.course, state.attempt
    if isinstance(course, Rollout):
        return ends.leave(book, course, course.leaving or Leaving("errored", reason), attempt, at)
    if is_silent:
        return ends.stuck(book, course, reason, attempt, at)
    if course.to is not None and not course.made and course.repairs < REPAIRS:
        again = dataclasses.replace(course, repairs=course.repairs + 1)
        return ends.way_back(book, again, attempt, at)
    return ends.cannot(book, course, reason, attempt, at)


# Watching it ---------------------------------------------------------------------------------------------------------


def watched(state: WatchingTraffic, event: Answer) -> Step:
    if state.reading:
        return _figures(state, event)
    match event:
        case EndpointFound(weights=weights, at=at):
            return _looked(state, weights, at)
        case EndpointBusy(at=at):
            return _judged(state, Inconclusive("the endpoint is being changed"), at, is_busy=True)
        case EndpointLost(reason=reason, at=at):
            why = f"the endpoint was lost: {reason}"
            return ends.anew(state.book, state.course, why, state.attempt, at)
        case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at):
            return _left(state, Leaving("errored", f"the endpoint: {reason}"), at)
        case _:
            return Decision(state)


def _looked(state: WatchingTraffic, found: Weights, at: datetime.datetime) -> Step:
    """Figures are worth something only if traffic was divided as asked (invariant C8)."""
    book, course, attempt = state.book, state.course, state.attempt
    wanted = moves.share(book, course)
    if books.is_same(found, wanted):
        return moves.read_figures(state)
    if course.repairs >= REPAIRS:
        return _left(state, Leaving("errored", f"{_CONTENDED}: {books.shown(found)}"), at)
    if book.hold is not None:
        return moves.hold_still(book, course, attempt + 1, f"held; {books.shown(found)}")
    again = dataclasses.replace(course, repairs=course.repairs + 1)
    return moves.shift(book, again, attempt + 1, at, wanted)


def _figures(state: WatchingTraffic, event: Answer) -> Step:
    match event:
        case TrafficRead(at=at):
            verdict = judge(state.course.wish.stage.analysis, without_ours(event, state.asked))
            return _judged(dataclasses.replace(state, asked=state.asked + event.asked), verdict, at)
        case CommandRefused(reason=reason, at=at):
            return _judged(state, Inconclusive(f"the figures could not be read: {reason}"), at)
        case Reminded(at=at):
            return _unread(state, at)
        case CommandErrored(reason=reason, at=at):
            return _left(state, Leaving("errored", f"the figures could not be read: {reason}"), at)
        case _:
            return Decision(state)


def _unread(state: WatchingTraffic, at: datetime.datetime) -> Step:
    """No figures came: the endpoint may be gone, which the next look shows. A soak does not wait for them for ever."""
    soak = state.course.wish.stage.soak
    if state.course.is_last and seconds(state.since, at) <= soak + SHIFT_DEADLINE:
        return moves.look_at_step(state, 0)
    return _judged(state, Inconclusive(f"the figures could not be read within {SILENCE} s"), at)


def _judged(state: WatchingTraffic, verdict: Judgement, at: datetime.datetime, *, is_busy: bool = False) -> Step:
    if state.course.is_last:
        return _soaked(state, verdict, at, is_busy)
    if state.book.hold is not None:
        return moves.hold_still(state.book, state.course, state.attempt + 1, f"held; {_said(verdict)}")
    match verdict:
        case Worse(reason):
            return _left(state, Leaving("rolled-back", reason), at)
        case Fine():
            return moves.next_step(state.book, state.course, state.attempt + 1, at)
        case Inconclusive(reason):
            return _unsaid(state, reason, at)


def _unsaid(state: WatchingTraffic, reason: str, at: datetime.datetime) -> Step:
    """Nothing can be said: look again while the gate has patience, then ask people."""
    book, course, rules = state.book, state.course, state.course.wish.stage.analysis
    if seconds(state.since, at) < rules.window + rules.patience:
        return moves.look_at_step(state, look_again(rules.window))
    step = moves.pause(book, course, state.attempt + 1, reason)
    asked = news.of_rollout("RolloutPaused", book, course, reason, state.attempt, at)
    return Decision(step.state, (asked, *step.commands))


def _soaked(state: WatchingTraffic, verdict: Judgement, at: datetime.datetime, is_busy: bool) -> Step:
    """The old deployment is still warm: what turns out worse goes back to it at once."""
    book, course, soak = state.book, state.course, state.course.wish.stage.soak
    took = seconds(state.since, at)
    if book.hold is not None and took >= soak:
        return moves.hold_still(book, course, state.attempt + 1, f"held; {_said(verdict)}")
    if book.hold is not None:
        return moves.look_at_step(state, soak_look(soak, state.since, at))
    match verdict:
        case Worse(reason) if book.champion is not None:
            return _left(state, Leaving("rolled-back", reason), at)
        case _ if is_busy and took > soak + SHIFT_DEADLINE:
            return _left(state, Leaving("errored", "the endpoint does not stop being changed"), at)
        case _ if took >= soak and not is_busy:
            return ends.complete(book, course, state.attempt, at)
        case _:
            return moves.look_at_step(state, soak_look(soak, state.since, at))


def _left(state: WatchingTraffic, leaving: Leaving, at: datetime.datetime) -> Step:
    return ends.leave(state.book, state.course, leaving, state.attempt, at)


def _said(verdict: Judgement) -> str:
    match verdict:
        case Fine():
            return "as good as the champion"
        case Worse(reason) | Inconclusive(reason):
            return reason


# Paused --------------------------------------------------------------------------------------------------------------


def expired(state: PausedRollout, event: Answer) -> Step:
    """Nobody released the pause in time: the rollout is taken back, unless the endpoint is held."""
    if not isinstance(event, Reminded) or state.held:
        return Decision(state)
    if state.book.hold is not None:
        return moves.hold_still(state.book, state.course, state.attempt + 1, f"held; {state.reason}")
    reason = f"{state.reason}; nobody released it within {state.course.wish.stage.analysis.expires} s"
    return ends.leave(state.book, state.course, Leaving("rolled-back", reason), state.attempt, event.at)


def resumed(state: PausedRollout, at: datetime.datetime) -> Step:
    """Released. After a pause a person has decided that it is good enough; after a hold it is looked at once more."""
    book, course, attempt = state.book, state.course, state.attempt + 1
    if not course.is_live or not state.held:
        return moves.next_step(book, course, attempt, at)
    return moves.watch(book, course, attempt, at)
