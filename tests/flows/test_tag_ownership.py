"""Who gets a tag: the decisions of tag ownership as tables."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.flows.samples import LATER, NOW, TARGET, claimant, gate, image, order
from tidegate.flows.base import After, CommandErrored, CommandRefused, Decision, Tell
from tidegate.flows.images import tag_ownership as own

A, B, C = claimant("a", 1), claimant("b", 2), claimant("c", 3)
A_AGAIN = claimant("a", 5)
A_AGAIN_EARLY = claimant("a", 2)
A_OTHER_GATE = claimant("a", 1, gate=gate(version="ba9876543210"))
B_OTHER_GATE = claimant("b", 2, gate=gate(version="ba9876543210"))
A_FIRM, B_FIRM = claimant("a", 1, movable=False), claimant("b", 2, movable=False)


def _pushed(who: own.Claimant) -> own.TagPushed:
    return own.TagPushed(TARGET, who)


def _approved(who: own.Claimant) -> own.TagApproved:
    return own.TagApproved(TARGET, who)


def _place(who: own.Claimant, attempt: int) -> own.PlaceTag:
    return own.PlaceTag(TARGET, who.digest, who.movable, who.lock, attempt)


def _look(attempt: int) -> After[own.LookAtTag]:
    return After(own.VERIFY_AFTER, own.LookAtTag(TARGET, attempt))


def _tell(who: own.Claimant, result: own.Result, detail: str = "", at: Any = LATER) -> Tell[own.TagSettled]:
    return Tell(who.key, own.TagSettled("v1", who.order, result, detail, at))


def _owned(newest: own.Claimant, owner: own.Claimant | None, attempt: int = 0, **fields: Any) -> own.Owned:
    return own.Owned(TARGET, newest, owner, attempt, **fields)


def _placing(
    newest: own.Claimant, owner: own.Claimant | None, placing: own.Claimant, attempt: int = 1, **fields: Any
) -> own.Placing:
    return own.Placing(TARGET, newest, owner, placing, attempt=attempt, **fields)


def _told(*claims: own.Claimant) -> tuple[str, ...]:
    return tuple(f"{each.order} {each.key}" for each in claims)


CASES: dict[str, tuple[own.State, own.Event, own.State, tuple[Any, ...]]] = {
    "the first push is remembered": (own.Unclaimed(), _pushed(A), _owned(A, None), ()),
    "the first approval places": (own.Unclaimed(), _approved(A), _placing(A, None, A), (_place(A, 1),)),
    "an approved push places": (_owned(A, None), _approved(A), _placing(A, None, A), (_place(A, 1),)),
    "a written tag is told and looked at again": (
        _placing(A, None, A),
        own.TagWritten(1, "", LATER),
        _owned(A, A, 1),
        (_tell(A, "placed"), _look(1)),
    ),
    "a write whose answer was lost counts as written": (
        _placing(A, None, A),
        own.TagWritten(1, A.digest, LATER),
        _owned(A, A, 1),
        (_tell(A, "placed", A.digest), _look(1)),
    ),
    "a newer push supersedes one that waits for its test": (
        _owned(A, None),
        _pushed(B),
        _owned(B, None, told=_told(A)),
        (_tell(A, "superseded", B.digest, NOW),),
    ),
    "a newer push leaves the owner alone until it is approved": (_owned(A, A, 1), _pushed(B), _owned(B, A, 1), ()),
    "a newer push leaves a write under way alone": (_placing(A, None, A), _pushed(B), _placing(B, None, A), ()),
    "an approved newer push waits for the write": (
        _placing(B, None, A),
        _approved(B),
        _placing(B, None, A, waiting=(B,)),
        (),
    ),
    "whoever waits is placed next": (
        _placing(B, None, A, waiting=(B,)),
        own.TagWritten(1, "", LATER),
        _placing(B, A, B, 2),
        (_tell(A, "placed"), _place(B, 2)),
    ),
    "whoever waits is superseded by a newer push": (
        _placing(B, None, A, waiting=(B,)),
        _pushed(C),
        _placing(C, None, A, told=_told(B)),
        (_tell(B, "superseded", C.digest, NOW),),
    ),
    "an older push that comes late is told so": (
        _owned(B, None),
        _pushed(A),
        _owned(B, None, told=_told(A)),
        (_tell(A, "superseded", B.digest, NOW),),
    ),
    "an older approval that comes late is told so": (
        _owned(B, B, 1),
        _approved(A),
        _owned(B, B, 1, told=_told(A)),
        (_tell(A, "superseded", B.digest, NOW),),
    ),
    "an older push is told so once": (
        _owned(B, B, 1, told=_told(A)),
        _approved(A),
        _owned(B, B, 1, told=_told(A)),
        (),
    ),
    "the owner's late duplicate changes nothing": (_owned(B, A, 1), _approved(A), _owned(B, A, 1), ()),
    "a duplicate of the claim being written changes nothing": (
        _placing(B, None, A),
        _approved(A),
        _placing(B, None, A),
        (),
    ),
    "a duplicate push of the claim being written changes nothing": (
        _placing(B, None, A),
        _pushed(A),
        _placing(B, None, A),
        (),
    ),
    "the owner pushed again keeps the tag": (
        _owned(B, A, 1),
        _approved(A_AGAIN),
        _owned(A_AGAIN, A_AGAIN, 1, told=_told(B)),
        (_tell(B, "superseded", A.digest, NOW), _tell(A_AGAIN, "kept", A.digest, NOW)),
    ),
    "the owner pushed again, then overtaken, keeps the tag until the newer push is approved": (
        _owned(C, A, 1),
        _approved(A_AGAIN_EARLY),
        _owned(C, A_AGAIN_EARLY, 1),
        (_tell(A_AGAIN_EARLY, "kept", A.digest, NOW),),
    ),
    "the owner's duplicate does not wait for the write that takes its tag": (
        _placing(B, A, B, 2),
        _approved(A),
        _placing(B, A, B, 2),
        (),
    ),
    "the owner's newer push does not wait for a write that is newer still": (
        _placing(C, A, C, 2),
        _approved(A_AGAIN_EARLY),
        _placing(C, A, C, 2, told=_told(A_AGAIN_EARLY)),
        (_tell(A_AGAIN_EARLY, "superseded", C.digest, NOW),),
    ),
    "the owner's newest push waits for the write that takes its tag": (
        _placing(A_AGAIN, A, B, 2),
        _approved(A_AGAIN),
        _placing(A_AGAIN, A, B, 2, waiting=(A_AGAIN,)),
        (),
    ),
    "the image being written is pushed again": (
        _placing(A, None, A),
        _approved(A_AGAIN),
        _placing(A_AGAIN, None, A_AGAIN),
        (),
    ),
    "one image under two versions of its gate: the second keeps it": (
        _owned(A, A, 1),
        _approved(A_OTHER_GATE),
        _owned(A, A, 1, told=_told(A_OTHER_GATE)),
        (_tell(A_OTHER_GATE, "kept", A.digest, NOW),),
    ),
    "one image under two versions of its gate: the second waits": (
        _placing(A, None, A),
        _approved(A_OTHER_GATE),
        _placing(A, None, A, waiting=(A_OTHER_GATE,)),
        (),
    ),
    "one image under two versions of its gate: both wait": (
        _placing(B, None, A, waiting=(B,)),
        _approved(B_OTHER_GATE),
        _placing(B, None, A, waiting=(B, B_OTHER_GATE)),
        (),
    ),
    "one image under two versions of its gate: both are superseded": (
        _placing(B, None, A, waiting=(B, B_OTHER_GATE)),
        _pushed(C),
        _placing(C, None, A, told=_told(B, B_OTHER_GATE)),
        (_tell(B, "superseded", C.digest, NOW), _tell(B_OTHER_GATE, "superseded", C.digest, NOW)),
    ),
    "one image under two versions of its gate: they are placed one after the other": (
        _placing(B, None, A, waiting=(B, B_OTHER_GATE)),
        own.TagWritten(1, "", LATER),
        _placing(B, A, B, 2, waiting=(B_OTHER_GATE,)),
        (_tell(A, "placed"), _place(B, 2)),
    ),
    "an older order of a claim that waits changes nothing": (
        _placing(A_AGAIN, B, B, 2, waiting=(A_AGAIN,)),
        _approved(A),
        _placing(A_AGAIN, B, B, 2, waiting=(A_AGAIN,)),
        (),
    ),
    "an immutable tag is taken": (
        _placing(B_FIRM, A_FIRM, B_FIRM, 2),
        own.TagRefused(2, A.digest, LATER),
        _owned(B_FIRM, A_FIRM, 2),
        (_tell(B_FIRM, "taken", A.digest), _look(2)),
    ),
    "a tag that was never ours is taken": (
        _placing(A_FIRM, None, A_FIRM),
        own.TagRefused(1, B.digest, LATER),
        _owned(A_FIRM, None, 1),
        (_tell(A_FIRM, "taken", B.digest),),
    ),
    "a refused write is told; the owner is looked at again": (
        _placing(B, A, B, 2),
        CommandRefused(2, "no", LATER),
        _owned(B, A, 2),
        (_tell(B, "errored", "no"), _look(2)),
    ),
    "a write without an answer is told": (
        _placing(A, None, A),
        CommandErrored(1, "no answer", LATER),
        _owned(A, None, 1),
        (_tell(A, "errored", "no answer"),),
    ),
    "an answer to an earlier write changes nothing": (
        _placing(B, A, B, 2),
        own.TagWritten(1, "", LATER),
        _placing(B, A, B, 2),
        (),
    ),
    "a second look that finds it right ends": (_owned(A, A, 1), own.TagSeen(1, A.digest, LATER), _owned(A, A, 1), ()),
    "a tag moved by a late write is put right": (
        _owned(A, A, 1),
        own.TagSeen(1, B.digest, LATER),
        _placing(A, A, A, 2, repairs=1),
        (_place(A, 2),),
    ),
    "a look from before the last write says nothing": (
        _owned(A, A, 2),
        own.TagSeen(1, B.digest, LATER),
        _owned(A, A, 2),
        (),
    ),
    "a tag that keeps moving is left to people": (
        _owned(A, A, 4, repairs=own.MAX_REPAIRS),
        own.TagSeen(4, B.digest, LATER),
        _owned(A, A, 4, repairs=own.MAX_REPAIRS),
        (),
    ),
    "an immutable tag moved by others is left to people": (
        _owned(A_FIRM, A_FIRM, 1),
        own.TagSeen(1, B.digest, LATER),
        _owned(A_FIRM, A_FIRM, 1),
        (),
    ),
    "a new owner may be repaired as often as the first": (
        _owned(B, A, 4, repairs=own.MAX_REPAIRS),
        _approved(B),
        _placing(B, A, B, 5),
        (_place(B, 5),),
    ),
}


@pytest.mark.parametrize(("state", "event", "after", "commands"), CASES.values(), ids=CASES.keys())
def test_a_tag_goes_to_the_newest_approved_push(
    state: own.State, event: own.Event, after: own.State, commands: tuple[Any, ...]
) -> None:
    assert own.TagOwnership().decide(state, event) == Decision(after, commands)


def test_what_was_told_is_remembered_for_the_last_claims_only() -> None:
    state: own.State = own.Owned(TARGET, claimant("c", 59), None)
    for number in range(1, 50):
        late = dataclasses.replace(claimant("a", number), order=order(number))
        state = own.TagOwnership().decide(state, _pushed(late)).state
    assert isinstance(state, own.Owned)
    assert len(state.told) == own.REMEMBERED


def test_a_tag_is_locked_with_its_write_if_its_gate_says_so() -> None:
    step = own.TagOwnership().decide(own.Unclaimed(), _approved(claimant("a", lock=True)))
    assert step.commands == (own.PlaceTag(TARGET, image().digest, True, True, 1),)


EXPLAINED: dict[str, tuple[own.Event, str]] = {
    "a push": (_pushed(A), f"{A.digest} at {A.order}"),
    "a first write": (own.TagWritten(1, "", LATER), "the tag named nothing before"),
    "a move": (own.TagWritten(1, B.digest, LATER), f"the tag named {B.digest} before"),
    "a look": (own.TagSeen(1, B.digest, LATER), f"the tag names {B.digest}"),
    "a look at nothing": (own.TagSeen(1, "", LATER), "the tag names nothing"),
    "a conflict": (own.TagRefused(1, B.digest, LATER), f"the tag names {B.digest}"),
    "a refusal": (CommandRefused(1, "no", LATER), "no"),
}


@pytest.mark.parametrize(("event", "why"), EXPLAINED.values(), ids=EXPLAINED.keys())
def test_every_transition_says_why(event: own.Event, why: str) -> None:
    assert own.TagOwnership().explain(event, own.Unclaimed()).why == why


def test_a_tag_is_not_listed() -> None:
    assert own.TagOwnership().listing(own.Unclaimed()) is None
