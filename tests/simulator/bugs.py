"""Planted bugs: the product with one part of it done wrong. A harness that misses one of them proves nothing.

Each is made from outside, by putting a wrong part in the place of the right one; the product's code is not touched.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, override

from tests.fakes import FakeStore
from tests.simulator.explore import Bounds
from tests.simulator.installation import STAGING, Bug, RacingRegistry
from tests.simulator.scenarios import FIRM, Scenario
from tidegate.effects import Effects
from tidegate.flows.base import After, AnyFlow, Decision, Flow, Publish, run_poll_delay
from tidegate.flows.images import image_messages as im
from tidegate.flows.images import image_states as st
from tidegate.flows.images import tag_ownership as own
from tidegate.ports import AuditRow, ImportDone, Row, TagPlaced, TagTaken
from tidegate.records import Record, Records
from tidegate.references import ImageRef, TagRef


@dataclasses.dataclass(frozen=True, slots=True)
class Planted:
    """A bug, and where the exhaustive driver looks for it."""

    bug: Bug
    scenario: Scenario
    bounds: Bounds


class _Wrong(Flow[Any, Any, Any]):
    """A flow whose decision is tampered with."""

    def __init__(self, right: AnyFlow, decide: Callable[[Any, Any, Any], Decision[Any, Any]]) -> None:
        self._right = right
        self._decide = decide
        self.name = right.name

    @override
    def initial(self) -> object:
        return self._right.initial()

    @override
    def decide(self, state: object, event: object, /) -> Decision[object, object]:
        return self._decide(self._right.decide, state, event)

    @override
    def explain(self, event: object, after: object, /) -> Any:
        return self._right.explain(event, after)

    @override
    def listing(self, state: object, /) -> Any:
        return self._right.listing(state)


def _tampered(name: str, decide: Callable[[Any, Any, Any], Decision[Any, Any]]) -> Any:
    def replaced(flows: Mapping[str, AnyFlow]) -> Mapping[str, AnyFlow]:
        return {**flows, name: _Wrong(flows[name], decide)}

    return replaced


def _never_looks_again(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    step = decide(state, event)
    kept = (each for each in step.commands if not (isinstance(each, After) and isinstance(each.command, own.LookAtTag)))
    return Decision(step.state, tuple(kept))


def _ignores_newer_pushes(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    if isinstance(event, own.TagApproved) and not isinstance(state, own.Unclaimed):
        return decide(dataclasses.replace(state, newest=event.claimant), event)  # type: ignore[no-any-return]
    return decide(state, event)  # type: ignore[no-any-return]


def _takes_any_verdict(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    verdicts = (im.ImageTestPassed, im.ImageTestFailed, im.ImageTestErrored)
    if isinstance(event, verdicts) and isinstance(state, st.Testing):
        event = dataclasses.replace(event, attempt=state.attempt)
    return decide(state, event)  # type: ignore[no-any-return]


class _ImportsTheTag(RacingRegistry):
    """Imports what the tag names by now."""

    @override
    def start_import(self, source: ImageRef, target: ImageRef) -> str:
        tags = self.repository(STAGING, source.repository).tags
        digest = tags.get("v1", source.digest)
        meant = (dataclasses.replace(each, digest=digest) for each in (source, target))
        return super().start_import(*meant)


class _OverwritesTags(RacingRegistry):
    """Moves tags that are immutable."""

    @override
    def place_tag(self, target: TagRef, digest: str, *, movable: bool, lock: bool) -> TagPlaced | TagTaken:
        return super().place_tag(target, digest, movable=True, lock=lock)


class _TrustsTheJob(Effects):
    """Takes the operation's word for it that the digest arrived."""

    @override
    def _check_import(self, command: im.CheckImport) -> object:
        if isinstance(self.registry.import_status(command.operation), ImportDone):
            return im.ImageImported(command.attempt, already=False, at=self.clock.now())
        return Effects._check_import(self, command)


class _FailsOnErrors(Effects):
    """Takes a lost run for a failed test."""

    @override
    def _check_test(self, command: im.CheckImageTest) -> object:
        outcome = Effects._check_test(self, command)
        if isinstance(outcome, im.ImageTestErrored):
            return im.ImageTestFailed(outcome.attempt, outcome.reason, "", "", outcome.at)
        return outcome


class _NewIds(Effects):
    """Gives an outcome another id each time it is published."""

    @override
    def __call__(self, command: object) -> object | None:
        if isinstance(command, Publish):
            command = dataclasses.replace(command, id=f"{command.id}/{len(self.topic.published)}")  # type: ignore[attr-defined]
        return Effects.__call__(self, command)


class _SavesTheOutboxLater(Records):
    """Writes the state first, and what to do about it in a second write."""

    @override
    def save(self, key: str, record: Record, etag: str, audit: Sequence[AuditRow] = ()) -> str:
        if audit:
            etag = Records.save(self, key, dataclasses.replace(record, outbox=()), etag, audit)
        return Records.save(self, key, record, etag)


class _WritesBlindly(FakeStore):
    """Does not mind whether the row changed since it was read."""

    @override
    def save(self, row: Row, audit: Sequence[AuditRow]) -> str:
        stored = self.rows.get(row.key)
        known = self.audit.get(row.key, {})
        new = [each for each in audit if each.sequence not in known]
        blind = dataclasses.replace(row, etag=stored.etag if stored else "")
        return super().save(blind, new)


_MOVES = Scenario((("a", "v1"), ("b", "v1")))


def _between_looks() -> Scenario:
    """A run that ends unseen, a newer push, and the first image once more, all before the run is looked at again."""
    looks = itertools.accumulate(run_poll_delay(check) for check in itertools.count(1))
    last = next(moment for check, moment in enumerate(looks, start=1) if run_poll_delay(check + 1) >= 5)
    return Scenario((("a", "v1"), ("b", "v1"), ("a", "v1")), test_seconds=last + 1, push_times=(0, last + 2, last + 3))


_BETWEEN_LOOKS = _between_looks()
_MOVES_LATE = dataclasses.replace(_MOVES, pushes_wait=True)

PLANTED: dict[str, Planted] = {
    planted.bug.name: planted
    for planted in (
        Planted(Bug("promotes what the tag names", registry=_ImportsTheTag), _MOVES_LATE, Bounds(orders=1)),
        Planted(
            Bug("never looks at a tag again", flows=_tampered(own.NAME, _never_looks_again)),
            _MOVES_LATE,
            Bounds(slow=1),
        ),
        Planted(
            Bug("deletes messages before the work", deletes_early=True),
            Scenario((("a", "v1"),), timer=False),
            Bounds(crashes=1, port="ImageRegistry"),
        ),
        Planted(
            Bug("saves the outbox after the state", records=_SavesTheOutboxLater),
            Scenario((("a", "v1"),)),
            Bounds(crashes=1),
        ),
        Planted(
            Bug("takes the verdict of another attempt", flows=_tampered("image-promotion", _takes_any_verdict)),
            _BETWEEN_LOOKS,
            Bounds(),
        ),
        Planted(
            Bug("trusts an import's own word", effects=_TrustsTheJob),
            Scenario((("a", "v1"),), lying=True),
            Bounds(),
        ),
        Planted(
            Bug("places a claim that was superseded", flows=_tampered(own.NAME, _ignores_newer_pushes)),
            dataclasses.replace(_MOVES, test_seconds=0, import_seconds=0, push_times=(0, 1)),
            Bounds(slow=1),
        ),
        Planted(
            Bug("gives an outcome a new id each time", effects=_NewIds), Scenario((("a", "v1"),)), Bounds(faults=1)
        ),
        Planted(
            Bug("overwrites an immutable tag", registry=_OverwritesTags),
            dataclasses.replace(_MOVES_LATE, gate=FIRM),
            Bounds(),
        ),
        Planted(
            Bug("takes an error for a failed test", effects=_FailsOnErrors),
            Scenario((("a", "v1"),), flaky="a"),
            Bounds(),
        ),
        Planted(Bug("writes records without their version", store=_WritesBlindly), _MOVES, Bounds(orders=2)),
    )
}
