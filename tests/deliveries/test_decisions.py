"""Whose yes and no counts, and who may act on endpoints."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.deliveries.world import AWAITING, BOT_KEY, CI_KEY, ID, PEOPLE, DeliveryWorld, by, champion
from tests.flows import delivery_samples as samples
from tests.flows.delivery_samples import DEV, EVIDENCE, INT, PRO, STATES
from tidegate.api.delivery_requests import Act, verdict
from tidegate.errors import Forbidden, MalformedEvent, NotFound, NotSignedIn, Refused
from tidegate.flows.deliveries.delivery_states import AwaitingApproval, ModelRejected, PlacingModel
from tidegate.flows.endpoints.endpoint_states import EndpointHold, Rollout, SettledEndpoint, WatchingTraffic, Wish
from tidegate.identity import Shown

YES = {"reason": "the figures are good", "evidence": EVIDENCE}
NO = {"reason": "it is biased"}


def waiting(**fields: Any) -> DeliveryWorld:
    """A delivery that waits for two approvals."""
    world = DeliveryWorld()
    world.is_at(dataclasses.replace(AWAITING, **fields))
    return world


def approve(world: DeliveryWorld, shown: Shown, body: Any = None) -> Any:
    return world.api.decide(ID, "approve", YES if body is None else body, shown).body


def test_an_approval_counts_for_who_was_verified() -> None:
    world = waiting()

    answer = approve(world, by("alice"))

    assert (answer["person"], answer["already"]) == (PEOPLE["alice"].id, False)
    state = world.state()
    assert isinstance(state, AwaitingApproval)
    (vote,) = state.votes
    assert (vote.person, vote.who, vote.why) == (PEOPLE["alice"].id, "Alice", "the figures are good")
    (row,) = world.store.history(samples.KEY)
    assert (row.who, row.what, row.evidence) == ("Alice", "Decided", EVIDENCE)


def test_twice_is_once() -> None:
    world = waiting()
    approve(world, by("alice"))
    writes = world.writes

    assert approve(world, by("alice"))["already"] is True
    assert world.writes == writes


def test_two_different_people_make_the_quorum_and_the_same_word_again_is_no_fault() -> None:
    world = waiting()
    approve(world, by("alice"))
    approve(world, by("bob"))

    assert isinstance(world.state(), PlacingModel)
    assert approve(world, by("bob"))["already"] is True
    assert approve(world, by("alice"))["already"] is True


def test_a_client_cannot_state_who_it_is() -> None:
    world = waiting()
    for body in ({**YES, "who": "alice"}, {**YES, "person": PEOPLE["alice"].id}, {**YES, "roles": ["Approver.pro"]}):
        with pytest.raises(MalformedEvent, match="unknown field"):
            approve(world, by("carol"), body)


@pytest.mark.parametrize(
    ("shown", "error", "words"),
    [
        (by(), NotSignedIn, "sign in"),
        (by("mallory"), NotSignedIn, "no token"),
        (by(x_ms_client_principal="eyJyb2xlcyI6WyJBcHByb3Zlci5wcm8iXX0="), NotSignedIn, "sign in"),
        (by("carol"), Forbidden, "takes the role Approver.pro"),
        (by("olga"), Forbidden, "takes the role Approver.pro"),
        (by(x_api_key=CI_KEY), Forbidden, "takes the role Approver.pro"),
        (by(x_api_key=BOT_KEY), Forbidden, "takes the role Approver.pro"),
        (by(x_api_key=CI_KEY, x_ms_client_principal="e30="), Forbidden, "takes the role Approver.pro"),
        (by(x_ms_token_aad_id_token="alice", origin="https://other.example"), Forbidden, "Origin"),
    ],
)
def test_who_may_not_approve_changes_nothing(shown: Shown, error: type[Exception], words: str) -> None:
    world = waiting()
    before = world.writes
    with pytest.raises(error, match=words):
        approve(world, shown)
    assert world.writes == before


def test_whoever_asked_for_the_delivery_does_not_approve_it() -> None:
    world = waiting(delivery=dataclasses.replace(AWAITING.delivery, people=(PEOPLE["alice"].id,)))
    with pytest.raises(Forbidden, match="who asked for a delivery"):
        approve(world, by("alice"))


def test_whoever_registered_the_version_does_not_approve_it() -> None:
    facts = dataclasses.replace(samples.FACTS, registered_by=PEOPLE["alice"].id.partition("/")[2])
    world = waiting(delivery=dataclasses.replace(AWAITING.delivery, facts=facts))
    with pytest.raises(Forbidden, match="who registered"):
        approve(world, by("alice"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"reason": "good"}, "evidence: missing"),
        ({**YES, "evidence": "abc"}, "evidence: must be the hash"),
        ({**YES, "reason": ""}, "reason: missing"),
        ({"evidence": EVIDENCE}, "reason: missing"),
        ("yes", "body"),
    ],
)
def test_an_approval_without_its_parts_is_refused(body: Any, words: str) -> None:
    with pytest.raises(MalformedEvent, match=words):
        approve(waiting(), by("alice"), body)


def test_an_approval_of_something_else_is_void() -> None:
    with pytest.raises(Refused, match="not what was shown"):
        approve(waiting(), by("alice"), {**YES, "evidence": "0" * 64})


def test_an_approval_after_its_time_is_void() -> None:
    world = waiting()
    world.clock.advance(2 * 86_400)
    with pytest.raises(Refused, match="counts from"):
        approve(world, by("alice"))


@pytest.mark.parametrize("name", ["describing", "rolling-pro", "delivered", "rejected-screening", "ignored"])
def test_where_nothing_waits_there_is_nothing_to_approve(name: str) -> None:
    world = DeliveryWorld()
    world.is_at(STATES[name])
    with pytest.raises(Refused, match="nothing waits"):
        approve(world, by("bob"))


def test_a_decision_that_comes_too_late_by_a_hair_is_not_said_to_count() -> None:
    """Between the look and the decision somebody rejected it."""
    world = waiting()
    found = world.deliveries.one(ID)
    world.api.decide(ID, "reject", NO, by("olga"))

    with pytest.raises(Refused, match="nothing waits"):
        world.deliveries.decide(found, verdict("approve", YES), PEOPLE["alice"])
    assert isinstance(world.state(), ModelRejected)


def test_two_requests_of_one_person_at_once_are_one_decision() -> None:
    world = waiting()
    found = world.deliveries.one(ID)

    first = world.deliveries.decide(found, verdict("approve", YES), PEOPLE["alice"])
    second = world.deliveries.decide(found, verdict("approve", YES), PEOPLE["alice"])

    assert (first, second) == (True, True)
    state = world.state()
    assert isinstance(state, AwaitingApproval)
    assert len(state.votes) == 1


@pytest.mark.parametrize("name", ["alice", "olga"])
def test_a_rejection_takes_an_approver_or_an_operator_and_twice_is_once(name: str) -> None:
    world = waiting()

    assert world.api.decide(ID, "reject", NO, by(name)).body["already"] is False
    state = world.state()
    assert isinstance(state, ModelRejected)
    assert (state.cause, state.by) == ("rejected", PEOPLE[name].name)
    assert world.api.decide(ID, "reject", NO, by(name)).body["already"] is True
    with pytest.raises(Refused, match="rejected already"):
        world.api.decide(ID, "reject", NO, by("bob"))


def test_a_rejection_needs_a_role_as_well() -> None:
    with pytest.raises(Forbidden, match=r"Approver\.pro or Operator"):
        waiting().api.decide(ID, "reject", NO, by("carol"))


def test_a_delivery_that_does_not_exist_is_not_found() -> None:
    for act in ("approve", "reject"):
        with pytest.raises(NotFound):
            DeliveryWorld().api.decide("0" * 20, act, YES, by("alice"))


# Endpoints -----------------------------------------------------------------------------------------------------------


def act(world: DeliveryWorld, name: Act, who: str = "olga", **body: Any) -> Any:
    return world.api.act(ID, name, {"reason": "an audit", **body}, by(who)).body


def serving(version: str = "7", **book: Any) -> DeliveryWorld:
    """A delivered version that serves in pro, or another one that does."""
    world = DeliveryWorld()
    world.is_at(STATES["delivered"])
    candidate = samples.CANDIDATE if version == "7" else samples.CHAMPION
    world.serves(PRO, SettledEndpoint(champion(candidate, **book), 3))
    return world


def hold_of(world: DeliveryWorld, stage: Any = PRO) -> EndpointHold | None:
    state = world.endpoint(stage)
    hold: EndpointHold | None = state.book.hold if hasattr(state, "book") else None
    return hold


def test_a_hold_is_put_on_every_endpoint_and_released_again() -> None:
    world = serving()

    assert act(world, "hold")["stages"] == ["dev", "int", "pro"]
    for stage in (DEV, INT, PRO):
        hold = hold_of(world, stage)
        assert hold is not None
        assert (hold.who, hold.why) == ("Olga", "an audit")
    world.clock.advance(1)
    act(world, "release", stage="pro")
    assert hold_of(world) is None
    assert hold_of(world, DEV) is not None


def test_an_approver_acts_where_they_approve_and_nowhere_else() -> None:
    world = serving()

    assert act(world, "hold", "alice", stage="pro")["stages"] == ["pro"]
    with pytest.raises(Forbidden, match=r"hold at dev needs Operator; Alice has Approver\.pro"):
        act(world, "hold", "alice")


@pytest.mark.parametrize("name", ["rollback", "hold", "release"])
def test_acting_needs_a_role(name: Act) -> None:
    world = serving()
    before = world.writes
    with pytest.raises(Forbidden, match=r"needs Operator or Approver\.pro; Carol has Viewer"):
        act(world, name, "carol", stage="pro")
    with pytest.raises(Forbidden):
        world.api.act(ID, name, {"reason": "x"}, by(x_api_key=CI_KEY))
    with pytest.raises(NotSignedIn):
        world.api.act(ID, name, {"reason": "x"}, by())
    assert world.writes == before


def test_a_key_with_a_role_may_act() -> None:
    world = serving()
    assert world.api.act(ID, "hold", {"reason": "x"}, by(x_api_key=BOT_KEY)).body["person"] == "key:bot"


def test_an_unknown_stage_is_not_found() -> None:
    with pytest.raises(NotFound, match="stage"):
        act(serving(), "hold", stage="moon")


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": "x", "stage": 1}, {"reason": "x", "target": "y"}])
def test_an_action_that_breaks_a_rule_is_refused(body: Any) -> None:
    with pytest.raises(MalformedEvent):
        serving().api.act(ID, "hold", body, by("olga"))


def test_a_rollback_is_made_where_the_version_serves_and_holds_the_endpoint() -> None:
    world = serving()

    assert act(world, "rollback")["stages"] == ["pro"]

    hold = hold_of(world)
    assert hold is not None
    assert hold.rollback


def test_a_rollback_twice_is_one() -> None:
    world = serving()
    act(world, "rollback", stage="pro")
    after = world.endpoint(PRO)
    world.clock.advance(5)

    assert act(world, "rollback", stage="pro")["stages"] == ["pro"]
    assert world.endpoint(PRO) == after


def test_a_rollback_of_a_version_that_is_rolled_out_stops_it() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["rolling-pro"])
    wish = Wish(PRO, samples.CANDIDATE, samples.KEY, samples.NOW)
    rollout = Rollout(wish, "litter-8", PRO.traffic, step=1)
    world.serves(PRO, WatchingTraffic(champion(samples.CHAMPION), rollout, 5, samples.NOW))

    assert act(world, "rollback")["stages"] == ["pro"]
    assert world.endpoint(PRO) != WatchingTraffic(champion(samples.CHAMPION), rollout, 5, samples.NOW)


def test_a_late_rollback_does_not_take_another_version_back() -> None:
    world = serving(version="6")
    with pytest.raises(Refused, match="litter:6 serves at pro"):
        act(world, "rollback", stage="pro")
    with pytest.raises(Refused, match="serves nowhere"):
        act(world, "rollback")
    assert hold_of(world) is None


def test_a_rollback_to_nothing_is_refused_with_the_reason() -> None:
    with pytest.raises(Refused, match="no earlier version was good"):
        act(serving(former=()), "rollback")
    rolled_back = EndpointHold("Bob", "worse", samples.NOW, rollback=True)
    with pytest.raises(Refused, match="Bob rolled back already"):
        act(serving(hold=rolled_back), "rollback")


def test_a_stage_that_a_pipeline_carries_out_has_no_endpoint_to_act_on() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["releasing"])

    assert act(world, "hold")["stages"] == ["dev"]
    with pytest.raises(NotFound):
        act(world, "hold", stage="app")


def test_a_model_without_a_gate_has_nowhere_to_act() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["ignored"])
    with pytest.raises(Refused, match="nowhere"):
        act(world, "hold")
