"""Values that tests share: gates, images, and one of everything that flows hear, say and are."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from tidegate.flows.base import After, CommandErrored, CommandRefused, Publish, Request, Tell
from tidegate.flows.images import image_messages as im
from tidegate.flows.images import image_states as st
from tidegate.flows.images import tag_ownership as own
from tidegate.flows.images.image_gate import (
    IMAGE_INDEXES,
    IMAGE_MANIFESTS,
    ImageFacts,
    ImageGate,
    ImageRequirements,
    ImageTest,
    PlatformImage,
    PromotionRules,
)
from tidegate.flows.images.image_promotion import ImagePromotion, key
from tidegate.flows.images.promotion_record import Verdict
from tidegate.references import ImageRef, TagRef

GATE = ImageGate(
    name="training",
    version="0123456789ab",
    test=ImageTest(
        runner="acr-task",
        command=("python3", "-m", "unittest"),
        timeout=60,
        cpu=1.0,
        memory=512 << 20,
        tmp=64 << 20,
        environment=(),
        attempts=3,
    ),
    require=ImageRequirements(
        non_root=False,
        labels=(),
        max_size=0,
        max_manifests=50,
        platforms=(),
        media_types=(*IMAGE_MANIFESTS, *IMAGE_INDEXES),
    ),
    promote=PromotionRules(
        repository="{repository}",
        tags="movable",
        lock_tag=False,
        lock_manifest=False,
        referrers=(),
        required_referrers=(),
    ),
)

FLOW = ImagePromotion("tidegatehealthy")
NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(seconds=30)
FACTS = ImageFacts(
    IMAGE_MANIFESTS[0], "image", (PlatformImage("sha256:" + "a" * 64, "linux/amd64", "1000", (), 10),), 1, False
)


def gate(
    *,
    test: dict[str, Any] | None = None,
    require: dict[str, Any] | None = None,
    promote: dict[str, Any] | None = None,
    version: str = GATE.version,
) -> ImageGate:
    """The gate with other fields."""
    return dataclasses.replace(
        GATE,
        version=version,
        test=dataclasses.replace(GATE.test, **(test or {})),
        require=dataclasses.replace(GATE.require, **(require or {})),
        promote=dataclasses.replace(GATE.promote, **(promote or {})),
    )


def image(letter: str = "a") -> ImageRef:
    return ImageRef("tidegatestaging", "training/litter", f"sha256:{letter * 64}")


def order(number: int) -> str:
    return f"2026-03-02T08:00:{number:02d}.000000000Z/e{number}"


def request(number: int, who: str = "ci") -> Request:
    return Request(f"e{number}", who, f"request {number}", NOW)


def pushed(number: int = 1, tag: str = "v1", gate: ImageGate = GATE, letter: str = "a") -> im.ImagePushed:
    return im.ImagePushed(image(letter), tag, order(number), gate, request(number))


def requested(number: int, tag: str = "v1", gate: ImageGate = GATE, *, override: bool = False) -> im.PromotionRequested:
    return im.PromotionRequested(image(), tag, order(number), gate, request(number, "operator"), override)


def target(gate: ImageGate = GATE) -> ImageRef:
    """Where the image goes."""
    return image().within("tidegatehealthy", gate.promote.target(image().repository))


def work(*claims: st.Claim, gate: ImageGate = GATE, override: Request | None = None) -> st.Work:
    return st.Work(image(), gate, claims or (st.Claim("v1", order(1)),), (request(1),), override, target(gate))


def claimant(
    letter: str = "a", number: int = 1, *, movable: bool = True, gate: ImageGate = GATE, lock: bool = False
) -> own.Claimant:
    """An image's claim on a tag, as its record makes it."""
    return own.Claimant(key(image(letter), gate), image(letter).digest, order(number), NOW, movable, lock)


def settled(result: own.Result = "placed", number: int = 1, tag: str = "v1", detail: str = "") -> own.TagSettled:
    return own.TagSettled(tag, order(number), result, detail, LATER)


PASSED = Verdict("passed", LATER, "run-1", NOW, "https://evidence.example/run-1.log", "ab" * 32)
FAILED = dataclasses.replace(PASSED, kind="failed", reason="exit code 1")
OVERRIDDEN = Verdict("overridden", LATER, reason="runs as root")
SKIPPED = Verdict("skipped", LATER, reason="trusted builder")
TARGET = TagRef("tidegatehealthy", "training/litter", "v1")

_LOCKED = gate(promote={"lock_manifest": True})
_SIGNED = gate(promote={"referrers": ("*",), "required_referrers": ("application/sig",)})
_OPEN = work()
_OVERRIDE = work(override=request(2, "operator"))
_PLACED = work(st.Claim("v1", order(1), "placed"))
_MIXED = work(st.Claim("v1", order(1), "placed"), st.Claim("v2", order(2)), st.Claim("", order(3)))
_GONE = work(st.Claim("v1", order(1), "superseded", image("b").digest))

IMAGE_STATES: dict[str, st.State] = {
    "unseen": st.Unseen(),
    "inspecting": st.Inspecting(_OPEN, 1),
    "inspecting-override": st.Inspecting(_OVERRIDE, 4),
    "inspecting-unwanted": st.Inspecting(_GONE, 4),
    "testing": st.Testing(_OPEN, 2, NOW),
    "testing-running": st.Testing(_OPEN, 2, NOW, "run-1", checks=3),
    "testing-last-try": st.Testing(_OPEN, 4, NOW, "run-3", checks=1, tries=3),
    "testing-override": st.Testing(_OVERRIDE, 2, NOW, "run-1"),
    "testing-mixed": st.Testing(_MIXED, 2, NOW, "run-1"),
    "importing": st.Importing(_OPEN, PASSED, 3, NOW),
    "importing-running": st.Importing(_OPEN, PASSED, 3, NOW, "import-1", checks=2),
    "importing-last-try": st.Importing(_OPEN, PASSED, 7, NOW, "import-5", tries=5),
    "importing-signed": st.Importing(work(gate=_SIGNED), PASSED, 3, NOW, "import-1"),
    "importing-unwanted": st.Importing(_GONE, SKIPPED, 3, NOW, "import-1"),
    "copying": st.CopyingReferrers(work(gate=_SIGNED), PASSED, 4),
    "copying-last-look": st.CopyingReferrers(work(gate=_SIGNED), PASSED, 13, checks=10),
    "attesting": st.Attesting(_OPEN, PASSED, 5),
    "attesting-untagged": st.Attesting(work(st.Claim("", order(1))), OVERRIDDEN, 5, ("application/sig",)),
    "attesting-unwanted": st.Attesting(_GONE, PASSED, 5),
    "tagging": st.Tagging(_OPEN, PASSED, 6, "sha256:" + "f" * 64),
    "tagging-mixed": st.Tagging(_MIXED, PASSED, 6, "sha256:" + "f" * 64),
    "tagging-locked": st.Tagging(work(gate=_LOCKED), PASSED, 6, "sha256:" + "f" * 64),
    "locking": st.Locking(_PLACED, PASSED, 7, "sha256:" + "f" * 64),
    "promoted": st.Promoted(_PLACED, PASSED, 8, "sha256:" + "f" * 64),
    "promoted-joined": st.Promoted(_MIXED, PASSED, 8, "sha256:" + "f" * 64),
    "rejected-test": st.Rejected(_OPEN, 2, "test", "exit code 1", FAILED),
    "rejected-requirements": st.Rejected(_OPEN, 2, "requirements", "runs as root"),
    "rejected-missing": st.Rejected(_OPEN, 1, "missing", "no such manifest"),
    "rejected-referrers": st.Rejected(work(gate=_SIGNED), 13, "referrers", "no signature", PASSED),
    "rejected-conflict": st.Rejected(work(st.Claim("v1", order(1), "taken")), 6, "conflict", "v1 names b", PASSED),
    "superseded": st.Superseded(_GONE, 3),
    "superseded-passed": st.Superseded(_GONE, 6, PASSED),
    "ignored": st.Ignored(_OPEN, 2, "not an image: chart"),
    "errored-test": st.Errored(_OPEN, 4, "test", "run lost"),
    "errored-import": st.Errored(_OPEN, 7, "import", "the copy was aborted", PASSED),
    "errored-tag": st.Errored(work(st.Claim("v1", order(1), "errored", "403")), 6, "tag", "403", PASSED),
}


def before_targets(state: st.State) -> st.State:
    """The state as it was written when records did not keep where their image goes."""
    if isinstance(state, st.Unseen):
        return state
    return dataclasses.replace(state, work=dataclasses.replace(state.work, target=st.NOWHERE))


def answers(attempt: int) -> dict[str, im.Answer]:
    """One of each answer to an attempt, with the variants that a flow tells apart."""
    much_later = NOW + datetime.timedelta(days=1)
    chart = dataclasses.replace(FACTS, kind="chart")
    return {
        "inspected": im.ImageInspected(attempt, FACTS, LATER),
        "inspected-chart": im.ImageInspected(attempt, chart, LATER),
        "inspected-foreign": im.ImageInspected(attempt, dataclasses.replace(FACTS, foreign_layers=True), LATER),
        "test-started": im.ImageTestStarted(attempt, "run-9", LATER),
        **{f"test-running-{n}": im.ImageTestRunning(attempt, n, LATER) for n in (1, 4)},
        "test-overdue": im.ImageTestRunning(attempt, 4, much_later),
        "test-passed": im.ImageTestPassed(attempt, "https://evidence.example/log", "cd" * 32, LATER),
        "test-failed": im.ImageTestFailed(attempt, "exit code 1", "https://evidence.example/log", "cd" * 32, LATER),
        "test-errored": im.ImageTestErrored(attempt, "run lost", LATER),
        "import-started": im.ImportStarted(attempt, "import-9", LATER),
        **{f"import-running-{n}": im.ImportRunning(attempt, n, LATER) for n in (1, 3)},
        "import-overdue": im.ImportRunning(attempt, 3, much_later),
        "imported": im.ImageImported(attempt, already=False, at=LATER),
        "imported-already": im.ImageImported(attempt, already=True, at=LATER),
        "import-failed": im.ImportFailed(attempt, "the copy was aborted", LATER),
        "referrers-none": im.ReferrersCopied(attempt, 0, (), LATER),
        "referrers": im.ReferrersCopied(attempt, 1, ("application/sig",), LATER),
        "attached": im.RecordAttached(attempt, "sha256:" + "f" * 64, LATER),
        "locked": im.ManifestLocked(attempt, LATER),
        "refused": CommandRefused(attempt, "refused", LATER),
        "errored": CommandErrored(attempt, "no answer", LATER),
    }


ASKED: dict[str, im.Asked] = {
    "push": pushed(1),
    "push-again": pushed(5),
    "push-old": pushed(0),
    "push-other-tag": pushed(6, "v9"),
    "request": requested(7),
    "request-untagged": requested(8, ""),
    "request-override": requested(9, override=True),
}
_RESULTS: tuple[own.Result, ...] = ("placed", "kept", "superseded", "taken", "errored")
SETTLED: dict[str, own.TagSettled] = {
    f"{result}-{tag}-{number}": settled(result, number, tag, "why")
    for result in _RESULTS
    for tag, number in (("v1", 1), ("v1", 0), ("v2", 2))
}


def image_events(attempt: int) -> dict[str, im.Event]:
    """Every sample event, with answers to this attempt."""
    return {**ASKED, **SETTLED, **answers(attempt), "test-ended": im.ImageTestEnded("run-1", LATER)}


_A, _B, _C = claimant("a", 1), claimant("b", 2), claimant("c", 3)

TAG_STATES: dict[str, own.State] = {
    "unclaimed": own.Unclaimed(),
    "claimed": own.Owned(TARGET, _A, None),
    "owned": own.Owned(TARGET, _A, _A, 1),
    "owned-newer-push": own.Owned(TARGET, _B, _A, 1),
    "owned-immutable": own.Owned(TARGET, claimant("a", 1, movable=False), claimant("a", 1, movable=False), 1),
    "owned-repaired": own.Owned(TARGET, _A, _A, 4, repairs=own.MAX_REPAIRS),
    "owned-told": own.Owned(TARGET, _B, _B, 1, told=(f"{order(1)} {_A.key}",)),
    "placing": own.Placing(TARGET, _A, None, _A, 1),
    "placing-newer-push": own.Placing(TARGET, _B, None, _A, 1),
    "placing-over-owner": own.Placing(TARGET, _B, _A, _B, 2),
    "placing-waited-for": own.Placing(TARGET, _B, None, _A, 1, (_B,)),
    "placing-again": own.Placing(TARGET, _A, _A, _A, 2, repairs=1),
}


def tag_events(attempt: int) -> dict[str, own.Event]:
    """Every sample event, with answers to this attempt."""
    claims = {
        f"{name}-{letter}{number}": kind(TARGET, claimant(letter, number, movable=letter != "d"))
        for name, kind in (("pushed", own.TagPushed), ("approved", own.TagApproved))
        for letter, number in (("a", 1), ("a", 5), ("b", 0), ("b", 2), ("c", 3), ("d", 6))
    }
    return {
        **claims,
        "approved-other-gate": own.TagApproved(TARGET, claimant("a", 1, gate=gate(version="ba9876543210"))),
        "written-new": own.TagWritten(attempt, "", LATER),
        "written-same": own.TagWritten(attempt, image("a").digest, LATER),
        "written-over": own.TagWritten(attempt, image("b").digest, LATER),
        "tag-refused": own.TagRefused(attempt, image("b").digest, LATER),
        "seen-right": own.TagSeen(attempt, image("a").digest, LATER),
        "seen-other": own.TagSeen(attempt, image("c").digest, LATER),
        "seen-nothing": own.TagSeen(attempt, "", LATER),
        "refused": CommandRefused(attempt, "refused", LATER),
        "errored": CommandErrored(attempt, "no answer", LATER),
    }


COMMANDS: dict[str, object] = {
    "inspect": im.InspectImage(image(), 1),
    "start-test": im.StartImageTest(image(), GATE.test, 2),
    "check-test": im.CheckImageTest(image(), "run-1", 2, 3),
    "stop-test": im.StopImageTest("run-1"),
    "import": im.ImportImage(image(), target(), 3),
    "check-import": im.CheckImport(target(), "import-1", 3, 1),
    "copy-referrers": im.CopyReferrers(image(), target(), ("application/sig", "*"), 4),
    "attach": im.AttachRecord(target(), '{"_type":"x"}', (("a", "b"),), 5),
    "lock": im.LockManifest(target(), 7),
    "publish": Publish("Tidegate.ImagePromoted", "a:b", NOW, (("tag", "v1"), ("n", 1), ("types", ("a", "b"))), "id"),
    "tell-pushed": Tell(own.key(TARGET), own.TagPushed(TARGET, _A)),
    "tell-approved": Tell(own.key(TARGET), own.TagApproved(TARGET, _A)),
    "tell-settled": Tell(_A.key, settled()),
    "after": After(30, im.CheckImageTest(image(), "run-1", 2, 3)),
    "place-tag": own.PlaceTag(TARGET, image().digest, True, False, 1),
    "look-at-tag": own.LookAtTag(TARGET, 1),
}
