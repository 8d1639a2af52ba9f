"""Every flow comes to an end whatever the world answers, in whatever order: seen by trying all of it in a closed loop."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.closed_loop import (
    Node,
    explore,
    hopeless_images,
    image_outcomes,
    older_over_newer,
    tag_outcomes,
    unanswered_claims,
    unwatched_owners,
)
from tests.flows.samples import FLOW, TARGET, claimant, gate, image_events, pushed, requested
from tidegate.flows.base import Decision
from tidegate.flows.images import image_messages as im
from tidegate.flows.images import image_states as st
from tidegate.flows.images import tag_ownership as own
from tidegate.flows.images.tag_ownership import TagOwnership

SIGNED = gate(
    test={"attempts": 2},
    promote={"referrers": ("*",), "required_referrers": ("application/sig",), "lock_manifest": True},
)
SKIPPED = gate(test={"skip": "trusted builder"})
ONCE = gate(test={"attempts": 1})
NEWER_GATE = gate(version="ba9876543210")

IMAGES: dict[str, tuple[Any, ...]] = {
    "one push": (pushed(1),),
    "signed and locked": (pushed(1, gate=SIGNED),),
    "two tags": (pushed(1, gate=SKIPPED), pushed(2, "v2", gate=SKIPPED)),
    "pushed again": (pushed(1, gate=SKIPPED), pushed(5, gate=SKIPPED)),
    "override": (pushed(1, gate=ONCE), requested(9, gate=ONCE, override=True)),
    "request for the digest": (pushed(1, gate=SKIPPED), requested(8, "", gate=SKIPPED)),
}


def _calm(command: Any) -> Any:
    """As `image_outcomes`, but an import that was started arrives."""
    outcomes = image_outcomes(command)
    return outcomes[:1] if isinstance(command, im.ImportImage | im.AttachRecord) else outcomes


@pytest.mark.parametrize("coming", IMAGES.values(), ids=IMAGES.keys())
def test_an_image_at_no_end_always_waits_for_something(coming: tuple[Any, ...]) -> None:
    outcomes = _calm if len(coming) > 1 else image_outcomes
    nodes = list(explore(FLOW.decide, Node(st.Unseen(), (), coming), outcomes))
    assert hopeless_images(nodes) == []
    assert {type(node.state) for node in nodes} >= {st.Promoted, st.Superseded, st.Rejected}


def _claims(*claimants: own.Claimant) -> tuple[own.Event, ...]:
    return tuple(kind(TARGET, each) for each in claimants for kind in (own.TagPushed, own.TagApproved))


def _without_looking(command: Any) -> Any:
    """As `tag_outcomes`, but the second look is never due."""
    return () if isinstance(command, own.LookAtTag) else tag_outcomes(command)


TAGS = {
    "two images": _claims(claimant("a", 1), claimant("b", 2)),
    "three images": _claims(claimant("a", 1), claimant("b", 2), claimant("c", 3)),
    "pushed again": _claims(claimant("a", 1), claimant("b", 2), claimant("a", 3)),
    "immutable": _claims(claimant("a", 1, movable=False), claimant("b", 2, movable=False)),
    "one push under two versions of its gate": _claims(
        claimant("a", 1), claimant("a", 1, gate=NEWER_GATE), claimant("b", 2)
    ),
    "the answer of a duplicate": (*_claims(claimant("a", 1), claimant("b", 2)), own.TagApproved(TARGET, claimant())),
}


@pytest.mark.parametrize("coming", TAGS.values(), ids=TAGS.keys())
def test_whoever_asks_for_a_tag_is_told_what_became_of_it(coming: tuple[own.Event, ...]) -> None:
    nodes = list(explore(TagOwnership().decide, Node(own.Unclaimed(), (), coming), _without_looking))
    assert unanswered_claims(nodes) == []
    assert older_over_newer(nodes) == []


def test_whoever_asks_for_a_tag_is_told_although_it_is_repaired_meanwhile() -> None:
    nodes = list(explore(TagOwnership().decide, Node(own.Unclaimed(), (), TAGS["two images"]), tag_outcomes))
    assert unanswered_claims(nodes) == []
    assert any(isinstance(node.state, own.Placing) and node.state.repairs for node in nodes)


def test_a_tag_is_looked_at_again_after_its_last_write_whatever_became_of_that() -> None:
    nodes = list(explore(TagOwnership().decide, Node(own.Unclaimed(), (), TAGS["two images"]), _without_looking))
    assert unwatched_owners(nodes) == []


def test_a_flow_that_forgets_to_look_again_is_seen() -> None:
    def forgetful(state: Any, event: Any) -> Any:
        step = FLOW.decide(state, event)
        return Decision(step.state) if isinstance(event, im.ImportRunning) else step

    assert hopeless_images(explore(forgetful, Node(st.Unseen(), (), IMAGES["one push"]), image_outcomes)) != []


def test_a_flow_that_forgets_to_answer_is_seen() -> None:
    def forgetful(state: Any, event: Any) -> Any:
        step = TagOwnership().decide(state, event)
        return Decision(step.state) if isinstance(event, own.TagRefused) else step

    assert unanswered_claims(explore(forgetful, Node(own.Unclaimed(), (), TAGS["immutable"]), tag_outcomes)) != []


def test_the_made_up_world_answers_with_every_kind_of_answer() -> None:
    nodes = [
        node
        for coming in (IMAGES["one push"], IMAGES["signed and locked"])
        for node in explore(FLOW.decide, Node(st.Unseen(), (), coming), image_outcomes)
    ]
    given = {type(event).__name__ for node in nodes for command in node.outbox for event in image_outcomes(command)}
    asked = {"ImagePushed", "PromotionRequested", "ImageTestEnded"}
    assert {type(event).__name__ for event in image_events(1).values()} <= given | asked
