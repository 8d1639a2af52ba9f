"""Whose yes or no counts, and what it is bound to."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from tests.flows.delivery_samples import (
    ALICE,
    BOB,
    CAROL,
    EVIDENCE,
    EXPIRES,
    FACTS,
    GATE,
    LATER,
    NOW,
    SHA,
    STATES,
    TENANT,
    approve,
    delivery,
    gate,
    reject,
    requested,
    vote,
)
from tidegate.flows.base import Request
from tidegate.flows.deliveries import delivery_messages as dm
from tidegate.flows.deliveries import delivery_states as st
from tidegate.flows.deliveries.stage_approval import evidence, evidence_of, forbidden, is_approved, refusal
from tidegate.flows.models.model_facts import Artefact

WAITING = STATES["awaiting"]
ONE_MORE = STATES["awaiting-one-more"]
assert isinstance(WAITING, st.AwaitingApproval)


def waiting(**fields: Any) -> st.AwaitingApproval:
    """The wait with another delivery."""
    assert isinstance(WAITING, st.AwaitingApproval)
    return dataclasses.replace(WAITING, delivery=dataclasses.replace(WAITING.delivery, **fields))


def registered_by(identity: str) -> st.AwaitingApproval:
    return waiting(facts=dataclasses.replace(FACTS, registered_by=identity))


def asked_by(who: str) -> st.AwaitingApproval:
    return waiting(requests=(Request("r1", who, "again", NOW),))


KEY = approve("key:release-bot")
OID = ALICE.rpartition("/")[2]

# refused: (state, decided, a word of the reason, whether it is about who the person is)
REFUSED: dict[str, tuple[st.State, dm.Decided, str, bool]] = {
    "nothing waits": (STATES["rolling"], approve(), "nothing waits for an approval", False),
    "nobody knows the version": (st.Unregistered(), approve(), "nothing waits for an approval", False),
    "another evidence": (WAITING, approve(evidence="0" * 64), "look at it again", False),
    "no evidence": (WAITING, approve(evidence=""), "look at it again", False),
    "no role": (WAITING, approve(roles=()), "takes the role Approver.pro", True),
    "the role of another stage": (WAITING, approve(roles=("Approver.int", "Operator")), "takes the role", True),
    "no reason": (WAITING, approve(why="  "), "say why", False),
    "too late": (WAITING, approve(at=EXPIRES), "counts from", False),
    "before it was asked for": (WAITING, approve(at=NOW - datetime.timedelta(seconds=1)), "counts from", False),
    "a second time": (ONE_MORE, approve(), "has approved it already", False),
    "a second time under another name": (ONE_MORE, approve(ALICE.upper(), who="x"), "approved it already", False),
    "who registered it, by object id": (registered_by(OID), approve(), "registered a version", True),
    "who registered it, in capitals": (registered_by(OID.upper()), approve(), "registered a version", True),
    "who registered it, by name": (registered_by("1@team.example"), approve(), "registered a version", True),
    "the key that registered it": (registered_by("release-bot"), KEY, "registered a version", True),
    "who asked for it, by identity": (waiting(people=(ALICE,)), approve(), "asked for a delivery", True),
    "who asked for it, by name": (asked_by("1@team.example"), approve(), "asked for a delivery", True),
    "the key that asked for it": (asked_by("release-bot"), KEY, "asked for a delivery", True),
    "a rejection without a role": (WAITING, reject(roles=("Viewer",)), "takes the role Approver.pro or Operator", True),
    "a rejection without a reason": (WAITING, reject(why=""), "say why", False),
    "a rejection of what nobody knows": (st.Unregistered(), reject(), "nothing to reject", False),
    "a rejection of what no gate delivers": (STATES["ignored"], reject(), "nothing to reject", False),
    "a second rejection": (STATES["rejected-by-person"], reject(), "rejected already by alice@team.example", False),
    "a rejection of what is blocked": (STATES["rejected-blocked"], reject(), "it was rejected already", False),
}


@pytest.mark.parametrize(("state", "decided", "words", "is_about_them"), REFUSED.values(), ids=REFUSED.keys())
def test_a_decision_that_does_not_count_is_refused_with_its_reason(
    state: st.State, decided: dm.Decided, words: str, is_about_them: bool
) -> None:
    reason = refusal(state, decided)
    assert reason is not None
    assert words in reason
    assert reason == reason.strip()
    assert (forbidden(state, decided) is not None) == is_about_them


COUNTS: dict[str, tuple[st.State, dm.Decided]] = {
    "a yes": (WAITING, approve()),
    "a yes in the last second": (WAITING, approve(at=EXPIRES - datetime.timedelta(seconds=1))),
    "a second person's yes": (ONE_MORE, approve(BOB)),
    "a key's yes": (WAITING, KEY),
    "somebody else registered it": (registered_by("somebody"), approve()),
    "nobody knows who registered it": (registered_by(""), approve()),
    "nobody knows what they are called": (registered_by(""), approve(who="")),
    "a no by an operator": (WAITING, reject()),
    "a no by an approver": (STATES["rolling"], reject(roles=("Approver.pro",))),
    "a no of who asked for it": (waiting(people=(ALICE,)), reject()),
    "a no to what is delivered": (STATES["delivered"], reject()),
    "a no to what failed": (STATES["failed"], reject()),
    "a no to what the gate rejected": (STATES["rejected-screening"], reject()),
}


@pytest.mark.parametrize(("state", "decided"), COUNTS.values(), ids=COUNTS.keys())
def test_a_decision_that_counts_is_not_refused(state: st.State, decided: dm.Decided) -> None:
    assert refusal(state, decided) is None


def test_an_object_id_of_another_tenant_is_another_person() -> None:
    assert refusal(ONE_MORE, approve(f"another-tenant/{OID}")) is None


REQUESTS: dict[str, tuple[str, dm.DeliveryRequested, str | None]] = {
    "rejected by a person": (
        "rejected-by-person",
        requested(),
        "it was rejected by alice@team.example and stays blocked",
    ),
    "blocked at an endpoint": ("rejected-blocked", requested(), "it was rejected and stays blocked"),
    "without a reason": ("rolled-back", requested(why=""), "say why"),
    "after its rollback, with a reason": ("rolled-back", requested(), None),
    "after the gate rejected it": ("rejected-screening", requested(), None),
    "under way": ("rolling", requested(), None),
    "delivered": ("delivered", requested(), None),
    "unknown": ("unregistered", requested(), None),
}


@pytest.mark.parametrize(("name", "event", "words"), REQUESTS.values(), ids=REQUESTS.keys())
def test_a_request_is_refused_where_a_person_rejected_the_version_or_no_reason_is_given(
    name: str, event: dm.DeliveryRequested, words: str | None
) -> None:
    reason = refusal(STATES[name], event)
    assert (reason is None) if words is None else (reason is not None and words in reason)


OTHER: dict[str, st.Delivery] = {
    "workspace": dataclasses.replace(delivery(), model=dataclasses.replace(delivery().model, workspace="ml-int")),
    "name": dataclasses.replace(delivery(), model=dataclasses.replace(delivery().model, name="other")),
    "version": dataclasses.replace(delivery(), model=dataclasses.replace(delivery().model, version="8")),
    "artefact": delivery(facts=dataclasses.replace(FACTS, artefact=Artefact("e" * 64, 5 << 20, 3))),
    "serving image": delivery(facts=dataclasses.replace(FACTS, serving_image="other@sha256:" + "0" * 64)),
    "gate": delivery(gate(version="ba9876543210")),
    "metrics": delivery(facts=dataclasses.replace(FACTS, metrics=(("accuracy", 0.9001), ("loss", 0.3)))),
}


@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER.keys())
def test_whatever_is_decided_on_changes_the_evidence(other: st.Delivery) -> None:
    assert evidence(other, "pro") != EVIDENCE


def test_the_evidence_is_of_one_stage_and_the_same_whenever_it_is_made() -> None:
    assert evidence(delivery(), "int") != EVIDENCE
    assert evidence(delivery(GATE, FACTS, "dev"), "pro") == EVIDENCE
    assert len(EVIDENCE) == len(SHA)


def test_only_what_waits_has_an_evidence() -> None:
    assert evidence_of(WAITING) == EVIDENCE
    assert [name for name, state in STATES.items() if evidence_of(state)] == ["awaiting", "awaiting-one-more"]


def test_a_stage_begins_with_as_many_yes_as_its_quorum() -> None:
    dev, _, pro = GATE.stages
    votes = (vote(), vote(BOB), vote(CAROL))
    assert [is_approved(pro, votes[:number]) for number in range(4)] == [False, False, True, True]
    assert is_approved(dev, ())


def test_a_person_is_a_tenant_and_an_object_id() -> None:
    assert ALICE.startswith(f"{TENANT}/")
    assert approve().at == LATER
