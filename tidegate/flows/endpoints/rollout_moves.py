"""How an endpoint's flow enters each of its phases: the state, and the one question that is asked then.

An attempt number is never used twice in a record, so an answer that comes late, or twice, is recognised by it.
"""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import After, Decision
from tidegate.flows.endpoints.endpoint_book import divided, planned, replaced
from tidegate.flows.endpoints.endpoint_states import (
    Course,
    CreatingDeployment,
    EndpointBook,
    PausedRollout,
    PreparingEndpoint,
    RemovingDeployments,
    Rollout,
    Served,
    SettledEndpoint,
    ShiftingTraffic,
    SmokeTesting,
    State,
    WatchingTraffic,
)
from tidegate.flows.endpoints.rollout_messages import (
    CheckDeployment,
    CheckEndpoint,
    Command,
    CreateDeployment,
    Effect,
    EnsureEndpoint,
    ReadTraffic,
    RemoveDeployment,
    ShiftTraffic,
    SmokeTest,
)
from tidegate.flows.endpoints.rollout_timing import AGAIN, LOOKS, SILENCE, poll_delay, soak_look
from tidegate.flows.models.model_facts import Candidate, Weights
from tidegate.flows.models.model_gate import Instance
from tidegate.flows.reminders import Remind

type Step = Decision[State, Command]

type _Parts = tuple[str, Candidate, Instance]


def subject(course: Course) -> _Parts:
    """The deployment that a course brings up: its name, what it is made of, what it runs on."""
    match course:
        case Rollout(wish=wish, deployment=deployment):
            return deployment, wish.candidate, wish.stage.instance
        case _:
            return _parts(course.to)


def _parts(to: Served | None) -> _Parts:
    if to is None:
        raise TypeError("the way to nobody brings nothing up")
    return to.deployment, to.candidate, to.stage.instance


def later(seconds: float, command: Effect) -> Command:
    """In this many seconds; at once if there are none."""
    return After(seconds, command) if seconds > 0 else command


# Bringing a deployment up --------------------------------------------------------------------------------------------


def prepare(book: EndpointBook, course: Course, attempt: int, at: datetime.datetime, tries: int = 1) -> Step:
    """Have the endpoint there."""
    state = PreparingEndpoint(book, course, attempt, at, tries=tries)
    return Decision(state, (later(0 if tries == 1 else AGAIN, EnsureEndpoint(book.target, attempt)),))


def prepare_again(state: PreparingEndpoint, check: int, at: datetime.datetime) -> Step:
    """The n-th look has found it being made; look once more. Time counts from the first look: a request may come late."""
    ask = EnsureEndpoint(state.book.target, state.attempt, check + 1)
    after = dataclasses.replace(state, checks=check, since=at if check == 1 else state.since)
    return Decision(after, (later(poll_delay(check + 1), ask),))


def create(book: EndpointBook, course: Course, attempt: int, at: datetime.datetime) -> Step:
    """Have the deployment made."""
    name, candidate, instance = subject(course)
    ask = CreateDeployment(book.target, name, candidate, instance, attempt)
    return Decision(CreatingDeployment(book, course, attempt, at), (ask,))


def locate(book: EndpointBook, course: Course, attempt: int, at: datetime.datetime, wait: float = 0) -> Step:
    """See whether a deployment that should be there is."""
    state = CreatingDeployment(book, course, attempt, at, started=True)
    return Decision(state, (later(wait, _check(state, 1)),))


def look(state: CreatingDeployment, check: int, at: datetime.datetime) -> Step:
    """Look at the deployment for the n-th time; time counts from the first answer."""
    after = dataclasses.replace(state, started=True, checks=check - 1, since=at if check <= 2 else state.since)
    return Decision(after, (later(poll_delay(check), _check(after, check)),))


def _check(state: CreatingDeployment, check: int) -> CheckDeployment:
    return CheckDeployment(state.book.target, subject(state.course)[0], state.attempt, check)


def smoke(book: EndpointBook, course: Course, attempt: int) -> Step:
    """Have the deployment answer the model's own sample requests."""
    name, candidate, instance = subject(course)
    ask = SmokeTest(book.target, name, candidate, instance, attempt)
    return Decision(SmokeTesting(book, course, attempt), (ask, After(SILENCE, Remind(attempt))))


# Traffic -------------------------------------------------------------------------------------------------------------


def shift(book: EndpointBook, course: Course, attempt: int, at: datetime.datetime, wanted: Weights) -> Step:
    """Ask for a division of the traffic."""
    state = ShiftingTraffic(book, course, attempt, wanted, at)
    return Decision(state, (ShiftTraffic(book.target, wanted, attempt),))


def shift_again(state: ShiftingTraffic, at: datetime.datetime) -> Step:
    """Somebody else's division was read back; ask for ours once more."""
    after = dataclasses.replace(state, attempt=state.attempt + 1, asks=state.asks + 1, taken=False, checks=0, since=at)
    return Decision(after, (After(AGAIN, ShiftTraffic(state.book.target, state.wanted, after.attempt)),))


def read_back(state: ShiftingTraffic, check: int, at: datetime.datetime) -> Step:
    """Look at the endpoint for the n-th time: only what a look shows is true."""
    after = dataclasses.replace(state, taken=True, checks=check - 1, since=at if check == 1 else state.since)
    return Decision(after, (later(poll_delay(check), CheckEndpoint(state.book.target, state.attempt, check)),))


def next_step(book: EndpointBook, course: Rollout, attempt: int, at: datetime.datetime) -> Step:
    """Ask for the next share of the traffic."""
    after = dataclasses.replace(course, step=course.step + 1)
    return shift(book, after, attempt, at, share(book, after))


def share(book: EndpointBook, course: Rollout) -> Weights:
    """The division that the present step asks for."""
    return divided(course.steps[course.step], book.champion, course.deployment)


def watch(book: EndpointBook, course: Rollout, attempt: int, at: datetime.datetime) -> Step:
    """The division is as wanted; see how the challenger does in it."""
    rules = course.wish.stage
    wait = soak_look(rules.soak, at, at) if course.is_last else rules.analysis.window
    state = WatchingTraffic(book, course, attempt, at)
    return Decision(state, (later(wait, CheckEndpoint(book.target, attempt, 1)),))


def look_at_step(state: WatchingTraffic, wait: float) -> Step:
    """Look at the step again later."""
    after = dataclasses.replace(state, attempt=state.attempt + 1, reading=False, looks=state.looks + 1)
    return Decision(after, (later(wait, CheckEndpoint(state.book.target, after.attempt, 1)),))


def read_figures(state: WatchingTraffic) -> Step:
    """The weights are as wanted: read how both did."""
    after = dataclasses.replace(state, attempt=state.attempt + 1, reading=True)
    course, champion = state.course, state.book.champion
    ask = ReadTraffic(
        state.book.target,
        champion.deployment if champion else "",
        course.deployment,
        course.wish.candidate,
        state.since,
        course.steps[course.step].mirror,
        after.attempt,
    )
    return Decision(after, (ask, After(SILENCE, Remind(after.attempt))))


def hold_still(book: EndpointBook, course: Rollout, attempt: int, reason: str) -> Step:
    """The endpoint is held: the rollout stays where it is until that is over."""
    return Decision(PausedRollout(book, course, attempt, reason, held=True))


def pause(book: EndpointBook, course: Rollout, attempt: int, reason: str) -> Step:
    """Nothing could be concluded: people are asked, for as long as the gate says."""
    state = PausedRollout(book, course, attempt, reason, held=False)
    return Decision(state, (After(course.wish.stage.analysis.expires, Remind(attempt)),))


# At the end ----------------------------------------------------------------------------------------------------------


def remove(book: EndpointBook, attempt: int, deployments: tuple[str, ...]) -> Step:
    """Delete the first of them."""
    state = RemovingDeployments(book, attempt, deployments)
    return Decision(state, (RemoveDeployment(book.target, deployments[0], attempt),))


def settled(book: EndpointBook, attempt: int, looks: int = 0) -> Step:
    """Nothing is under way. Where somebody serves, or something is to be gone, the endpoint is looked at now and then."""
    state = SettledEndpoint(book, attempt, looks)
    if (book.champion is None and not book.going) or looks >= len(LOOKS):
        return Decision(state)
    wait = LOOKS[looks] - (LOOKS[looks - 1] if looks else 0)
    return Decision(state, (After(wait, CheckEndpoint(book.target, attempt, 1)),))


def begun(book: EndpointBook, course: Rollout, attempt: int, at: datetime.datetime) -> Step:
    """The first question of a rollout: is the endpoint there?"""
    steps = planned(course.wish.stage, book.champion)
    return prepare(
        replaced(book, target=course.wish.stage.target), dataclasses.replace(course, steps=steps), attempt, at
    )
