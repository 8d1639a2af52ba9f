"""From pushed to promoted: the decisions of image promotion as tables, and the paths through them as stories."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from tests.flows.samples import (
    FACTS,
    FAILED,
    FLOW,
    GATE,
    IMAGE_STATES,
    LATER,
    NOW,
    PASSED,
    TARGET,
    before_targets,
    claimant,
    gate,
    image,
    image_events,
    order,
    pushed,
    request,
    requested,
    settled,
    work,
)
from tidegate.flows.base import After, CommandErrored, CommandRefused, Decision, Publish, Tell
from tidegate.flows.images import image_messages as im
from tidegate.flows.images import image_states as st
from tidegate.flows.images import tag_ownership as own
from tidegate.flows.images.image_gate import ImageGate
from tidegate.flows.images.image_promotion import key
from tidegate.flows.images.promotion_copying import IMPORT_ATTEMPTS, IMPORT_DEADLINE, REFERRER_CHECKS
from tidegate.flows.images.promotion_testing import CLUSTER_GRACE, TEST_GRACE

HEALTHY = image().within("tidegatehealthy", "training/litter")
RECORD = "sha256:" + "f" * 64
SIGNED = gate(promote={"referrers": ("*/sbom",), "required_referrers": ("application/sig",)})
LOCKED = gate(promote={"lock_manifest": True})
FIRM = gate(promote={"tags": "immutable", "lock_tag": True})
SKIPPED = gate(test={"skip": "trusted builder"})
STRICT = gate(require={"non_root": True})
ROOT = dataclasses.replace(FACTS, images=(dataclasses.replace(FACTS.images[0], user="root"),))


def _open(*tags: str, gate: ImageGate = GATE) -> st.Work:
    return work(*(st.Claim(tag, order(number)) for number, tag in enumerate(tags, start=1)), gate=gate)


def _decide(state: st.State, event: im.Event) -> Decision[Any, Any]:
    return FLOW.decide(state, event)


def _names(step: Decision[Any, Any]) -> list[str]:
    """What is asked for, in words: commands by name, events told by name, outcomes by type."""
    return [_name(command) for command in step.commands]


def _name(command: object) -> str:
    match command:
        case After(seconds=seconds, command=later):
            return f"{_name(later)} after {seconds} s"
        case Tell(event=event):
            return type(event).__name__
        case Publish(type=kind):
            return kind
        case _:
            return type(command).__name__


def _story(*events: im.Event, state: st.State | None = None) -> Decision[Any, Any]:
    """The last step after all these events."""
    step: Decision[Any, Any] = Decision(st.Unseen() if state is None else state)
    for event in events:
        step = _decide(step.state, event)
    return step


# Pushes and requests -----------------------------------------------------------------------------------------------

ASKED: dict[str, tuple[st.State, im.Asked, type[Any], list[str]]] = {
    "a push of something new is looked at": (st.Unseen(), pushed(1), st.Inspecting, ["InspectImage"]),
    "a request for something new is looked at": (st.Unseen(), requested(1), st.Inspecting, ["InspectImage"]),
    "a tag joins while the image is looked at": (IMAGE_STATES["inspecting"], pushed(2, "v2"), st.Inspecting, []),
    "a tag joins while the test runs": (IMAGE_STATES["testing"], pushed(2, "v2"), st.Testing, ["TagPushed"]),
    "a tag joins while it is imported": (IMAGE_STATES["importing"], pushed(2, "v2"), st.Importing, ["TagPushed"]),
    "a tag joins while its record is attached": (
        IMAGE_STATES["attesting"],
        pushed(2, "v2"),
        st.Attesting,
        ["TagPushed"],
    ),
    "a tag joins while others are settled": (IMAGE_STATES["tagging"], pushed(2, "v2"), st.Tagging, ["TagApproved"]),
    "a tag joins a promoted image": (IMAGE_STATES["promoted"], pushed(2, "v2"), st.Promoted, ["TagApproved"]),
    "the digest of a promoted image is asked for": (IMAGE_STATES["promoted"], requested(2, ""), st.Promoted, []),
    "the same push again": (IMAGE_STATES["testing"], pushed(1), st.Testing, []),
    "an older push of the tag": (IMAGE_STATES["promoted"], pushed(0), st.Promoted, []),
    "a promoted image is pushed again": (IMAGE_STATES["promoted"], pushed(5), st.Promoted, ["TagApproved"]),
    "a failed image stays rejected": (IMAGE_STATES["rejected-test"], pushed(5), st.Rejected, ["TagPushed"]),
    "a failed image stays rejected when asked for": (
        IMAGE_STATES["rejected-test"],
        requested(5),
        st.Rejected,
        ["TagPushed"],
    ),
    "a failed image is overridden": (
        IMAGE_STATES["rejected-test"],
        requested(5, override=True),
        st.Importing,
        ["ImportImage"],
    ),
    "an image below requirements is overridden": (
        IMAGE_STATES["rejected-requirements"],
        requested(5, override=True),
        st.Importing,
        ["ImportImage"],
    ),
    "an unsigned image is overridden": (
        IMAGE_STATES["rejected-referrers"],
        requested(5, override=True),
        st.Importing,
        ["ImportImage"],
    ),
    "an unsigned image is asked for again": (
        IMAGE_STATES["rejected-referrers"],
        requested(5),
        st.Importing,
        ["TagPushed", "ImportImage"],
    ),
    "a conflict is not overridden, but tried again": (
        IMAGE_STATES["rejected-conflict"],
        requested(5, override=True),
        st.Importing,
        ["TagPushed", "ImportImage"],
    ),
    "a conflict stays when the tag is pushed again": (
        IMAGE_STATES["rejected-conflict"],
        pushed(5),
        st.Rejected,
        ["TagPushed"],
    ),
    "an image whose tag was taken is pushed under a free one": (
        IMAGE_STATES["rejected-conflict"],
        pushed(5, "v2"),
        st.Importing,
        ["TagPushed", "ImportImage"],
    ),
    "a missing digest is pushed again": (
        IMAGE_STATES["rejected-missing"],
        pushed(5),
        st.Inspecting,
        ["TagPushed", "InspectImage"],
    ),
    "a superseded image is pushed again": (
        IMAGE_STATES["superseded"],
        pushed(5),
        st.Inspecting,
        ["TagPushed", "InspectImage"],
    ),
    "a superseded image that had passed is pushed again": (
        IMAGE_STATES["superseded-passed"],
        pushed(5),
        st.Importing,
        ["TagPushed", "ImportImage"],
    ),
    "an image whose test gave no verdict is pushed again": (
        IMAGE_STATES["errored-test"],
        pushed(5),
        st.Inspecting,
        ["TagPushed", "InspectImage"],
    ),
    "an image whose import failed is asked for again": (
        IMAGE_STATES["errored-import"],
        requested(5),
        st.Importing,
        ["TagPushed", "ImportImage"],
    ),
    "a chart is pushed again": (IMAGE_STATES["ignored"], pushed(5), st.Ignored, []),
}


@pytest.mark.parametrize(("state", "event", "after", "commands"), ASKED.values(), ids=ASKED.keys())
def test_a_push_or_request_starts_joins_or_changes_nothing(
    state: st.State, event: im.Asked, after: type[Any], commands: list[str]
) -> None:
    step = _decide(state, event)
    assert (type(step.state), _names(step)) == (after, commands)


def test_a_taken_tag_pushed_again_and_again_stays_taken() -> None:
    step = _story(pushed(5), pushed(6), pushed(7), state=IMAGE_STATES["rejected-conflict"])
    assert isinstance(step.state, st.Rejected)
    assert [claim.status for claim in step.state.work.claims] == ["taken"]


def test_a_kept_verdict_is_not_tested_again() -> None:
    step = _decide(IMAGE_STATES["errored-import"], pushed(5))
    assert step.state.verdict == PASSED


def test_five_tags_are_one_test_and_five_claims() -> None:
    tags = [f"v{number}" for number in range(1, 6)]
    steps = []
    step: Decision[Any, Any] = Decision(st.Unseen())
    for number, tag in enumerate(tags, start=1):
        step = _decide(step.state, pushed(number, tag))
        steps.append(step)
    for event in (
        im.ImageInspected(1, FACTS, LATER),
        im.ImageTestStarted(2, "run-1", LATER),
        im.ImageTestPassed(2, "", "", LATER),
        im.ImageImported(3, already=False, at=LATER),
        im.RecordAttached(4, RECORD, LATER),
    ):
        step = _decide(step.state, event)
        steps.append(step)
    asked = [name for each in steps for name in _names(each)]
    assert asked.count("StartImageTest") == 1
    assert asked.count("ImportImage") == 1
    assert asked.count("TagApproved") == 5
    for number, tag in enumerate(tags, start=1):
        assert isinstance(step.state, st.Tagging)
        step = _decide(step.state, settled("placed", number, tag))
    assert isinstance(step.state, st.Promoted)
    assert {claim.status for claim in step.state.work.claims} == {"placed"}


def test_only_the_first_and_the_latest_requests_are_kept() -> None:
    state: st.State = st.Unseen()
    for number in range(1, 60):
        state = _decide(state, pushed(number)).state
    assert isinstance(state, st.Inspecting)
    requests = state.work.requests
    assert (len(requests), requests[0].id, requests[-1].id) == (st.MAX_REQUESTS, "e1", "e59")


# Reading -----------------------------------------------------------------------------------------------------------

INSPECTED: dict[str, tuple[st.Work, Any, type[Any], list[str], str]] = {
    "an image": (_open("v1"), FACTS, st.Testing, ["TagPushed", "StartImageTest"], ""),
    "a chart": (_open("v1"), dataclasses.replace(FACTS, kind="chart"), st.Ignored, [], "not an image: chart"),
    "a signature": (_open("v1"), dataclasses.replace(FACTS, kind="signature"), st.Ignored, [], "not an image"),
    "an index": (
        _open("v1"),
        dataclasses.replace(FACTS, kind="index"),
        st.Testing,
        ["TagPushed", "StartImageTest"],
        "",
    ),
    "below requirements": (
        _open("v1", gate=STRICT),
        ROOT,
        st.Rejected,
        ["TagPushed", "Tidegate.ImageRejected"],
        "runs as root",
    ),
    "below requirements, overridden": (
        dataclasses.replace(_open("v1", gate=STRICT), override=request(2)),
        ROOT,
        st.Importing,
        ["TagPushed", "ImportImage"],
        "",
    ),
    "a gate without a test": (_open("v1", gate=SKIPPED), FACTS, st.Importing, ["TagPushed", "ImportImage"], ""),
    "below requirements, at a gate without a test": (
        _open("v1", gate=gate(test={"skip": "trusted"}, require={"non_root": True})),
        ROOT,
        st.Rejected,
        ["TagPushed", "Tidegate.ImageRejected"],
        "runs as root",
    ),
    "for the digest alone": (_open(""), FACTS, st.Testing, ["StartImageTest"], ""),
}


@pytest.mark.parametrize(("work", "facts", "after", "commands", "reason"), INSPECTED.values(), ids=INSPECTED.keys())
def test_what_the_registry_says_decides_what_is_next(
    work: st.Work, facts: Any, after: type[Any], commands: list[str], reason: str
) -> None:
    step = _decide(st.Inspecting(work, 1), im.ImageInspected(1, facts, LATER))
    assert (type(step.state), _names(step)) == (after, commands)
    assert reason in getattr(step.state, "reason", "")


def test_a_missing_digest_is_rejected_and_can_be_pushed_again() -> None:
    gone = _story(pushed(1), CommandRefused(1, "no such manifest", LATER))
    assert isinstance(gone.state, st.Rejected)
    assert gone.state.cause == "missing"
    again = _decide(gone.state, pushed(2))
    assert again.commands[-1] == im.InspectImage(image(), 2)


def test_skipping_and_overriding_are_said_in_the_verdict() -> None:
    skipped = _decide(st.Inspecting(_open("v1", gate=SKIPPED), 1), im.ImageInspected(1, FACTS, LATER)).state
    overridden = _decide(IMAGE_STATES["rejected-test"], requested(5, override=True)).state
    assert (skipped.verdict.kind, skipped.verdict.reason) == ("skipped", "trusted builder")
    assert (overridden.verdict.kind, overridden.verdict.reason) == ("overridden", "exit code 1")
    assert overridden.verdict.log == FAILED.log


# Testing -----------------------------------------------------------------------------------------------------------

_RUNNING = IMAGE_STATES["testing-running"]
_OVERDUE = NOW + datetime.timedelta(seconds=GATE.test.timeout + TEST_GRACE + 1)

TESTED: dict[str, tuple[st.State, im.Event, type[Any], list[str]]] = {
    "started": (
        IMAGE_STATES["testing"],
        im.ImageTestStarted(2, "run-1", LATER),
        st.Testing,
        ["CheckImageTest after 0.3 s"],
    ),
    "a second run is not listened to": (_RUNNING, im.ImageTestStarted(2, "run-2", LATER), st.Testing, []),
    "still running": (_RUNNING, im.ImageTestRunning(2, 4, LATER), st.Testing, ["CheckImageTest after 1 s"]),
    "an earlier look": (_RUNNING, im.ImageTestRunning(2, 3, LATER), st.Testing, []),
    "passed": (_RUNNING, im.ImageTestPassed(2, "l", "s", LATER), st.Importing, ["ImportImage"]),
    "failed": (_RUNNING, im.ImageTestFailed(2, "exit 1", "l", "s", LATER), st.Rejected, ["Tidegate.ImageRejected"]),
    "failed, overridden before": (
        IMAGE_STATES["testing-override"],
        im.ImageTestFailed(2, "exit 1", "l", "s", LATER),
        st.Importing,
        ["ImportImage"],
    ),
    "errored": (
        _RUNNING,
        im.ImageTestErrored(2, "lost", LATER),
        st.Testing,
        ["StopImageTest", "StartImageTest after 15 s"],
    ),
    "errored for the second time": (
        st.Testing(_open("v1"), 3, NOW, "run-2", tries=2),
        im.ImageTestErrored(3, "lost", LATER),
        st.Testing,
        ["StopImageTest", "StartImageTest after 60 s"],
    ),
    "errored for the last time": (
        IMAGE_STATES["testing-last-try"],
        im.ImageTestErrored(4, "lost", LATER),
        st.Errored,
        ["StopImageTest", "Tidegate.PromotionErrored"],
    ),
    "no verdict in time": (
        _RUNNING,
        im.ImageTestRunning(2, 4, _OVERDUE),
        st.Testing,
        ["StopImageTest", "StartImageTest after 15 s"],
    ),
    "refused": (
        IMAGE_STATES["testing"],
        CommandRefused(2, "quota", LATER),
        st.Testing,
        ["StartImageTest after 15 s"],
    ),
    "no answer for a day": (
        IMAGE_STATES["testing-last-try"],
        CommandErrored(4, "no answer", LATER),
        st.Errored,
        ["StopImageTest", "Tidegate.PromotionErrored"],
    ),
    "superseded meanwhile": (
        _RUNNING,
        settled("superseded", 1),
        st.Superseded,
        ["StopImageTest", "Tidegate.ImageSuperseded"],
    ),
    "superseded before the run was known": (
        IMAGE_STATES["testing"],
        settled("superseded", 1),
        st.Superseded,
        ["Tidegate.ImageSuperseded"],
    ),
    "one of its tags superseded": (
        IMAGE_STATES["testing-mixed"],
        settled("superseded", 2, "v2"),
        st.Testing,
        [],
    ),
}


@pytest.mark.parametrize(("state", "event", "after", "commands"), TESTED.values(), ids=TESTED.keys())
def test_a_test_ends_in_a_verdict_another_try_or_with_people(
    state: st.State, event: im.Event, after: type[Any], commands: list[str]
) -> None:
    step = _decide(state, event)
    assert (type(step.state), _names(step)) == (after, commands)


def test_an_error_never_becomes_a_failed_test() -> None:
    state = IMAGE_STATES["testing"]
    for attempt in range(2, 2 + GATE.test.attempts):
        state = _decide(state, im.ImageTestErrored(attempt, "lost", LATER)).state
    assert isinstance(state, st.Errored)
    assert (state.step, state.verdict) == ("test", None)


def test_the_verdict_says_which_run_it_comes_from() -> None:
    step = _decide(_RUNNING, im.ImageTestPassed(2, "https://evidence.example/log", "cd", LATER))
    assert step.state.verdict.run == "run-1"
    assert (step.state.verdict.log, step.state.verdict.log_sha256) == ("https://evidence.example/log", "cd")


# Importing ---------------------------------------------------------------------------------------------------------

_IMPORTING = IMAGE_STATES["importing-running"]
_LATE = NOW + datetime.timedelta(seconds=IMPORT_DEADLINE + 1)

IMPORTED: dict[str, tuple[st.State, im.Event, type[Any], list[str]]] = {
    "started": (
        IMAGE_STATES["importing"],
        im.ImportStarted(3, "import-1", LATER),
        st.Importing,
        ["CheckImport after 0 s"],
    ),
    "a second operation is not asked about": (_IMPORTING, im.ImportStarted(3, "import-2", LATER), st.Importing, []),
    "still copying": (_IMPORTING, im.ImportRunning(3, 3, LATER), st.Importing, ["CheckImport after 0.4 s"]),
    "copied": (_IMPORTING, im.ImageImported(3, already=False, at=LATER), st.Attesting, ["AttachRecord"]),
    "there before": (
        IMAGE_STATES["importing"],
        im.ImageImported(3, already=True, at=LATER),
        st.Attesting,
        ["AttachRecord"],
    ),
    "copied, with referrers to follow": (
        IMAGE_STATES["importing-signed"],
        im.ImageImported(3, already=False, at=LATER),
        st.CopyingReferrers,
        ["CopyReferrers"],
    ),
    "failed": (_IMPORTING, im.ImportFailed(3, "aborted", LATER), st.Importing, ["ImportImage after 5 s"]),
    "refused": (_IMPORTING, CommandRefused(3, "no", LATER), st.Importing, ["ImportImage after 5 s"]),
    "failed for the last time": (
        IMAGE_STATES["importing-last-try"],
        im.ImportFailed(7, "aborted", LATER),
        st.Errored,
        ["Tidegate.PromotionErrored"],
    ),
    "copying for too long": (_IMPORTING, im.ImportRunning(3, 3, _LATE), st.Importing, ["ImportImage after 5 s"]),
    "no answer for a day": (
        _IMPORTING,
        CommandErrored(3, "no answer", LATER),
        st.Errored,
        ["Tidegate.PromotionErrored"],
    ),
}


@pytest.mark.parametrize(("state", "event", "after", "commands"), IMPORTED.values(), ids=IMPORTED.keys())
def test_an_import_arrives_is_tried_again_or_goes_to_people(
    state: st.State, event: im.Event, after: type[Any], commands: list[str]
) -> None:
    step = _decide(state, event)
    assert (type(step.state), _names(step)) == (after, commands)


def test_imports_wait_longer_each_time() -> None:
    state: Any = IMAGE_STATES["importing"]
    waits = []
    for number in range(IMPORT_ATTEMPTS - 1):
        step = _decide(state, im.ImportFailed(3 + number, "aborted", LATER))
        waits.append(step.commands[0].seconds)
        state = step.state
    assert waits == [5, 20, 80, 300]


def test_an_image_whose_tags_all_went_to_newer_pushes_is_not_imported() -> None:
    gone = work(st.Claim("v1", order(1), "superseded"))
    testing = st.Testing(gone, 2, NOW, "run-1")
    step = _decide(testing, im.ImageTestPassed(2, "", "", LATER))
    assert (type(step.state), _names(step)) == (st.Superseded, ["Tidegate.ImageSuperseded"])


# Referrers, record, tags, lock -------------------------------------------------------------------------------------

_COPYING = st.CopyingReferrers(_open("v1", gate=SIGNED), PASSED, 4)


def test_required_referrers_are_waited_for_and_then_missed() -> None:
    step: Decision[Any, Any] = Decision(_COPYING)
    for number in range(REFERRER_CHECKS - 1):
        step = _decide(step.state, im.ReferrersCopied(4 + number, 0, ("application/sbom",), LATER))
        assert _names(step) == ["CopyReferrers after 30 s"]
    step = _decide(step.state, im.ReferrersCopied(4 + REFERRER_CHECKS - 1, 0, (), LATER))
    assert isinstance(step.state, st.Rejected)
    assert (step.state.cause, step.state.reason) == (
        "referrers",
        "nothing attached of type application/sig (promote.referrers.require)",
    )


def test_required_referrers_that_appear_are_enough() -> None:
    step = _story(
        im.ReferrersCopied(4, 0, (), LATER), im.ReferrersCopied(5, 1, ("application/sig",), LATER), state=_COPYING
    )
    assert (type(step.state), _names(step)) == (st.Attesting, ["AttachRecord"])


def test_referrers_that_travel_and_that_are_required_are_asked_for_together() -> None:
    step = _decide(IMAGE_STATES["importing-signed"], im.ImageImported(3, already=False, at=LATER))
    assert step.commands == (im.CopyReferrers(image(), HEALTHY, ("*", "application/sig"), 4),)


SETTLED: dict[str, tuple[st.State, own.TagSettled, type[Any], list[str]]] = {
    "placed": (IMAGE_STATES["tagging"], settled("placed"), st.Promoted, ["Tidegate.ImagePromoted"]),
    "placed, and locked next": (
        IMAGE_STATES["tagging-locked"],
        settled("placed"),
        st.Locking,
        ["Tidegate.ImagePromoted", "LockManifest"],
    ),
    "kept, and never announced": (IMAGE_STATES["tagging"], settled("kept"), st.Promoted, ["Tidegate.ImagePromoted"]),
    "kept, as announced": (
        st.Promoted(work(st.Claim("v1", order(5), announced=True)), PASSED, 8, RECORD),
        settled("kept", 5),
        st.Promoted,
        [],
    ),
    "superseded": (IMAGE_STATES["tagging"], settled("superseded"), st.Superseded, ["Tidegate.ImageSuperseded"]),
    "taken": (
        IMAGE_STATES["tagging"],
        settled("taken", detail=image("b").digest),
        st.Rejected,
        ["Tidegate.TagConflict", "Tidegate.ImageRejected"],
    ),
    "errored": (IMAGE_STATES["tagging"], settled("errored"), st.Errored, ["Tidegate.PromotionErrored"]),
    "one of several": (
        st.Tagging(_open("v1", "v2"), PASSED, 6, RECORD),
        settled("placed"),
        st.Tagging,
        ["Tidegate.ImagePromoted"],
    ),
    "the last of several, others placed": (
        IMAGE_STATES["tagging-mixed"],
        settled("taken", 2, "v2", image("b").digest),
        st.Tagging,
        ["Tidegate.TagConflict"],
    ),
    "of an older order": (
        st.Tagging(work(st.Claim("v1", order(5))), PASSED, 6, RECORD),
        settled("superseded", 1),
        st.Tagging,
        [],
    ),
    "joined later, placed": (
        IMAGE_STATES["promoted-joined"],
        settled("placed", 2, "v2"),
        st.Promoted,
        ["Tidegate.ImagePromoted"],
    ),
    "joined later, taken": (
        IMAGE_STATES["promoted-joined"],
        settled("taken", 2, "v2", image("b").digest),
        st.Promoted,
        ["Tidegate.TagConflict"],
    ),
    "superseded while it is imported": (IMAGE_STATES["importing"], settled("superseded"), st.Importing, []),
    "superseded while it is looked at": (
        IMAGE_STATES["inspecting"],
        settled("superseded"),
        st.Superseded,
        ["Tidegate.ImageSuperseded"],
    ),
    "after the end": (IMAGE_STATES["errored-test"], settled("superseded"), st.Errored, []),
}


@pytest.mark.parametrize(("state", "event", "after", "commands"), SETTLED.values(), ids=SETTLED.keys())
def test_a_settled_tag_is_announced_and_the_last_one_ends_the_work(
    state: st.State, event: own.TagSettled, after: type[Any], commands: list[str]
) -> None:
    step = _decide(state, event)
    assert (type(step.state), _names(step)) == (after, commands)


SUPERSEDED_IN: dict[str, type[Any]] = {
    "inspecting": st.Superseded,
    "testing": st.Superseded,
    "testing-running": st.Superseded,
    "importing": st.Importing,
    "copying": st.CopyingReferrers,
    "attesting": st.Attesting,
    "tagging": st.Superseded,
    "rejected-test": st.Rejected,
    "ignored": st.Ignored,
    "errored-test": st.Errored,
}
"""Before it is copied an image ends at once; later it is completed, so that nothing half done stays, and ends at its tag."""


@pytest.mark.parametrize(("name", "after"), SUPERSEDED_IN.items(), ids=SUPERSEDED_IN.keys())
def test_an_image_may_be_superseded_in_every_state(name: str, after: type[Any]) -> None:
    step = _decide(IMAGE_STATES[name], settled("superseded", detail=image("b").digest))
    assert type(step.state) is after
    assert [claim.status for claim in step.state.work.claims] == ["superseded"]


def test_an_image_superseded_while_it_is_copied_is_attested_and_takes_no_tag() -> None:
    step = _story(
        settled("superseded", detail=image("b").digest),
        im.ImageImported(3, already=False, at=LATER),
        im.RecordAttached(4, RECORD, LATER),
        state=IMAGE_STATES["importing"],
    )
    assert (type(step.state), _names(step)) == (st.Superseded, ["Tidegate.ImageSuperseded"])


def test_an_answer_overtaken_by_the_one_to_a_newer_push_is_not_announced_twice() -> None:
    again = _decide(IMAGE_STATES["tagging"], pushed(5)).state
    newer = _decide(again, settled("kept", 5))
    older = _decide(newer.state, settled("placed", 1))
    assert (_names(newer), _names(older)) == (["Tidegate.ImagePromoted"], [])


def test_a_claim_names_what_the_tag_needs_to_know() -> None:
    attached = _decide(st.Attesting(_open("v1", gate=FIRM), PASSED, 5), im.RecordAttached(5, RECORD, LATER))
    firm = claimant("a", 1, movable=False, gate=FIRM, lock=True)
    assert attached.commands == (Tell(own.key(TARGET), own.TagApproved(TARGET, firm)),)


def test_a_request_for_the_digest_needs_no_tag() -> None:
    step = _decide(st.Attesting(_open(""), PASSED, 5), im.RecordAttached(5, RECORD, LATER))
    assert (type(step.state), _names(step)) == (st.Promoted, ["Tidegate.ImagePromoted"])


def test_a_locked_manifest_ends_the_work() -> None:
    done = _decide(IMAGE_STATES["locking"], im.ManifestLocked(7, LATER))
    refused = _decide(IMAGE_STATES["locking"], CommandRefused(7, "no", LATER))
    assert (type(done.state), _names(done)) == (st.Promoted, [])
    assert (type(refused.state), _names(refused)) == (st.Errored, ["Tidegate.PromotionErrored"])


@pytest.mark.parametrize("event", [CommandRefused(5, "no", LATER), CommandErrored(5, "no answer", LATER)])
def test_a_record_that_cannot_be_attached_places_no_tag(event: im.Event) -> None:
    step = _decide(IMAGE_STATES["attesting"], event)
    assert (type(step.state), _names(step)) == (st.Errored, ["Tidegate.PromotionErrored"])


def test_the_record_names_digest_gate_verdict_and_requests() -> None:
    step = _decide(_IMPORTING, im.ImageImported(3, already=False, at=LATER))
    (attach,) = step.commands
    assert isinstance(attach, im.AttachRecord)
    for said in (image().digest.removeprefix("sha256:"), GATE.version, '"verdict":"passed"', PASSED.log, '"id":"e1"'):
        assert said in attach.statement


# Outcomes, audit, list ---------------------------------------------------------------------------------------------


def _published(step: Decision[Any, Any]) -> list[Publish]:
    return [command for command in step.commands if isinstance(command, Publish)]


def test_outcomes_have_ids_of_their_own_that_do_not_change() -> None:
    steps = [
        _decide(IMAGE_STATES["tagging"], settled("placed")),
        _decide(st.Tagging(work(st.Claim("v1", order(5))), PASSED, 6, RECORD), settled("placed", 5)),
        _decide(IMAGE_STATES["testing"], im.ImageTestFailed(2, "exit 1", "", "", LATER)),
        _decide(IMAGE_STATES["tagging"], settled("taken")),
    ]
    ids = [outcome.id for step in steps for outcome in _published(step)]
    assert len(set(ids)) == len(ids) == 5
    assert all(each.startswith(key(image(), GATE)) for each in ids)
    assert _published(_decide(IMAGE_STATES["tagging"], settled("placed"))) == _published(steps[0])


EXPLAINED: dict[str, tuple[im.Event, st.State, str | None]] = {
    "a push": (pushed(1), IMAGE_STATES["inspecting"], "request 1"),
    "a look that found nothing": (im.ImageTestRunning(2, 1, LATER), IMAGE_STATES["testing"], None),
    "a look that was one too many": (im.ImageTestRunning(1, 9, LATER), IMAGE_STATES["testing"], "it runs for too long"),
    "a look at the end": (im.ImportRunning(7, 9, LATER), IMAGE_STATES["errored-import"], "it runs for too long"),
    "a failed test": (
        im.ImageTestFailed(2, "exit 1", "log", "", LATER),
        IMAGE_STATES["rejected-test"],
        "exit 1",
    ),
    "a refusal": (CommandRefused(2, "quota", LATER), IMAGE_STATES["testing"], "quota"),
    "a tag": (settled("taken", detail="b"), IMAGE_STATES["rejected-conflict"], "tag v1: taken b"),
    "found in place": (im.ImageImported(3, already=True, at=LATER), IMAGE_STATES["attesting"], "was there already"),
}


@pytest.mark.parametrize(("event", "after", "why"), EXPLAINED.values(), ids=EXPLAINED.keys())
def test_every_transition_says_why_and_a_look_is_none(event: im.Event, after: st.State, why: str | None) -> None:
    explanation = FLOW.explain(event, after)
    assert (explanation.why if explanation else None) == why


@pytest.mark.parametrize("state", IMAGE_STATES.values(), ids=IMAGE_STATES.keys())
def test_a_list_shows_every_image_but_one_nobody_has_heard_of(state: st.State) -> None:
    listing = FLOW.listing(state)
    assert (listing is None) == isinstance(state, st.Unseen)
    if listing is not None:
        assert (listing.state, listing.digest) == (type(state).__name__, image().digest)


def test_a_test_on_a_cluster_waits_for_a_node_and_is_seldom_looked_at() -> None:
    """Its own event ends it; a job that has begun is ended by its own limit."""
    on_cluster = gate(test={"runner": "azure-ml", "cluster": "vision/gpu"})
    state = st.Testing(_open("v1", gate=on_cluster), 2, NOW, run="azure-ml.vision.t1")
    waited = im.ImageTestRunning(2, 1, NOW + datetime.timedelta(seconds=TEST_GRACE + 2 * 60))
    assert _decide(state, waited).commands == (After(60, im.CheckImageTest(image(), "azure-ml.vision.t1", 2, 2)),)
    late = im.ImageTestRunning(2, 1, NOW + datetime.timedelta(seconds=on_cluster.test.timeout + CLUSTER_GRACE + 1))
    assert _names(_decide(state, late))[0] == "StopImageTest"


@pytest.mark.parametrize("state", IMAGE_STATES.values(), ids=IMAGE_STATES.keys())
def test_a_record_that_does_not_say_where_its_image_goes_goes_there_all_the_same(state: st.State) -> None:
    """Records were written without it once."""
    events = image_events(getattr(state, "attempt", 1))
    for event in events.values():
        assert _decide(before_targets(state), event) == _decide(state, event)
