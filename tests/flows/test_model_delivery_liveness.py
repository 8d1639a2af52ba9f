"""A delivery comes to an end whatever the world answers, in whatever order: seen by trying all of it in a closed loop."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.delivery_loop import Node, explore, hopeless
from tests.flows.delivery_samples import APPROVAL, DEV, ELSEWHERE, FLOW, MONDAY_MORNING, events, gate, registered, stage
from tidegate.flows.base import Decision
from tidegate.flows.deliveries import delivery_messages as dm
from tidegate.flows.deliveries import delivery_states as st
from tidegate.flows.endpoints.rollout_messages import RolloutWanted
from tidegate.flows.models.model_gate import ModelGate

ASKING = stage("pro", approval=APPROVAL)
WORLDS: dict[str, tuple[ModelGate, tuple[str, ...], set[type[Any]]]] = {
    "one stage": (gate(DEV), (), {st.Delivered, st.DeliveryRolledBack}),
    "two stages, one of them elsewhere": (gate(DEV, ELSEWHERE), (), {st.Delivered, st.DeliveryFailed}),
    "an approval that two people give": (gate(DEV, ASKING), ("alice", "bob"), {st.Delivered, st.ModelRejected}),
    "an approval that nobody gives": (gate(ASKING), (), {st.ModelRejected}),
    "an approval and a rejection": (gate(ASKING), ("alice", "bob", "no"), {st.Delivered, st.ModelRejected}),
    "a freeze": (gate(stage("dev", freeze=(MONDAY_MORNING,))), ("no",), {st.Delivered, st.ModelRejected}),
    "asked for again": (gate(DEV), ("r1", "r2"), {st.Delivered, st.DeliveryFailed}),
    "asked for again and rejected": (gate(DEV), ("r1", "no"), {st.Delivered, st.ModelRejected}),
}


def _nodes(about: ModelGate, coming: tuple[str, ...], decide: Any = FLOW.decide) -> list[Node]:
    step = decide(st.Unregistered(), registered(about))
    return list(explore(decide, Node(step.state, step.commands, coming)))


@pytest.mark.parametrize(("about", "coming", "ends"), WORLDS.values(), ids=WORLDS.keys())
def test_a_delivery_at_no_end_always_waits_for_something(
    about: ModelGate, coming: tuple[str, ...], ends: set[type[Any]]
) -> None:
    nodes = _nodes(about, coming)
    assert hopeless(nodes) == []
    assert {type(node.state) for node in nodes} >= {*ends, st.DeliveryErrored}


def test_an_approval_that_nobody_gives_lets_nothing_through() -> None:
    asked = {
        type(command.event)
        for node in _nodes(gate(ASKING), ("alice",))
        for command in node.outbox
        if hasattr(command, "event")
    }
    assert RolloutWanted not in asked


def test_after_a_rejection_nothing_is_begun() -> None:
    states = {node.state for node in _nodes(gate(DEV), ("r1", "no"))}
    rejected = [each for each in states if isinstance(each, st.ModelRejected) and each.cause == "rejected"]
    assert len(rejected) > 3
    for state in rejected:
        for event in events(state.attempt).values():
            assert FLOW.decide(state, event) == Decision(state)


def test_a_flow_that_forgets_to_look_again_is_seen() -> None:
    def forgetful(state: Any, event: Any) -> Any:
        step = FLOW.decide(state, event)
        return Decision(step.state) if isinstance(event, dm.ModelPlacing) else step

    assert hopeless(_nodes(gate(DEV), (), forgetful)) != []


def test_a_flow_that_sets_no_deadline_is_seen() -> None:
    def patient(state: Any, event: Any) -> Any:
        step = FLOW.decide(state, event)
        return Decision(step.state) if isinstance(step.state, st.AwaitingApproval) else step

    assert hopeless(_nodes(gate(ASKING), (), patient)) != []
