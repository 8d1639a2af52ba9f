"""Who serves at an endpoint: one rollout at a time, from the champion to a challenger in steps, and back where it is worse.

One record for each endpoint. Deliveries say which version they want; the newest waits for its turn. An attempt number is never
used twice in a record, so an answer that comes late, or twice, is recognised by it; the service's state is what a look at it
shows, never the word of the request that changed it (invariant C8).

    Settled -> Preparing -> Creating -> SmokeTesting -> Shifting <-> Watching -> (all of it, soak) -> Removing -> Settled
                  |             |            |              |           |  \\-- Paused
                  +- no traffic was touched -+              +-----------+
                  |  Removing -> Settled                    |  way back: Creating (is it there?) -> Shifting -> Removing

Every state has a way out with a bound but a hold, which is for people to release.
"""

from __future__ import annotations

import datetime
from typing import override

from tidegate.flows.base import CommandErrored, CommandRefused, Decision, Explanation, Flow, Listing
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import rollout_ends as ends
from tidegate.flows.endpoints import rollout_moves as moves
from tidegate.flows.endpoints import rollout_news as news
from tidegate.flows.endpoints.endpoint_states import (
    CreatingDeployment,
    EndpointBook,
    Known,
    Moving,
    PausedRollout,
    PreparingEndpoint,
    RemovingDeployments,
    SettledEndpoint,
    ShiftingTraffic,
    SmokeTesting,
    State,
    UnknownEndpoint,
    WatchingTraffic,
    WayBack,
    course_of,
)
from tidegate.flows.endpoints.rollout_analysis import figures
from tidegate.flows.endpoints.rollout_deploying import created, prepared, smoked
from tidegate.flows.endpoints.rollout_messages import (
    Answer,
    ChampionAsked,
    Command,
    DeploymentBusy,
    DeploymentFailed,
    DeploymentGone,
    EndpointBusy,
    EndpointFound,
    EndpointLost,
    Event,
    HoldRequested,
    ReleaseRequested,
    RemovalAsked,
    Request,
    RollbackRequested,
    RolloutWanted,
    SmokeFailed,
    TrafficRead,
    VersionRejected,
)
from tidegate.flows.endpoints.rollout_moves import Step
from tidegate.flows.endpoints.rollout_requests import asked, rollback_target
from tidegate.flows.endpoints.rollout_timing import REPAIRS
from tidegate.flows.endpoints.rollout_traffic import expired, shifted, watched
from tidegate.flows.models.model_facts import Weights
from tidegate.flows.models.record_keys import ENDPOINT, endpoint_key
from tidegate.flows.reminders import Reminded

__all__ = ["NAME", "EndpointRollout", "State", "key", "rollback_target"]

NAME = ENDPOINT
key = endpoint_key

_REQUESTS = (
    RolloutWanted,
    VersionRejected,
    RollbackRequested,
    HoldRequested,
    ReleaseRequested,
    ChampionAsked,
)


class EndpointRollout(Flow[State, Event, Command]):
    """The flow."""

    name = NAME

    @override
    def initial(self) -> State:
        return UnknownEndpoint()

    @override
    def decide(self, state: State, event: Event, /) -> Step:
        if isinstance(event, _REQUESTS):
            return asked(state, event)
        if isinstance(state, UnknownEndpoint) or event.attempt != state.attempt:
            return Decision(state)  # duplicates, and answers to earlier attempts
        return _answered(state, event)

    @override
    def explain(self, event: Event, after: State, /) -> Explanation | None:
        if isinstance(event, _REQUESTS):
            return _explained_request(event)
        return None if _is_nothing_new(event, after) else Explanation(ends.US, _why(event))

    @override
    def listing(self, state: State, /) -> Listing | None:
        if isinstance(state, UnknownEndpoint):
            return None
        book = state.book
        champion = (book.champion.candidate.name,) if book.champion else ()
        return Listing(_called(state), book.target.endpoint, champion, "", _reason(state))


def _answered(state: Known, event: Answer) -> Step:
    match state:
        case SettledEndpoint():
            return _looked(state, event)
        case RemovingDeployments():
            return _removed(state, event)
        case _:
            return _under_way(state, event)


def _under_way(state: Moving, event: Answer) -> Step:
    match state:
        case PreparingEndpoint():
            return prepared(state, event)
        case CreatingDeployment():
            return created(state, event)
        case SmokeTesting():
            return smoked(state, event)
        case ShiftingTraffic():
            return shifted(state, event)
        case WatchingTraffic():
            return watched(state, event)
        case PausedRollout():
            return expired(state, event)


# Looking at a settled endpoint ---------------------------------------------------------------------------------------


def _looked(state: SettledEndpoint, event: Answer) -> Step:
    """Whoever changed the traffic since, a late worker or a person without a hold, is corrected; a few times."""
    match event:
        case EndpointFound(weights=weights, at=at) if _is_changed(state.book, weights):
            return _changed(state, f"the endpoint was found changed: {books.shown(weights)}", at)
        case EndpointLost(reason=reason, at=at) if state.book.champion is not None:
            return _changed(state, f"the endpoint was lost: {reason}", at)
        case EndpointFound(at=at) | EndpointLost(at=at) if state.book.going:
            return _cleared(state, at)
        case EndpointFound() | EndpointLost() | EndpointBusy() | CommandRefused() | CommandErrored():
            return moves.settled(state.book, state.attempt + 1, state.looks + 1)
        case _:
            return Decision(state)


def _is_changed(book: EndpointBook, weights: Weights) -> bool:
    """Whether the champion does not serve as it should. Where nobody of ours serves, what others do is their own affair."""
    return book.champion is not None and not books.is_same(weights, books.serving(book.champion))


def _changed(state: SettledEndpoint, reason: str, at: datetime.datetime) -> Step:
    book, hold = state.book, state.book.hold
    if book.repairs >= REPAIRS:
        told = news.of_endpoint(book, reason, f"{state.attempt}", at)
        return Decision(SettledEndpoint(books.replaced(book, fault=reason), state.attempt + 1, state.looks), (told,))
    if hold is not None and not hold.rollback:  # people have taken over
        return moves.settled(book, state.attempt + 1, state.looks + 1)
    return ends.restore(book, reason, state.attempt, at)


def _cleared(state: SettledEndpoint, at: datetime.datetime) -> Step:
    """What was to be deleted should be gone by now. What is still there is asked for again, a few times: it costs money."""
    champion = state.book.champion
    names = tuple(each for each in state.book.going if champion is None or each != champion.deployment)
    book = books.replaced(state.book, going=())
    if names and book.removals < REPAIRS:
        return moves.remove(books.replaced(book, removals=book.removals + 1), state.attempt + 1, names)
    if not names:
        return moves.settled(book, state.attempt + 1, state.looks + 1)
    fault = f"still there, though its deletion was asked for {REPAIRS + 1} times: {', '.join(names)}"
    told = news.of_endpoint(book, fault, f"{state.attempt}", at)
    step = moves.settled(books.replaced(book, fault=fault), state.attempt + 1, state.looks + 1)
    return Decision(step.state, (told, *step.commands))


# Deleting what nobody needs ------------------------------------------------------------------------------------------


def _removed(state: RemovingDeployments, event: Answer) -> Step:
    book, attempt = state.book, state.attempt
    match event:
        case DeploymentGone(at=at):
            return ends.clear(book, state.remove[1:], attempt, at, ())
        case RemovalAsked(at=at):
            going = tuple(dict.fromkeys((*book.going, state.remove[0])))
            return ends.clear(books.replaced(book, going=going), state.remove[1:], attempt, at, ())
        case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at):
            fault = f"{state.remove[0]} could not be deleted: {reason}"
            told = news.of_endpoint(book, fault, f"{attempt}", at)
            return ends.clear(books.replaced(book, fault=fault), state.remove[1:], attempt, at, (told,))
        case _:
            return Decision(state)


# For people ----------------------------------------------------------------------------------------------------------


def _explained_request(event: Request) -> Explanation | None:
    match event:
        case ChampionAsked():
            return None
        case RolloutWanted(candidate=candidate, stage=stage):
            return Explanation(ends.US, f"{candidate.name} is to serve (stage {stage.name})")
        case VersionRejected(candidate=name, who=who, why=why):
            return Explanation(who, f"{name}: {why}")
        case _:
            return Explanation(event.who, event.why)


def _is_nothing_new(event: Answer, after: State) -> bool:
    """A look that found what was there before."""
    match event, after:
        case EndpointBusy(attempt=attempt), PreparingEndpoint() | ShiftingTraffic():
            return after.attempt == attempt
        case DeploymentBusy(attempt=attempt), CreatingDeployment():
            return after.attempt == attempt
        case ((EndpointFound() | EndpointBusy()), WatchingTraffic(reading=True)):
            return True
        case ((EndpointBusy() | TrafficRead() | CommandRefused()), WatchingTraffic()):
            return True
        case _, SettledEndpoint(book=book, looks=looks):
            return looks > 0 and not book.fault
        case _:
            return False


def _why(event: Answer) -> str:
    match event:
        case EndpointFound(weights=weights):
            return books.shown(weights)
        case EndpointLost(reason=reason) | SmokeFailed(reason=reason):
            return reason
        case DeploymentFailed(code=code, reason=reason):
            return f"{code}: {reason}" if code else reason
        case CommandRefused(reason=reason) | CommandErrored(reason=reason):
            return reason
        case TrafficRead():
            return figures(event)
        case Reminded():
            return "the time is up"
        case _:
            return ""


def _called(state: Known) -> str:
    if isinstance(course_of(state), WayBack):
        return "RollingBack"
    match state:
        case SettledEndpoint(book=book):
            return "Held" if book.hold else "Serving" if book.champion else "Empty"
        case WatchingTraffic(course=course) if course.is_last:
            return "Soaking"
        case _:
            return type(state).__name__


def _reason(state: Known) -> str:
    course = course_of(state)
    if isinstance(course, WayBack):
        return course.reason
    if isinstance(state, PausedRollout):
        return state.reason
    if state.book.hold is not None:
        return f"held by {state.book.hold.who}: {state.book.hold.why}"
    return state.book.fault
