"""The laws of a delivery over a grid of every sample state and every sample event, and planted changes that must break one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from tests.flows.delivery_samples import (
    ALICE,
    APPROVAL,
    BOB,
    CAROL,
    FLOW,
    LATER,
    STATES,
    approve,
    events,
    reject,
    vote,
)
from tests.flows.laws import (
    Decide,
    Grid,
    attempt_of,
    attempts_going_back,
    not_idempotent,
    not_total,
    swayed_by_other_attempts,
)
from tidegate.codec import Codec, kinds_of
from tidegate.flows.base import After, Decision, Publish, Tell
from tidegate.flows.deliveries import delivery_messages as dm
from tidegate.flows.deliveries import delivery_states as st
from tidegate.flows.endpoints.rollout_messages import ChampionAsked, RolloutWanted, StageEnded, VersionRejected

GRID = Grid(FLOW.decide, STATES, events)
CODEC = Codec(kinds_of(st.State, dm.Event, dm.Command))
ENDS = (
    st.ModelIgnored,
    st.Delivered,
    st.ModelRejected,
    st.DeliveryFailed,
    st.DeliveryRolledBack,
    st.DeliverySuperseded,
    st.DeliveryErrored,
)


def _steps(grid: Grid) -> Iterator[tuple[str, Any, Any, Decision[Any, Any]]]:
    for name, state, event in grid.cells():
        yield name, state, event, grid.decide(state, event)


def _bare(step: Decision[Any, Any]) -> list[Any]:
    return [command.command if isinstance(command, After) else command for command in step.commands]


def ends_left_by_answers(grid: Grid) -> list[str]:
    """An end is left by a request, by a rejection, and where it serves by its rollback; by nothing else."""
    broken = []
    for name, state, event, step in _steps(grid):
        may_leave = isinstance(event, dm.DeliveryRequested | dm.Decided) or (
            isinstance(state, st.Delivered) and isinstance(event, StageEnded)
        )
        if isinstance(state, ENDS) and not may_leave and step != Decision(state):
            broken.append(name)
    return broken


def rejections_undone(grid: Grid) -> list[str]:
    """What a person rejected stays rejected, whatever comes."""
    return [
        name
        for name, state, _, step in _steps(grid)
        if isinstance(state, st.ModelRejected) and state.cause in st.BLOCKED and step != Decision(state)
    ]


def rolled_out_unapproved(grid: Grid) -> list[str]:
    """Nothing is handed over to a stage that asks for approvals, unless enough people gave theirs."""
    broken = []
    for name, state, _, step in _steps(grid):
        for wanted in _wishes(step):
            people = {vote.person for vote in getattr(state, "votes", ())}
            rules = wanted.stage.approval
            if rules is not None and len(people) < rules.quorum:
                broken.append(name)
    return broken


def rolled_out_unhashed(grid: Grid) -> list[str]:
    """Nothing is handed over but in answer to its being placed with the bytes that were screened."""
    broken = []
    for name, state, event, step in _steps(grid):
        if _wishes(step) or any(isinstance(command, dm.StartRelease) for command in step.commands):
            screened = state.delivery.known.artefact.sha256
            if not (isinstance(event, dm.ModelPlaced) and event.sha256 == screened):
                broken.append(name)
    return broken


def _wishes(step: Decision[Any, Any]) -> list[RolloutWanted]:
    return [event for event in _told(step) if isinstance(event, RolloutWanted)]


def left_alone(grid: Grid) -> list[str]:
    """A state that is no end, once entered, has a command on its way: nothing waits for nobody."""
    broken = []
    for name, state, _, step in _steps(grid):
        is_new = attempt_of(step.state) != attempt_of(state)
        if is_new and not isinstance(step.state, ENDS) and not step.commands:
            broken.append(name)
    return broken


def ended_in_silence(grid: Grid) -> list[str]:
    """Whoever has to look is told. What the endpoint or a newer version did is told by the endpoint."""
    told = (st.Delivered, st.ModelRejected, st.DeliveryFailed, st.DeliveryErrored)
    return [
        name
        for name, state, _, step in _steps(grid)
        if isinstance(step.state, told)
        and step.state != state
        and not any(isinstance(command, Publish) for command in step.commands)
    ]


def told_of_other_states(grid: Grid) -> list[str]:
    """An outcome's id is made of the attempt of the state that it tells of, so no two outcomes share one."""
    return [
        name
        for name, _, _, step in _steps(grid)
        for command in step.commands
        if isinstance(command, Publish) and not command.id.endswith(f"/{step.state.attempt}")
    ]


LAWS: dict[str, Callable[[Grid], list[str]]] = {
    law.__name__: law
    for law in (
        not_total,
        not_idempotent,
        swayed_by_other_attempts,
        attempts_going_back,
        ends_left_by_answers,
        rejections_undone,
        rolled_out_unapproved,
        rolled_out_unhashed,
        left_alone,
        ended_in_silence,
        told_of_other_states,
    )
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_a_law_holds_in_every_cell(law: Callable[[Grid], list[str]]) -> None:
    assert law(GRID) == []


def _names(alias: Any) -> set[str]:
    members = getattr(alias, "__value__", alias)
    parts = getattr(members, "__args__", ())
    return {name for part in parts for name in _names(part)} if parts else {members.__name__}


def test_every_state_and_event_of_the_flow_is_in_the_grid() -> None:
    assert {type(each).__name__ for each in STATES.values()} == _names(st.State)
    assert {type(each).__name__ for each in events(1).values()} == _names(dm.Event)
    assert set(st.STATES) == _names(st.State) - {"Unregistered"}


def test_every_command_of_the_flow_is_given_somewhere_in_the_grid() -> None:
    given = {type(command).__name__ for _, _, _, step in _steps(GRID) for command in _bare(step)}
    assert given == _names(dm.Effect) | {"Tell", "Publish"}
    told = {type(event) for _, _, _, step in _steps(GRID) for event in _told(step)}
    assert told == {ChampionAsked, RolloutWanted, VersionRejected}


def _told(step: Decision[Any, Any]) -> list[Any]:
    """What other flows hear."""
    return [command.event for command in step.commands if isinstance(command, Tell)]


def test_every_event_means_something_in_some_state() -> None:
    heard = {
        type(event).__name__
        for state in STATES.values()
        for event in events(attempt_of(state)).values()
        if FLOW.decide(state, event) != Decision(state)
    }
    assert heard == _names(dm.Event)


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_written_and_read_back_as_it_was(name: str) -> None:
    assert CODEC.decode(CODEC.encode(STATES[name])) == STATES[name]


def test_every_decision_can_be_stored_explained_and_listed() -> None:
    made = set()
    for name, _, event, step in _steps(GRID):
        made |= {step.state, *step.commands}
        FLOW.explain(event, step.state)
        listing = FLOW.listing(step.state)
        assert (listing is None) == isinstance(step.state, st.Unregistered), name
    for value in made:
        assert CODEC.decode(CODEC.encode(value)) == value


def test_a_look_that_finds_nothing_is_no_transition() -> None:
    for name, state, event, step in _steps(GRID):
        is_look = isinstance(event, dm.ModelPlacing) or getattr(event, "status", "") == "running"
        if is_look and step.state != state:
            goes_on = type(step.state) is type(state)
            assert (FLOW.explain(event, step.state) is None) == goes_on, name


@pytest.mark.parametrize(
    "name", [name for name, state in STATES.items() if not isinstance(state, (*ENDS, st.Unregistered))]
)
@pytest.mark.parametrize("outcome", ["errored", "refused"])
def test_a_command_without_an_answer_ends_every_state_that_waits(name: str, outcome: str) -> None:
    state = STATES[name]
    step = FLOW.decide(state, events(attempt_of(state))[outcome])
    assert isinstance(step.state, st.DeliveryErrored | st.DeliveryFailed | st.ModelRejected)
    assert step.state.attempt == attempt_of(state) + 1


# Planted changes -----------------------------------------------------------------------------------------------------


def _any_attempt(decide: Decide) -> Decide:
    """Answers are taken whatever attempt they belong to."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        mine = dataclasses.replace(event, attempt=attempt_of(state)) if hasattr(event, "attempt") else event
        return decide(state, mine)

    return changed


def _begins_anew(decide: Decide) -> Decide:
    """A rejection by a person is left by a request."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        open_again = isinstance(state, st.ModelRejected) and isinstance(event, dm.DeliveryRequested)
        return decide(dataclasses.replace(state, cause="screening") if open_again else state, event)

    return changed


def _counts_one_yes(decide: Decide) -> Decide:
    """One yes is enough."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        votes = getattr(state, "votes", ())
        if isinstance(state, st.AwaitingApproval) and isinstance(event, dm.Decided) and not votes:
            step = decide(state, event)
            return decide(step.state, approve(CAROL)) if step.state != state else step
        if isinstance(state, st.PlacingModel) and state.stage == "pro" and len(votes) < 2:
            return decide(dataclasses.replace(state, votes=(vote(), vote())), event)
        return decide(state, event)

    return changed


def _takes_other_bytes(decide: Decide) -> Decide:
    """What was placed is not compared."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        if isinstance(state, st.PlacingModel) and isinstance(event, dm.ModelPlaced):
            return decide(state, dataclasses.replace(event, sha256=state.delivery.known.artefact.sha256))
        return decide(state, event)

    return changed


def _says_nothing(decide: Decide) -> Decide:
    """Outcomes are not published."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        return Decision(step.state, tuple(each for each in step.commands if not isinstance(each, Publish)))

    return changed


def _waits_for_ever(decide: Decide) -> Decide:
    """Nobody reminds a stage that is frozen."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        return Decision(step.state) if isinstance(step.state, st.Frozen) else step

    return changed


def _speaks_twice(decide: Decide) -> Decide:
    """A duplicate is answered."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        if isinstance(event, dm.ModelRegistered) and isinstance(state, st.Delivered):
            return Decision(state, (Publish("Tidegate.ModelDelivered", "a", event.at, (), f"/{state.attempt}"),))
        return step

    return changed


PLANTED: dict[str, tuple[Callable[[Decide], Decide], str]] = {
    "any attempt": (_any_attempt, "swayed_by_other_attempts"),
    "begins anew": (_begins_anew, "rejections_undone"),
    "counts one yes": (_counts_one_yes, "rolled_out_unapproved"),
    "takes other bytes": (_takes_other_bytes, "rolled_out_unhashed"),
    "says nothing": (_says_nothing, "ended_in_silence"),
    "waits for ever": (_waits_for_ever, "left_alone"),
    "speaks twice": (_speaks_twice, "not_idempotent"),
}


@pytest.mark.parametrize(("change", "law"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_change_breaks_its_law(change: Callable[[Decide], Decide], law: str) -> None:
    assert LAWS[law](Grid(change(FLOW.decide), STATES, events)) != []


def test_a_rejection_reaches_every_endpoint_from_every_state_it_can_be_in() -> None:
    for name, state in STATES.items():
        if isinstance(state, st.Unregistered | st.ModelIgnored) or (
            isinstance(state, st.ModelRejected) and state.cause in st.BLOCKED
        ):
            continue
        step = FLOW.decide(state, reject())
        served = {stage.target.endpoint for stage in state.delivery.gate.stages if stage.release is None}
        told = {event.target.endpoint for event in _told(step)}
        assert (told, type(step.state)) == (served, st.ModelRejected), name


# Along any path ------------------------------------------------------------------------------------------------------

_LIKELY = ("placed", "placed-other", "serving-pro-then", "kept", "reminded", ALICE, BOB, CAROL)
_PATHS = some.lists(some.sampled_from(_LIKELY), max_size=20)


def _walk(path: list[str]) -> Iterator[tuple[Any, Decision[Any, Any]]]:
    """Every state along the path, with what is decided there."""
    state: Any = STATES["placing-pro"]
    for name in path:
        at = max(LATER, getattr(state, "since", LATER))
        said = approve(name, evidence=getattr(state, "evidence", ""), at=at)
        step = FLOW.decide(state, said if "/" in name else events(state.attempt)[name])
        yield state, step
        state = step.state


@given(path=_PATHS)
@example(path=["placed", ALICE, BOB, "placed"])
@example(path=["placed", ALICE, "reminded", "placed", ALICE, "placed"])
def test_along_any_path_nothing_is_handed_over_without_its_quorum_and_no_number_is_used_twice(path: list[str]) -> None:
    for state, step in _walk(path):
        for wanted in _wishes(step):
            people = {vote.person for vote in state.votes}
            assert len(people) >= APPROVAL.quorum
            assert not people & set(state.delivery.people)
            assert wanted.candidate.sha256 == state.delivery.known.artefact.sha256
        assert step.state.attempt > state.attempt or type(step.state) is type(state)
