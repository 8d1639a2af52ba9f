"""The laws of an endpoint's flow over a grid of every sample state and every sample event, and planted changes that break one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.flows.endpoint_samples import FLOW, STATES, TARGET, deployment, events
from tests.flows.laws import (
    Decide,
    Grid,
    attempt_of,
    attempts_going_back,
    not_idempotent,
    not_total,
    swayed_by_other_attempts,
)
from tests.flows.samples import NOW
from tidegate.flows.base import After, Decision, Tell
from tidegate.flows.endpoints import endpoint_states as es
from tidegate.flows.endpoints import rollout_messages as rm
from tidegate.flows.models.model_facts import Weights

GRID = Grid(FLOW.decide, STATES, events)


def asked(step: Decision[Any, Any]) -> list[Any]:
    """The commands, without their waiting."""
    return [each.command if isinstance(each, After) else each for each in step.commands]


def untested_at_full_traffic(grid: Grid) -> list[str]:
    """All of the traffic is asked for only where the deployment passed its smoke test, or was champion (invariant C2)."""
    broken = []
    for name, state, event in grid.cells():
        known = isinstance(state, es.WatchingTraffic | es.PausedRollout | es.ShiftingTraffic)
        is_tested = known or isinstance(event, rm.SmokePassed)
        champion = _champion(state)
        for each in asked(grid.decide(state, event)):
            if isinstance(each, rm.ShiftTraffic) and each.weights.live:
                newcomers = [one for one, percent in each.weights.live if percent == 100 and one != champion]
                if newcomers and not is_tested and not isinstance(event, rm.DeploymentReady):
                    broken.append(name)
    return broken


def _champion(state: Any) -> str:
    served = state.book.champion if hasattr(state, "book") else None
    return served.deployment if served else ""


def unbalanced(grid: Grid) -> list[str]:
    """Weights add up to 100, or to nothing where nobody is left (invariant C2)."""
    broken = []
    for name, state, event in grid.cells():
        for each in asked(grid.decide(state, event)):
            if isinstance(each, rm.ShiftTraffic):
                total = sum(percent for _, percent in each.weights.live)
                if total != 100 and not (total == 0 and not each.weights.mirror):
                    broken.append(name)
    return broken


def two_rollouts(grid: Grid) -> list[str]:
    """A rollout under way is never replaced by another one without having been left (invariant C3)."""
    broken = []
    for name, state, event in grid.cells():
        before, after = es.course_of(state), es.course_of(grid.decide(state, event).state)
        if (
            isinstance(before, es.Rollout)
            and isinstance(after, es.Rollout)
            and before.wish.candidate != after.wish.candidate
        ):
            broken.append(name)
    return broken


def champions_going_back(grid: Grid) -> list[str]:
    """The champion's version falls only at the end of a way back (invariant C5)."""
    broken = []
    for name, state, event in grid.cells():
        before = state.book.champion if hasattr(state, "book") else None
        after = grid.decide(state, event).state
        then = after.book.champion if hasattr(after, "book") else None
        if (
            before is not None
            and (then is None or then.candidate.order < before.candidate.order)
            and not isinstance(es.course_of(state), es.WayBack)
        ):
            broken.append(name)
    return broken


def traffic_touched_by_failures(grid: Grid) -> list[str]:
    """What fails before it had traffic asks for no traffic (invariant C9)."""
    broken = []
    for name, state, event in grid.cells():
        course = es.course_of(state)
        before = isinstance(course, es.Rollout) and not course.is_live
        no = isinstance(event, rm.DeploymentFailed | rm.SmokeFailed)
        if before and no and any(isinstance(each, rm.ShiftTraffic) for each in asked(grid.decide(state, event))):
            broken.append(name)
    return broken


def silences(grid: Grid) -> list[str]:
    """Whatever is under way waits for an answer that was asked for; only a hold waits for people."""
    broken = []
    for name, state, event in grid.cells():
        step = grid.decide(state, event)
        after = step.state
        if attempt_of(after) == attempt_of(state) or isinstance(after, es.UnknownEndpoint):
            continue
        waits = isinstance(after, es.SettledEndpoint) or (isinstance(after, es.PausedRollout) and after.held)
        if not waits and not any(getattr(each, "attempt", 0) == attempt_of(after) for each in asked(step)):
            broken.append(name)
    return broken


def writes_crossing(grid: Grid) -> list[str]:
    """While a change was asked for and not answered, no other change is asked for: one at a time."""
    writes = (rm.CreateDeployment, rm.ShiftTraffic, rm.RemoveDeployment)
    broken = []
    for name, state, event in grid.cells():
        match state:
            case es.CreatingDeployment(started=False) | es.ShiftingTraffic(taken=False) | es.RemovingDeployments():
                is_answer = getattr(event, "attempt", None) == attempt_of(state)
                if not is_answer and any(isinstance(each, writes) for each in asked(grid.decide(state, event))):
                    broken.append(name)
            case _:
                pass
    return broken


def wishes_lost(grid: Grid) -> list[str]:
    """A wish that was there is there after the event, or its delivery is told what became of it (invariant C6)."""
    broken = []
    for name, state, event in grid.cells():
        step = grid.decide(state, event)
        told = {each.key for each in asked(step) if isinstance(each, Tell)}
        before = _deliveries(state) | ({event.delivery} if isinstance(event, rm.RolloutWanted) else set())
        if before - _deliveries(step.state) - told:
            broken.append(name)
    return broken


def _deliveries(state: Any) -> set[str]:
    """Whoever is to be told something."""
    found = set()
    if hasattr(state, "book") and state.book.waiting:
        found.add(state.book.waiting.delivery)
    match es.course_of(state):
        case es.Rollout(wish=wish):
            found.add(wish.delivery)
        case es.WayBack(endings=endings):
            found |= {each.delivery for each in endings}
        case _:
            pass
    return found


LAWS: dict[str, Callable[[Grid], list[str]]] = {
    law.__name__: law
    for law in (
        not_total,
        not_idempotent,
        swayed_by_other_attempts,
        attempts_going_back,
        untested_at_full_traffic,
        unbalanced,
        two_rollouts,
        champions_going_back,
        traffic_touched_by_failures,
        silences,
        writes_crossing,
        wishes_lost,
    )
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_a_law_holds_in_every_cell(law: Callable[[Grid], list[str]]) -> None:
    assert law(GRID) == []


def _names(alias: Any) -> set[str]:
    members = getattr(alias, "__value__", alias)
    parts = getattr(members, "__args__", ())
    return {name for part in parts for name in _names(part)} if parts else {members.__name__}


def test_every_state_and_event_is_in_the_grid() -> None:
    assert {type(each).__name__ for each in STATES.values()} == _names(es.State)
    assert {type(each).__name__ for each in events(1).values()} | {"ChampionAsked"} == _names(rm.Event)


def test_every_event_means_something_in_some_state() -> None:
    deaf = {
        name
        for name in events(1)
        if all(FLOW.decide(state, events(attempt_of(state))[name]) == Decision(state) for state in STATES.values())
    }
    assert deaf == set()


def test_every_state_is_explained_and_listed() -> None:
    for _, state, event in GRID.cells():
        step = FLOW.decide(state, event)
        explained = FLOW.explain(event, step.state)
        assert explained is None or explained.who
        listing = FLOW.listing(step.state)
        assert (listing is None) == isinstance(step.state, es.UnknownEndpoint)


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_who_asks_for_the_champion_is_always_told_and_nothing_changes(state: es.State) -> None:
    question = rm.ChampionAsked(TARGET, "model-delivery:x", 4, NOW)
    for _ in range(2):
        step = FLOW.decide(state, question)
        assert step.state == state
        (answer,) = step.commands
        assert isinstance(answer, Tell)
        assert isinstance(answer.event, rm.ChampionTold)
        assert (answer.key, answer.event.attempt, answer.event.at) == ("model-delivery:x", 4, NOW)
    assert FLOW.explain(question, state) is None


# Planted changes ---------------------------------------------------------------------------------------------------


def _changed(change: Callable[[Any, Any, Decision[Any, Any]], Decision[Any, Any]]) -> Decide:
    return lambda state, event: change(state, event, FLOW.decide(state, event))


def _any_attempt(state: Any, event: Any) -> Decision[Any, Any]:
    mine = dataclasses.replace(event, attempt=attempt_of(state)) if hasattr(event, "attempt") else event
    return FLOW.decide(state, mine)


def _skips_the_smoke_test(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    if isinstance(state, es.PreparingEndpoint) and isinstance(step.state, es.CreatingDeployment):
        all_of_it = rm.ShiftTraffic(TARGET, Weights(((deployment(2), 100),)), step.state.attempt)
        return Decision(step.state, (all_of_it,))
    return step


def _adds_up_to_more(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    more = [
        dataclasses.replace(each, weights=dataclasses.replace(each.weights, live=((deployment(1), 100), ("x", 10))))
        if isinstance(each, rm.ShiftTraffic)
        else each
        for each in step.commands
    ]
    return Decision(step.state, tuple(more))


def _begins_a_second(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    course = es.course_of(step.state)
    if isinstance(event, rm.RolloutWanted) and isinstance(course, es.Rollout) and step.state != state:
        other = dataclasses.replace(course, wish=dataclasses.replace(course.wish, candidate=event.candidate))
        return Decision(dataclasses.replace(step.state, course=other), step.commands)
    return step


def _crowns_the_former(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    if isinstance(event, rm.RollbackRequested) and isinstance(state, es.SettledEndpoint) and state.book.former:
        book = dataclasses.replace(step.state.book, champion=state.book.former[0])
        return Decision(dataclasses.replace(step.state, book=book), step.commands)
    return step


def _moves_traffic_on_quota(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    if isinstance(event, rm.DeploymentFailed) and step.state != state:
        back = rm.ShiftTraffic(TARGET, Weights(((deployment(1), 100),)), step.state.attempt)
        return Decision(step.state, (*step.commands, back))
    return step


def _forgets_to_look(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    kept = [each for each in step.commands if not isinstance(each, After)]
    return Decision(step.state, tuple(kept))


def _aborts_at_once(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    if isinstance(event, rm.VersionRejected) and isinstance(state, es.ShiftingTraffic) and step.state != state:
        back = rm.ShiftTraffic(TARGET, Weights(((deployment(1), 100),)), step.state.attempt)
        return Decision(step.state, (*step.commands, back))
    return step


def _drops_the_waiting(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    kept = [each for each in step.commands if not isinstance(each, Tell)]
    return Decision(step.state, tuple(kept))


def _counts_anew(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    if attempt_of(step.state) == attempt_of(state):
        return step
    return Decision(dataclasses.replace(step.state, attempt=1), step.commands)


def _hears_twice(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    if hasattr(step.state, "book"):
        book = dataclasses.replace(step.state.book, heard=())
        return Decision(dataclasses.replace(step.state, book=book), step.commands)
    return step


def _raises(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    if isinstance(state, es.PausedRollout) and isinstance(event, rm.EndpointLost):
        raise TypeError(event)
    return step


PLANTED: dict[str, tuple[Decide, str]] = {
    "takes any attempt": (_any_attempt, "swayed_by_other_attempts"),
    "skips the smoke test": (_changed(_skips_the_smoke_test), "untested_at_full_traffic"),
    "adds up to more": (_changed(_adds_up_to_more), "unbalanced"),
    "begins a second": (_changed(_begins_a_second), "two_rollouts"),
    "crowns the former": (_changed(_crowns_the_former), "champions_going_back"),
    "moves traffic on quota": (_changed(_moves_traffic_on_quota), "traffic_touched_by_failures"),
    "forgets to look": (_changed(_forgets_to_look), "silences"),
    "aborts at once": (_changed(_aborts_at_once), "writes_crossing"),
    "drops the waiting": (_changed(_drops_the_waiting), "wishes_lost"),
    "counts anew": (_changed(_counts_anew), "attempts_going_back"),
    "hears twice": (_changed(_hears_twice), "not_idempotent"),
    "raises": (_changed(_raises), "not_total"),
}


@pytest.mark.parametrize(("decide", "law"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_change_breaks_its_law(decide: Decide, law: str) -> None:
    assert LAWS[law](Grid(decide, STATES, events)) != []


def test_every_law_has_a_planted_change() -> None:
    assert {law for _, law in PLANTED.values()} == LAWS.keys()
