"""The promotion record is attached; then the tags are settled one by one, by a flow of their own, and the manifest is locked."""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import CommandErrored, CommandRefused, Decision
from tidegate.flows.images import promotion_ends as ends
from tidegate.flows.images import promotion_news as news
from tidegate.flows.images.image_messages import Answer, LockManifest, ManifestLocked, RecordAttached, StopImageTest
from tidegate.flows.images.image_states import (
    Attesting,
    ClaimStatus,
    Inspecting,
    Locking,
    Promoted,
    State,
    Step,
    Tagging,
    Testing,
    Unseen,
    answers,
    is_wanted,
    settle,
    settle_untagged,
)
from tidegate.flows.images.tag_ownership import TagApproved, TagSettled


def attested(state: Attesting, event: Answer) -> Step:
    """The record is there: the tags may be set."""
    match event:
        case RecordAttached(digest=record, at=at):
            work = settle_untagged(state.work)
            tagging = Tagging(work, state.verdict, state.attempt + 1, record)
            step = _when_settled(tagging, at)
            return Decision(step.state, (*news.to_tags(work, TagApproved), *step.commands))
        case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at):
            return ends.errored(state.work, state.attempt, "attach record", reason, at, state.verdict)
        case _:
            return Decision(state)


def tag_settled(state: State, event: TagSettled) -> Step:
    """What became of one tag. An image that no tag wants any more stops."""
    if isinstance(state, Unseen) or not any(answers(event, claim) for claim in state.work.claims):
        return Decision(state)
    told = news.of_tag(state.work, getattr(state, "verdict", None), event)
    status: ClaimStatus = "placed" if event.result == "kept" else event.result
    work = settle(state.work, event.tag, event.order, status, event.detail)
    after = dataclasses.replace(state, work=work)
    at = event.at
    match after:
        case Inspecting() | Testing() if not is_wanted(work):
            stop = (StopImageTest(after.run),) if isinstance(after, Testing) and after.run else ()
            step = ends.superseded(work, after.attempt + 1, at, None)
            return Decision(step.state, (*stop, *step.commands))
        case Tagging():
            step = _when_settled(after, at)
            return Decision(step.state, (*told, *step.commands))
        case Locking() | Promoted():
            return Decision(after, told)
        case _:
            return Decision(after)


def _when_settled(state: Tagging, at: datetime.datetime) -> Step:
    """Go on once no tag is open."""
    work = state.work
    by_status = {claim.status: claim for claim in work.claims}
    if "wanted" in by_status:
        return Decision(state)
    if "placed" in by_status:
        return _lock(state)
    if "errored" in by_status:
        return ends.errored(work, state.attempt, "tag", by_status["errored"].detail, at, state.verdict, told=True)
    if "taken" in by_status:
        claim = by_status["taken"]
        reason = f"{claim.tag} names {claim.detail} and is immutable"
        return ends.rejected(work, state.attempt, "conflict", reason, at, state.verdict)
    return ends.superseded(work, state.attempt, at, state.verdict)


def _lock(state: Tagging) -> Step:
    if state.work.gate.promote.lock_manifest:
        after = Locking(state.work, state.verdict, state.attempt + 1, state.record)
        return Decision(after, (LockManifest(state.work.target, after.attempt),))
    return ends.promoted(state)


def locked(state: Locking, event: Answer) -> Step:
    """The last step, where the gate asks for it."""
    match event:
        case ManifestLocked():
            return ends.promoted(state)
        case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at):
            return ends.errored(state.work, state.attempt, "lock", reason, at, state.verdict)
        case _:
            return Decision(state)
