"""Single decisions at an endpoint that whole rollouts do not show: looks, deadlines, and what is made again how often."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.flows.endpoint_samples import (
    FLOW,
    STATES,
    TARGET,
    at,
    book,
    candidate,
    deployment,
    live,
    rollout,
    served,
    way_back,
)
from tests.flows.samples import LATER, NOW
from tidegate.flows.base import After, CommandErrored, CommandRefused, Decision, Publish, Tell
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import endpoint_states as es
from tidegate.flows.endpoints import rollout_messages as rm
from tidegate.flows.endpoints.rollout_timing import (
    DEPLOYMENT_DEADLINE,
    ENDPOINT_DEADLINE,
    LOOKS,
    REPAIRS,
    SHIFT_ASKS,
    SHIFT_DEADLINE,
    look_again,
    poll_delay,
    soak_look,
)
from tidegate.flows.models.model_facts import Traffic

SHARE = live((1, 90), (2, 10))


def decided(state: Any, *events: Any) -> Decision[Any, Any]:
    """The last of the decisions on these events."""
    step: Decision[Any, Any] = Decision(state)
    for event in events:
        step = FLOW.decide(step.state, event)
    return step


def asked(step: Decision[Any, Any]) -> list[Any]:
    return [each.command if isinstance(each, After) else each for each in step.commands]


# Looks are numbered, and time counts from the first ------------------------------------------------------------------


def test_each_look_at_an_endpoint_that_is_made_has_the_next_number() -> None:
    state = es.PreparingEndpoint(book(), rollout(), 4, NOW)
    step = decided(state, rm.EndpointBusy(4, 1, at(5)), rm.EndpointBusy(4, 2, at(6)))
    assert step.commands == (After(poll_delay(3), rm.EnsureEndpoint(TARGET, 4, 3)),)
    assert decided(step.state, rm.EndpointBusy(4, 2, at(7))) == Decision(step.state)


def test_an_endpoint_is_given_up_by_the_time_since_the_first_look_at_it() -> None:
    """The request may have come a day late: what counts is how long the service takes."""
    day = 86_400
    step = decided(es.PreparingEndpoint(book(), rollout(), 4, NOW), rm.EndpointBusy(4, 1, at(day)))
    on_time = decided(step.state, rm.EndpointBusy(4, 2, at(day + ENDPOINT_DEADLINE)))
    assert isinstance(on_time.state, es.PreparingEndpoint)
    late = decided(on_time.state, rm.EndpointBusy(4, 3, at(day + ENDPOINT_DEADLINE + 1)))
    assert isinstance(late.state, es.RemovingDeployments)


def test_a_deployment_is_given_up_by_the_time_since_the_first_look_at_it() -> None:
    day = 86_400
    step = decided(es.CreatingDeployment(book(), rollout(), 5, NOW), rm.DeploymentStarted(5, at(day)))
    step = decided(step.state, rm.DeploymentBusy(5, 1, at(day)))
    on_time = decided(step.state, rm.DeploymentBusy(5, 2, at(day + DEPLOYMENT_DEADLINE)))
    assert asked(on_time) == [rm.CheckDeployment(TARGET, deployment(2), 5, 3)]
    late = decided(on_time.state, rm.DeploymentBusy(5, 3, at(day + DEPLOYMENT_DEADLINE + 1)))
    assert isinstance(late.state, es.RemovingDeployments)


def test_a_change_of_traffic_is_given_up_by_the_time_since_it_was_taken() -> None:
    state = es.ShiftingTraffic(book(), rollout(step=1), 7, SHARE, NOW)
    step = decided(state, rm.TrafficAsked(7, at(1000)), rm.EndpointBusy(7, 1, at(1000)))
    assert step.commands == (After(poll_delay(2), rm.CheckEndpoint(TARGET, 7, 2)),)
    on_time = decided(step.state, rm.EndpointBusy(7, 2, at(1000 + SHIFT_DEADLINE)))
    assert isinstance(on_time.state, es.ShiftingTraffic)
    late = decided(on_time.state, rm.EndpointBusy(7, 3, at(1001 + SHIFT_DEADLINE)))
    assert isinstance(es.course_of(late.state), es.WayBack)


def test_a_division_is_asked_for_a_few_times_only() -> None:
    state: Any = es.ShiftingTraffic(book(), rollout(step=1), 7, SHARE, NOW, taken=True)
    for number in range(1, SHIFT_ASKS):
        step = decided(state, rm.EndpointFound(state.attempt, live((1, 100)), LATER))
        assert asked(step) == [rm.ShiftTraffic(TARGET, SHARE, 7 + number)]
        state = dataclasses.replace(step.state, taken=True)
    step = decided(state, rm.EndpointFound(state.attempt, live((1, 100)), LATER))
    assert isinstance(es.course_of(step.state), es.WayBack)


def test_looks_are_soon_at_first_and_then_ever_less_often() -> None:
    delays = [poll_delay(check) for check in range(1, 20)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0, 30)
    assert (look_again(0), look_again(60), look_again(3600)) == (5, 30, 300)


@pytest.mark.parametrize(("soak", "after", "wait"), [(1800, 0, 180), (1800, 1750, 50), (1800, 1800, 180), (20, 0, 10)])
def test_a_soak_is_looked_at_ten_times_and_at_its_end(soak: int, after: int, wait: float) -> None:
    assert soak_look(soak, NOW, at(after)) == wait


def test_a_soak_ends_with_the_look_at_its_end() -> None:
    good = rm.TrafficRead(8, None, Traffic(100, 0, 0.02), None, at(1800))
    state = es.WatchingTraffic(book(), rollout(step=3), 8, NOW, reading=True)
    assert isinstance(decided(state, good).state, es.RemovingDeployments)
    early = dataclasses.replace(good, at=at(1799))
    assert isinstance(decided(state, early).state, es.WatchingTraffic)


# What is made again --------------------------------------------------------------------------------------------------


def test_an_endpoint_that_is_lost_on_the_way_back_is_made_again_with_its_version() -> None:
    state = STATES["shifting back"]
    step = decided(state, rm.EndpointLost(7, "deleted", LATER))
    course = es.course_of(step.state)
    assert isinstance(step.state, es.PreparingEndpoint)
    assert isinstance(course, es.WayBack)
    assert (course.made, course.repairs) == (True, 1)


def test_on_the_way_back_an_endpoint_is_made_a_few_times_only() -> None:
    course = way_back(repairs=REPAIRS, made=True)
    state = es.ShiftingTraffic(book(former=(served(0),)), course, 7, live((1, 100)), NOW, taken=True)
    step = decided(state, rm.EndpointLost(7, "deleted", LATER))
    tried = es.course_of(step.state)
    assert isinstance(tried, es.WayBack)
    assert tried.to == served(0)


@pytest.mark.parametrize(("repairs", "again"), [(0, True), (REPAIRS - 1, True), (REPAIRS, False)])
def test_a_refused_way_back_is_looked_into_and_tried_again_a_few_times(repairs: int, again: bool) -> None:
    state = es.ShiftingTraffic(book(), way_back(repairs=repairs), 7, live((1, 100)), NOW)
    looked = decided(state, CommandRefused(7, "busy", LATER))
    assert asked(looked) == [rm.CheckEndpoint(TARGET, 8, 1)]
    step = decided(looked.state, rm.EndpointFound(8, SHARE, LATER))
    assert isinstance(step.state, es.CreatingDeployment if again else es.SettledEndpoint)


def test_a_way_back_without_an_answer_is_left_to_people_at_once() -> None:
    state = es.ShiftingTraffic(book(former=(served(0),)), way_back(), 7, live((1, 100)), NOW)
    step = decided(state, CommandErrored(7, "timed out", LATER))
    assert isinstance(step.state, es.SettledEndpoint)
    assert step.state.book.hold is not None
    told = [each.event for each in step.commands if isinstance(each, Tell)]
    assert [each.outcome for each in told if isinstance(each, rm.StageEnded)] == ["errored"]
    assert any(isinstance(each, Publish) and each.type == "Tidegate.DeliveryErrored" for each in step.commands)


@pytest.mark.parametrize("code", ["ParentResourceNotFound", "404"])
def test_a_deployment_refused_because_its_endpoint_is_gone_is_asked_for_with_the_endpoint(code: str) -> None:
    state = es.CreatingDeployment(book(), rollout(), 5, NOW)
    step = decided(state, rm.DeploymentFailed(5, code, "gone", LATER))
    assert asked(step) == [rm.EnsureEndpoint(TARGET, 6)]


def test_a_deployment_to_go_back_to_that_failed_is_made_again_once() -> None:
    failed = rm.DeploymentFailed(5, "PodOutOfMemory", "killed", LATER)
    there = es.CreatingDeployment(book(), way_back(), 5, NOW, started=True)
    assert asked(decided(there, failed)) == [rm.EnsureEndpoint(TARGET, 6)]
    made = es.CreatingDeployment(book(), way_back(made=True), 5, NOW, started=True)
    assert isinstance(decided(made, failed).state, es.SettledEndpoint)


def test_a_settled_endpoint_is_looked_at_three_times_in_a_day() -> None:
    state: Any = es.SettledEndpoint(book(), 3)
    waits = []
    for _ in range(len(LOOKS) - 1):
        step = decided(state, rm.EndpointFound(state.attempt, live((1, 100)), LATER))
        waits += [each.seconds for each in step.commands if isinstance(each, After)]
        assert FLOW.explain(rm.EndpointFound(state.attempt, live((1, 100)), LATER), step.state) is None
        state = step.state
    assert waits == [LOOKS[1] - LOOKS[0], LOOKS[2] - LOOKS[1]]
    assert decided(state, rm.EndpointFound(state.attempt, live((1, 100)), LATER)).commands == ()


# What is a transition for the audit ----------------------------------------------------------------------------------

NOTHING_NEW: dict[str, tuple[str, rm.Answer]] = {
    "an endpoint still being made": ("preparing", rm.EndpointBusy(4, 1, LATER)),
    "a deployment still being made": ("creating", rm.DeploymentBusy(5, 1, LATER)),
    "traffic still being moved": ("shifting", rm.EndpointBusy(7, 1, LATER)),
    "a step as it should be": ("watching", rm.EndpointFound(8, SHARE, LATER)),
    "too few answers": ("reading", rm.TrafficRead(8, None, Traffic(1, 0, 0.1), None, LATER)),
    "an endpoint that serves as before": ("serving", rm.EndpointFound(3, live((1, 100)), LATER)),
}


@pytest.mark.parametrize(("name", "event"), NOTHING_NEW.values(), ids=NOTHING_NEW.keys())
def test_a_look_that_found_nothing_new_is_no_transition(name: str, event: rm.Answer) -> None:
    step = decided(STATES[name], event)
    assert step.state != STATES[name]
    assert FLOW.explain(event, step.state) is None


NEWS: dict[str, tuple[str, rm.Answer, str]] = {
    "quota": ("creating", rm.DeploymentFailed(5, "OutOfQuota", "8 cores", LATER), "OutOfQuota: 8 cores"),
    "an endpoint that was changed": ("serving", rm.EndpointFound(3, live((2, 100)), LATER), f"{deployment(2)} 100 %"),
    "the first weights": (
        "shifting all, the first",
        rm.EndpointFound(7, live((2, 100)), LATER),
        f"{deployment(2)} 100 %",
    ),
    "a step that began": ("shifting", rm.EndpointFound(7, SHARE, LATER), f"{deployment(1)} 90 %, {deployment(2)} 10 %"),
    "a lost endpoint": ("watching", rm.EndpointLost(8, "deleted", LATER), "deleted"),
}


@pytest.mark.parametrize(("name", "event", "why"), NEWS.values(), ids=NEWS.keys())
def test_a_transition_says_why(name: str, event: rm.Answer, why: str) -> None:
    explained = FLOW.explain(event, decided(STATES[name], event).state)
    assert explained is not None
    assert (explained.who, explained.why) == ("tidegate", why)


@pytest.mark.parametrize(
    ("order", "older"), [("000001", True), ("000002", False), ("000003", False)], ids=["older", "as old", "newer"]
)
def test_versions_of_one_model_have_an_order(order: str, older: bool) -> None:
    assert books.is_older(candidate(1, order=order), candidate(2)) == older
    other = dataclasses.replace(candidate(2).model, name="another")
    assert not books.is_older(candidate(1, order=order), candidate(2, model=other))
