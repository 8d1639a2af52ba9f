"""Answers while a deployment is brought up: the endpoint, the deployment, its smoke test, and whether it fits its place."""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import CommandErrored, CommandRefused, Decision
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import rollout_ends as ends
from tidegate.flows.endpoints import rollout_moves as moves
from tidegate.flows.endpoints.endpoint_states import (
    CreatingDeployment,
    Outcome,
    PreparingEndpoint,
    Rollout,
    SmokeTesting,
)
from tidegate.flows.endpoints.rollout_analysis import unfit
from tidegate.flows.endpoints.rollout_messages import (
    Answer,
    DeploymentBusy,
    DeploymentFailed,
    DeploymentReady,
    DeploymentStarted,
    EndpointBusy,
    EndpointFound,
    EndpointLost,
    SmokeFailed,
    SmokePassed,
)
from tidegate.flows.endpoints.rollout_moves import Step
from tidegate.flows.endpoints.rollout_timing import (
    AGAIN,
    DEPLOYMENT_DEADLINE,
    ENDPOINT_DEADLINE,
    ENDPOINT_TRIES,
    REPAIRS,
    SILENCE,
    SMOKE_TRIES,
    seconds,
)
from tidegate.flows.models.model_facts import Measured, Weights
from tidegate.flows.reminders import Reminded

_PARENT_GONE = ("ResourceNotFound", "ParentResourceNotFound", "EndpointNotFound", "404")
"""Codes of a refused deployment whose endpoint is gone (Azure Resource Manager; how-to-troubleshoot-online-endpoints)."""

type _Deploying = PreparingEndpoint | CreatingDeployment | SmokeTesting


# The endpoint --------------------------------------------------------------------------------------------------------


def prepared(state: PreparingEndpoint, event: Answer) -> Step:
    match event:
        case EndpointFound(weights=weights, at=at):
            return _found(state, weights, at)
        case EndpointBusy(check=check, at=at) if check == state.checks + 1:
            if check > 1 and seconds(state.since, at) > ENDPOINT_DEADLINE:
                return _ended(state, "failed", f"the endpoint is still being made after {ENDPOINT_DEADLINE} s", at)
            return moves.prepare_again(state, check, at)
        case EndpointLost(reason=reason, at=at):
            if state.tries < ENDPOINT_TRIES:
                return moves.prepare(state.book, state.course, state.attempt + 1, at, state.tries + 1)
            return _ended(state, "failed", f"the endpoint: {reason}", at)
        case CommandRefused() | CommandErrored():
            return _unanswered(state, "the endpoint", event)
        case _:
            return Decision(state)


def _found(state: PreparingEndpoint, weights: Weights, at: datetime.datetime) -> Step:
    """A rollout begins only where the champion, and nobody else, serves: that is what it will be compared with."""
    book, course = state.book, state.course
    if isinstance(course, Rollout):
        if book.champion is None and any(name != course.deployment for name, percent in weights.live if percent):
            reason = f"the endpoint is served by others: {books.shown(weights)}; free it, or give the stage its own"
            return _ended(state, "failed", reason, at)
        if book.champion is not None and not books.is_same(weights, books.serving(book.champion)):
            reason = f"the endpoint was found changed: {books.shown(weights)}"
            return ends.anew(book, course, reason, state.attempt, at)
    return moves.create(book, course, state.attempt + 1, at)


# The deployment ------------------------------------------------------------------------------------------------------


def created(state: CreatingDeployment, event: Answer) -> Step:
    match event:
        case DeploymentStarted(at=at) if not state.started:
            return _started(state, at)
        case DeploymentBusy(check=check, at=at) if state.started and check == state.checks + 1:
            if check > 1 and seconds(state.since, at) > DEPLOYMENT_DEADLINE:
                return _ended(state, "failed", f"the deployment is not ready after {DEPLOYMENT_DEADLINE} s", at)
            return moves.look(state, check + 1, at)
        case DeploymentReady() if state.started:
            return _ready(state, event.at)
        case DeploymentFailed(code=code, reason=reason, at=at):
            return _failed(state, code, reason, at)
        case CommandRefused() | CommandErrored():
            return _unanswered(state, "the deployment", event)
        case _:
            return Decision(state)


def _started(state: CreatingDeployment, at: datetime.datetime) -> Step:
    course = state.course
    if isinstance(course, Rollout) and course.leaving:
        return ends.leave(state.book, course, course.leaving, state.attempt, at)
    return moves.look(state, 1, at)


def _ready(state: CreatingDeployment, at: datetime.datetime) -> Step:
    book, course = state.book, state.course
    if isinstance(course, Rollout) or course.made:
        return moves.smoke(book, course, state.attempt + 1)
    return moves.shift(book, course, state.attempt + 1, at, books.serving(course.to))


def _failed(state: CreatingDeployment, code: str, reason: str, at: datetime.datetime) -> Step:
    """What is not there is made, with its endpoint; what the service refuses or cannot run is not."""
    course = state.course
    if isinstance(course, Rollout) and course.leaving:
        return ends.leave(state.book, course, course.leaving, state.attempt, at)
    is_gone = (state.started and not code) or code in _PARENT_GONE
    may_be_made = is_gone or (state.started and not isinstance(course, Rollout) and not course.made)
    if not may_be_made or course.repairs >= REPAIRS:
        return _ended(state, "failed", f"{code}: {reason}" if code else reason, at)
    if isinstance(course, Rollout):
        again = dataclasses.replace(course, repairs=course.repairs + 1)
        return moves.prepare(state.book, again, state.attempt + 1, at)
    made = dataclasses.replace(course, repairs=course.repairs + 1, made=True)
    return moves.prepare(state.book, made, state.attempt + 1, at)


# Its smoke test and its place ----------------------------------------------------------------------------------------


def smoked(state: SmokeTesting, event: Answer) -> Step:
    match event:
        case SmokePassed(measured=measured, at=at):
            return _passed(state, measured, at)
        case SmokeFailed(reason=reason, at=at):
            return _not_passed(state, reason, at)
        case Reminded(at=at):
            return _not_passed(state, f"no answer within {SILENCE} s", at)
        case CommandRefused() | CommandErrored():
            return _unanswered(state, "smoke test", event)
        case _:
            return Decision(state)


def _passed(state: SmokeTesting, measured: Measured, at: datetime.datetime) -> Step:
    book, course, attempt = state.book, state.course, state.attempt
    if not isinstance(course, Rollout):
        return moves.shift(book, course, attempt + 1, at, books.serving(course.to))
    known = dataclasses.replace(course, measured=measured)
    stage = course.wish.stage
    reasons = unfit(stage.fit, stage.instance, course.wish.candidate.size, measured)
    if reasons:
        return ends.fail(book, known, "failed", "; ".join(reasons), attempt, at)
    if book.hold is not None:
        return moves.hold_still(book, known, attempt + 1, "held before it got any traffic")
    return moves.next_step(book, known, attempt + 1, at)


def _not_passed(state: SmokeTesting, reason: str, at: datetime.datetime) -> Step:
    """Once more, if it is still there: a cold container may answer late, and one that is gone is made again."""
    course = state.course
    if course.smokes + 1 >= SMOKE_TRIES:
        return _ended(state, "failed", f"smoke test: {reason}", at)
    again = dataclasses.replace(course, smokes=course.smokes + 1)
    return moves.locate(state.book, again, state.attempt + 1, at, AGAIN)


def _unanswered(state: _Deploying, what: str, event: CommandRefused | CommandErrored) -> Step:
    outcome: Outcome = "errored" if isinstance(event, CommandErrored) else "failed"
    return _ended(state, outcome, f"{what}: {event.reason}", event.at)


def _ended(state: _Deploying, outcome: Outcome, reason: str, at: datetime.datetime) -> Step:
    """It will not be brought up."""
    course = state.course
    if isinstance(course, Rollout):
        if course.leaving:
            return ends.leave(state.book, course, course.leaving, state.attempt, at)
        return ends.fail(state.book, course, outcome, reason, state.attempt, at)
    if outcome == "errored":  # no answer: another version would get none either
        return ends.stuck(state.book, course, reason, state.attempt, at)
    return ends.cannot(state.book, course, reason, state.attempt, at)
