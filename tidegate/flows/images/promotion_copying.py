"""An image with a verdict is copied to its destination by its digest, and what is attached to it after it."""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import After, CommandErrored, CommandRefused, Decision, import_poll_delay
from tidegate.flows.images import promotion_ends as ends
from tidegate.flows.images.image_gate import matches_any
from tidegate.flows.images.image_messages import (
    Answer,
    AttachRecord,
    CheckImport,
    CopyReferrers,
    Effect,
    ImageImported,
    ImportFailed,
    ImportImage,
    ImportRunning,
    ImportStarted,
    ReferrersCopied,
)
from tidegate.flows.images.image_states import Attesting, CopyingReferrers, Importing, Step, Work, is_wanted
from tidegate.flows.images.promotion_record import Approval, Verdict, record_annotations, statement

IMPORT_DEADLINE = 7200
"""Seconds until an import that still runs is given up; no published limit, the largest observed took minutes."""
IMPORT_ATTEMPTS = 5
REFERRER_CHECKS = 10
"""How often, 30 s apart, required referrers are looked for: signing usually follows the push within minutes."""


def begin_import(work: Work, verdict: Verdict, attempt: int, at: datetime.datetime) -> Step:
    """Copy the digest, unless newer pushes own all of its tags by now."""
    if not is_wanted(work):
        return ends.superseded(work, attempt, at, verdict)
    state = Importing(work, verdict, attempt, at)
    return Decision(state, (ImportImage(work.image, work.target, attempt),))


def imported(state: Importing, event: Answer) -> Step:
    """An import is started, looked at, and tried again where it failed."""
    match event:
        case ImportStarted(operation=operation) if not state.operation:
            after = dataclasses.replace(state, operation=operation)
            return Decision(after, (_check_import(after, 1),))
        case ImportRunning(check=check, at=at) if check == state.checks + 1:
            if (at - state.since).total_seconds() > IMPORT_DEADLINE:
                return _import_failed(state, f"still running after {IMPORT_DEADLINE} s", at)
            after = dataclasses.replace(state, checks=check)
            return Decision(after, (_check_import(after, check + 1),))
        case ImageImported():
            return _copy_referrers(state)
        case ImportFailed(reason=reason, at=at) | CommandRefused(reason=reason, at=at):
            return _import_failed(state, reason, at)
        case CommandErrored(reason=reason, at=at):
            return ends.errored(state.work, state.attempt, "import", reason, at, state.verdict)
        case _:
            return Decision(state)


def _check_import(state: Importing, check: int) -> After[Effect]:
    return After(import_poll_delay(check), CheckImport(state.work.target, state.operation, state.attempt, check))


def _import_failed(state: Importing, reason: str, at: datetime.datetime) -> Step:
    if state.tries >= IMPORT_ATTEMPTS:
        return ends.errored(state.work, state.attempt, "import", reason, at, state.verdict)
    again = Importing(state.work, state.verdict, state.attempt + 1, at, tries=state.tries + 1)
    command = ImportImage(state.work.image, state.work.target, again.attempt)
    return Decision(again, (After(min(5 * 4 ** (state.tries - 1), 300), command),))


def _copy_referrers(state: Importing) -> Step:
    rules = state.work.gate.promote
    if not rules.referrers and not rules.required_referrers:
        return _attest(state.work, state.verdict, state.attempt + 1, ())
    after = CopyingReferrers(state.work, state.verdict, state.attempt + 1)
    return Decision(after, (_referrers(after),))


def _referrers(state: CopyingReferrers) -> CopyReferrers:
    rules = state.work.gate.promote
    types = tuple(dict.fromkeys((*rules.referrers, *rules.required_referrers)))
    return CopyReferrers(state.work.image, state.work.target, types, state.attempt)


def referrers_copied(state: CopyingReferrers, event: Answer) -> Step:
    """What is attached has come along; what the gate requires of it is waited for."""
    match event:
        case ReferrersCopied(types=types, at=at):
            required = state.work.gate.promote.required_referrers
            missing = [glob for glob in required if not any(matches_any(kind, (glob,)) for kind in types)]
            if not missing:
                return _attest(state.work, state.verdict, state.attempt + 1, types)
            return _referrers_missing(state, missing, at)
        case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at):
            return ends.errored(state.work, state.attempt, "copy referrers", reason, at, state.verdict)
        case _:
            return Decision(state)


def _referrers_missing(state: CopyingReferrers, missing: list[str], at: datetime.datetime) -> Step:
    if state.checks >= REFERRER_CHECKS:
        reason = f"nothing attached of type {', '.join(missing)} (promote.referrers.require)"
        return ends.rejected(state.work, state.attempt, "referrers", reason, at, state.verdict)
    after = dataclasses.replace(state, attempt=state.attempt + 1, checks=state.checks + 1)
    return Decision(after, (After(30, _referrers(after)),))


def _attest(work: Work, verdict: Verdict, attempt: int, referrers: tuple[str, ...]) -> Step:
    target = work.target
    approval = Approval(work.image, target, work.gate.name, work.gate.version, verdict, work.requests, work.override)
    command = AttachRecord(target, statement(approval), record_annotations(approval), attempt)
    return Decision(Attesting(work, verdict, attempt, referrers), (command,))
