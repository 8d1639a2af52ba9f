"""What must hold once a run has come to rest (the liveness invariants)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from tests.simulator.installation import HEALTHY
from tests.simulator.invariants import check, short
from tests.simulator.scenarios import digest
from tidegate.flows.images import image_states as st

if TYPE_CHECKING:
    from tests.simulator.run import Run

ENDS = (st.Promoted, st.Rejected, st.Superseded, st.Ignored, st.Errored)
LONGEST = datetime.timedelta(hours=3)
"""Virtual time until everything is at rest, once nothing goes wrong any more."""


def check_end(run: Run) -> None:
    """Nothing is left to do, every image came to its end, and the destination is what the pushes ask for."""
    host = run.host
    took = host.clock.now() - run.disturbed
    check(took < LONGEST, "G2", f"at rest only {took} after the last disturbance")
    for key, record in run.watch.records.current.items():
        check(not record.outbox, "G2", f"{short(key)}: {len(record.outbox)} commands are left")
        if key.startswith("image-promotion"):
            _check_image(run, key, record.state)
    for tag in {tag for _, tag in run.scenario.pushes}:
        _check_tag(run, tag)
    _check_parked(run)


def _check_image(run: Run, key: str, state: Any) -> None:
    name = f"{short(key)}: {type(state).__name__}"
    check(isinstance(state, ENDS), "G2", f"{name} is no end")
    letter = run.scenario.letter(state.work.image.digest)
    if isinstance(state, st.Errored):
        check(run.refused, "A8", f"{name}: {state.step}: {state.reason}")
    if isinstance(state, st.Rejected):
        check(
            run.refused or letter in run.scenario.failing or state.cause == "conflict", "A8", f"{name}: {state.reason}"
        )
        check(
            _outcomes(run, "ImageRejected", key) == 1,
            "A8",
            f"{name}: {_outcomes(run, 'ImageRejected', key)} rejections",
        )
    if isinstance(state, st.Promoted):
        check(run.scenario.approves(letter), "A1", f"{name}, and its test fails")
        check(run.watch.records.verdicts[key], "A8", f"{name} without a verdict")
        for claim in state.work.claims:
            check(claim.status != "wanted", "G2", f"{name}: nobody answered for {claim.tag}")
            if claim.status == "placed":
                _check_told(run, key, claim)


def _check_told(run: Run, key: str, claim: st.Claim) -> None:
    """A tag that the image got is announced: at least once, and at most once for each push of it."""
    letter = run.scenario.letter(run.watch.records.current[key].state.work.image.digest)  # type: ignore[attr-defined]
    pushes = run.scenario.pushes.count((letter, claim.tag))
    told = sum(dict(each.data)["tag"] == claim.tag for each in _published(run, "ImagePromoted", key))
    check(1 <= told <= pushes, "G10", f"{short(key)}: {told} announcements of {claim.tag} for {pushes} pushes")


def _check_tag(run: Run, tag: str) -> None:
    """The newest push owns its tag if it passes; else whoever passed before, or nobody."""
    named = run.host.app.tags(HEALTHY).get(tag)
    letters = [letter for letter, pushed in run.scenario.pushes if pushed == tag]
    passing = {digest(letter) for letter in letters if run.scenario.approves(letter)}
    check(named is None or named in passing, "A5", f"{tag} names an image that was not approved for it")
    if run.refused:
        return
    if run.scenario.gate.promote.tags == "immutable":
        is_settled = named in passing or not run.scenario.approves(
            letters[-1]
        )  # a bad push supersedes good ones before it
        check(is_settled, "A5", f"the immutable tag {tag} names nothing")
    elif run.scenario.approves(letters[-1]):
        wanted = digest(letters[-1])
        check(named == wanted, "A5", f"{tag} names {named and run.scenario.letter(named)}, not {letters[-1]}")


def _check_parked(run: Run) -> None:
    """What was parked is announced, and only messages that failed again and again are."""
    app = run.host.app
    for parked in app.evidence.dead_letters.values():
        check(parked.reason.startswith("failed as often"), "G2", f"parked: {parked.reason}")


def _published(run: Run, kind: str, key: str) -> list[Any]:
    return [
        each
        for each in run.host.app.topic.distinct().values()
        if each.type == f"Tidegate.{kind}"
        and str(dict(each.data)["digest"]) in key
        and key.endswith(f"#{dict(each.data)['gateVersion']}")
    ]


def _outcomes(run: Run, kind: str, key: str) -> int:
    return len(_published(run, kind, key))
