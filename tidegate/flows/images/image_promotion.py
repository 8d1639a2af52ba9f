"""From pushed to promoted: an image is read, tested and copied by its digest; each of its tags follows on its own.

One record for each image and version of its gate. Pushes of more tags join it; the tags themselves are settled by the
tag-ownership flow, which knows the order of pushes. An attempt number is never used twice in a record, so an answer that comes
late, or twice, is recognised by it.

    Unseen -> Inspecting -> Testing -> Importing -> CopyingReferrers -> Attesting -> Tagging -> Locking -> Promoted
                  |            |           |               |               |            |
                  +------------+-----------+--- Ignored, Rejected, Superseded, Errored -+

Rejected, Superseded and Errored are ends with a way out: an override, a newer push, a request by hand.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import assert_never, override

from tidegate.flows.base import (
    After,
    CommandErrored,
    CommandRefused,
    Decision,
    Explanation,
    Flow,
    Listing,
    Publish,
    Tell,
    import_poll_delay,
    run_poll_delay,
)
from tidegate.flows.images.image_gate import ImageFacts, ImageGate, matches_any, unmet
from tidegate.flows.images.image_messages import (
    Answer,
    Asked,
    AttachRecord,
    CheckImageTest,
    CheckImport,
    Command,
    CopyReferrers,
    Effect,
    Event,
    ImageImported,
    ImageInspected,
    ImagePushed,
    ImageTestEnded,
    ImageTestErrored,
    ImageTestFailed,
    ImageTestPassed,
    ImageTestRunning,
    ImageTestStarted,
    ImportFailed,
    ImportImage,
    ImportRunning,
    ImportStarted,
    InspectImage,
    LockManifest,
    ManifestLocked,
    PromotionRequested,
    RecordAttached,
    ReferrersCopied,
    StartImageTest,
    StopImageTest,
)
from tidegate.flows.images.image_states import (
    Arrived,
    Attesting,
    Cause,
    ClaimStatus,
    CopyingReferrers,
    Errored,
    Ignored,
    Importing,
    Inspecting,
    Locking,
    Promoted,
    Rejected,
    State,
    Superseded,
    Tagging,
    Testing,
    Unseen,
    Work,
    answers,
    is_wanted,
    joined,
    last_request,
    newest_claim,
    settle,
    settle_untagged,
)
from tidegate.flows.images.promotion_record import Approval, Verdict, record_annotations, statement
from tidegate.flows.images.tag_ownership import Claimant, TagApproved, TagPushed, TagSettled
from tidegate.flows.images.tag_ownership import key as tag_key
from tidegate.references import ImageRef, TagRef

NAME = "image-promotion"

TEST_GRACE = 900
"""Seconds a run may take beyond the gate's timeout (waiting for an agent, pulling the image) before it counts as lost."""
IMPORT_DEADLINE = 7200
"""Seconds until an import that still runs is given up; no published limit, the largest observed took minutes."""
IMPORT_ATTEMPTS = 5
REFERRER_CHECKS = 10
"""How often, 30 s apart, required referrers are looked for: signing usually follows the push within minutes."""

type Step = Decision[State, Command]


def key(image: ImageRef, gate: ImageGate) -> str:
    """The record of an image under a version of its gate."""
    return f"{NAME}:{image}#{gate.version}"


@dataclasses.dataclass(frozen=True, slots=True)
class ImagePromotion(Flow):
    """The flow, for one healthy registry."""

    healthy: str
    name = NAME

    @override
    def initial(self) -> State:
        return Unseen()

    @override
    def decide(self, state: State, event: Event, /) -> Step:  # type: ignore[override]  # each flow takes its own states
        match event:
            case ImagePushed() | PromotionRequested():
                return self._asked(state, event)
            case TagSettled():
                return self._tag_settled(state, event)
            case ImageTestEnded(run=run):
                return _test_ended(state, run)
            case _ if isinstance(state, Unseen) or event.attempt != state.attempt:
                return Decision(state)  # duplicates, and answers to earlier attempts
            case _:
                return self._answered(state, event)

    def _answered(self, state: State, event: Answer) -> Step:
        match state:
            case Inspecting():
                return self._inspected(state, event)
            case Testing():
                return self._tested(state, event)
            case Importing():
                return self._imported(state, event)
            case CopyingReferrers():
                return self._referrers_copied(state, event)
            case Attesting():
                return self._attested(state, event)
            case Locking():
                return self._locked(state, event)
            case _:
                return Decision(state)

    # Pushes and requests -------------------------------------------------------------------------------------------

    def _asked(self, state: State, event: Asked) -> Step:
        if isinstance(state, Unseen):
            work = Work(event.image, event.gate, (), ())
            return self._inspect(joined(work, event), attempt=1)
        if any(claim.tag == event.tag and claim.order >= event.order for claim in state.work.claims):
            return Decision(state)
        work = joined(state.work, event)
        match state:
            case Inspecting() | Tagging() | Locking() | Promoted():
                return self._joined_tag(dataclasses.replace(state, work=work), event)
            case Testing() | Importing() | CopyingReferrers() | Attesting():
                return Decision(dataclasses.replace(state, work=work), self._claims(work, TagPushed, event.tag))
            case Ignored():
                return Decision(state)
            case Rejected():
                return self._asked_again(state, work, event)
            case Superseded() | Errored():
                return self._restart(state, work, event.request.at)
            case _:
                assert_never(state)

    def _joined_tag(self, state: Inspecting | Arrived, event: Asked) -> Step:
        """A tag joins before the image is known to be one, or after it passed."""
        match state:
            case Inspecting():
                return Decision(state)
            case _ if event.tag:
                return Decision(state, self._claims(state.work, TagApproved, event.tag))
            case _:
                return Decision(dataclasses.replace(state, work=settle_untagged(state.work)))

    def _asked_again(self, state: Rejected, work: Work, event: Asked) -> Step:
        """A rejected image stays rejected, unless somebody takes responsibility or the cause is not in the image itself.

        Its push still takes part in the order. A tag that was taken says nothing about another tag.
        """
        if isinstance(event, PromotionRequested) and event.override and state.cause in _MAY_OVERRIDE:
            log = state.verdict.log if state.verdict else ""
            verdict = Verdict("overridden", event.request.at, reason=state.reason, log=log)
            return self._import(work, verdict, state.attempt + 1, event.request.at)
        by_hand = isinstance(event, PromotionRequested)
        taken = [claim for claim in state.work.claims if claim.tag == event.tag and claim.status == "taken"]
        again = {"missing": True, "referrers": by_hand, "conflict": by_hand or not taken}
        if again.get(state.cause, False):
            return self._restart(state, work, event.request.at)
        after = settle(work, event.tag, event.order, "taken", taken[0].detail) if taken else work
        return Decision(dataclasses.replace(state, work=after), self._claims(work, TagPushed, event.tag))

    def _restart(self, state: Rejected | Superseded | Errored, work: Work, at: datetime.datetime) -> Step:
        """Go on from what is known: a verdict is kept."""
        if state.verdict is not None and state.verdict.kind != "failed":
            step = self._import(work, state.verdict, state.attempt + 1, at)
        else:
            step = self._inspect(work, state.attempt + 1)
        return Decision(step.state, (*self._claims(work, TagPushed), *step.commands))

    # Reading the image ---------------------------------------------------------------------------------------------

    def _inspect(self, work: Work, attempt: int) -> Step:
        return Decision(Inspecting(work, attempt), (InspectImage(work.image, attempt),))

    def _inspected(self, state: Inspecting, event: Answer) -> Step:
        work = state.work
        match event:
            case ImageInspected(facts=facts, at=at):
                return self._judged(state, facts, at)
            case CommandRefused(reason=reason, at=at):
                return self._rejected(work, state.attempt, "missing", reason, at)
            case CommandErrored(reason=reason, at=at):
                return self._errored(work, state.attempt, "inspect", reason, at)
            case _:
                return Decision(state)

    def _judged(self, state: Inspecting, facts: ImageFacts, at: datetime.datetime) -> Step:
        work, attempt = state.work, state.attempt + 1
        if facts.kind not in ("image", "index"):
            return Decision(Ignored(work, attempt, f"not an image: {facts.kind} ({facts.media_type})"))
        pushed = self._claims(work, TagPushed)
        problems = "; ".join(unmet(work.gate.require, facts))
        if problems and work.override is None:
            step = self._rejected(work, attempt, "requirements", problems, at)
        elif problems:
            step = self._import(work, Verdict("overridden", at, reason=problems), attempt, at)
        elif work.gate.test.skip:
            step = self._import(work, Verdict("skipped", at, reason=work.gate.test.skip), attempt, at)
        else:
            step = self._test(work, attempt, at)
        return Decision(step.state, (*pushed, *step.commands))

    # Testing it ----------------------------------------------------------------------------------------------------

    def _test(self, work: Work, attempt: int, at: datetime.datetime) -> Step:
        return Decision(Testing(work, attempt, at), (StartImageTest(work.image, work.gate.test, attempt),))

    def _tested(self, state: Testing, event: Answer) -> Step:
        work = state.work
        match event:
            case ImageTestStarted(run=run, at=at) if not state.run:
                after = dataclasses.replace(state, run=run, since=at)
                return Decision(after, (_check_test(after, 1),))
            case ImageTestRunning(check=check, at=at) if check == state.checks + 1:
                return self._still_testing(state, check, at)
            case ImageTestPassed(log_url=log, log_sha256=sha256, at=at):
                verdict = Verdict("passed", at, state.run, state.since, log, sha256)
                return self._import(work, verdict, state.attempt + 1, at)
            case ImageTestFailed(reason=reason, log_url=log, log_sha256=sha256, at=at):
                verdict = Verdict("failed", at, state.run, state.since, log, sha256, reason)
                if work.override is not None:
                    overridden = dataclasses.replace(verdict, kind="overridden")
                    return self._import(work, overridden, state.attempt + 1, at)
                return self._rejected(work, state.attempt, "test", reason, at, verdict)
            case ImageTestErrored(reason=reason, at=at) | CommandRefused(reason=reason, at=at):
                return self._test_errored(state, reason, at)
            case CommandErrored(reason=reason, at=at):
                return self._test_errored(state, reason, at)
            case _:
                return Decision(state)

    def _still_testing(self, state: Testing, check: int, at: datetime.datetime) -> Step:
        limit = state.work.gate.test.timeout + TEST_GRACE
        if (at - state.since).total_seconds() > limit:
            return self._test_errored(state, f"no verdict within {limit} s", at)
        return Decision(dataclasses.replace(state, checks=check), (_check_test(state, check + 1),))

    def _test_errored(self, state: Testing, reason: str, at: datetime.datetime) -> Step:
        """Infrastructure never becomes a failed test: try again, then ask people."""
        stop = (StopImageTest(state.run),) if state.run else ()
        if state.tries >= state.work.gate.test.attempts:
            step = self._errored(state.work, state.attempt, "test", reason, at)
            return Decision(step.state, (*stop, *step.commands))
        again = Testing(state.work, state.attempt + 1, at, tries=state.tries + 1)
        start = StartImageTest(state.work.image, state.work.gate.test, again.attempt)
        return Decision(again, (*stop, After(min(15 * 4 ** (state.tries - 1), 900), start)))

    # Copying it ----------------------------------------------------------------------------------------------------

    def _target(self, work: Work) -> ImageRef:
        return work.image.within(self.healthy, work.gate.promote.target(work.image.repository))

    def _import(self, work: Work, verdict: Verdict, attempt: int, at: datetime.datetime) -> Step:
        if not is_wanted(work):
            return self._superseded(work, attempt, at, verdict)
        state = Importing(work, verdict, attempt, at)
        return Decision(state, (ImportImage(work.image, self._target(work), attempt),))

    def _imported(self, state: Importing, event: Answer) -> Step:
        match event:
            case ImportStarted(operation=operation) if not state.operation:
                after = dataclasses.replace(state, operation=operation)
                return Decision(after, (self._check_import(after, 1),))
            case ImportRunning(check=check, at=at) if check == state.checks + 1:
                if (at - state.since).total_seconds() > IMPORT_DEADLINE:
                    return self._import_failed(state, f"still running after {IMPORT_DEADLINE} s", at)
                after = dataclasses.replace(state, checks=check)
                return Decision(after, (self._check_import(after, check + 1),))
            case ImageImported():
                return self._copy_referrers(state)
            case ImportFailed(reason=reason, at=at) | CommandRefused(reason=reason, at=at):
                return self._import_failed(state, reason, at)
            case CommandErrored(reason=reason, at=at):
                return self._errored(state.work, state.attempt, "import", reason, at, state.verdict)
            case _:
                return Decision(state)

    def _check_import(self, state: Importing, check: int) -> After[Effect]:
        return After(
            import_poll_delay(check), CheckImport(self._target(state.work), state.operation, state.attempt, check)
        )

    def _import_failed(self, state: Importing, reason: str, at: datetime.datetime) -> Step:
        if state.tries >= IMPORT_ATTEMPTS:
            return self._errored(state.work, state.attempt, "import", reason, at, state.verdict)
        again = Importing(state.work, state.verdict, state.attempt + 1, at, tries=state.tries + 1)
        command = ImportImage(state.work.image, self._target(state.work), again.attempt)
        return Decision(again, (After(min(5 * 4 ** (state.tries - 1), 300), command),))

    def _copy_referrers(self, state: Importing) -> Step:
        rules = state.work.gate.promote
        if not rules.referrers and not rules.required_referrers:
            return self._attest(state.work, state.verdict, state.attempt + 1, ())
        after = CopyingReferrers(state.work, state.verdict, state.attempt + 1)
        return Decision(after, (self._referrers(after),))

    def _referrers(self, state: CopyingReferrers) -> CopyReferrers:
        rules = state.work.gate.promote
        types = tuple(dict.fromkeys((*rules.referrers, *rules.required_referrers)))
        return CopyReferrers(state.work.image, self._target(state.work), types, state.attempt)

    def _referrers_copied(self, state: CopyingReferrers, event: Answer) -> Step:
        match event:
            case ReferrersCopied(types=types, at=at):
                required = state.work.gate.promote.required_referrers
                missing = [glob for glob in required if not any(matches_any(kind, (glob,)) for kind in types)]
                if not missing:
                    return self._attest(state.work, state.verdict, state.attempt + 1, types)
                return self._referrers_missing(state, missing, at)
            case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at):
                return self._errored(state.work, state.attempt, "copy referrers", reason, at, state.verdict)
            case _:
                return Decision(state)

    def _referrers_missing(self, state: CopyingReferrers, missing: list[str], at: datetime.datetime) -> Step:
        if state.checks >= REFERRER_CHECKS:
            reason = f"nothing attached of type {', '.join(missing)} (promote.referrers.require)"
            return self._rejected(state.work, state.attempt, "referrers", reason, at, state.verdict)
        after = dataclasses.replace(state, attempt=state.attempt + 1, checks=state.checks + 1)
        return Decision(after, (After(30, self._referrers(after)),))

    # Attesting, tagging, locking -----------------------------------------------------------------------------------

    def _attest(self, work: Work, verdict: Verdict, attempt: int, referrers: tuple[str, ...]) -> Step:
        target = self._target(work)
        approval = Approval(
            work.image, target, work.gate.name, work.gate.version, verdict, work.requests, work.override
        )
        command = AttachRecord(target, statement(approval), record_annotations(approval), attempt)
        return Decision(Attesting(work, verdict, attempt, referrers), (command,))

    def _attested(self, state: Attesting, event: Answer) -> Step:
        match event:
            case RecordAttached(digest=record, at=at):
                work = settle_untagged(state.work)
                tagging = Tagging(work, state.verdict, state.attempt + 1, record)
                step = self._when_settled(tagging, at)
                return Decision(step.state, (*self._claims(work, TagApproved), *step.commands))
            case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at):
                return self._errored(state.work, state.attempt, "attach record", reason, at, state.verdict)
            case _:
                return Decision(state)

    def _tag_settled(self, state: State, event: TagSettled) -> Step:
        if isinstance(state, Unseen) or not any(answers(event, claim) for claim in state.work.claims):
            return Decision(state)
        told = self._told(state.work, getattr(state, "verdict", None), event)
        status: ClaimStatus = "placed" if event.result == "kept" else event.result
        work = settle(state.work, event.tag, event.order, status, event.detail)
        after = dataclasses.replace(state, work=work)
        at = event.at
        match after:
            case Inspecting() | Testing() if not is_wanted(work):
                stop = (StopImageTest(after.run),) if isinstance(after, Testing) and after.run else ()
                step = self._superseded(work, after.attempt + 1, at, None)
                return Decision(step.state, (*stop, *step.commands))
            case Tagging():
                step = self._when_settled(after, at)
                return Decision(step.state, (*told, *step.commands))
            case Locking() | Promoted():
                return Decision(after, told)
            case _:
                return Decision(after)

    def _told(self, work: Work, verdict: Verdict | None, event: TagSettled) -> tuple[Publish, ...]:
        """What became of one tag, for other systems; nothing where nothing changed.

        A tag that was kept is announced if it never was: the answer to an older push of it may come later, or was lost on
        the way behind a newer one.
        """
        tag, order, at = event.tag, event.order, event.at
        is_announced = any(claim.announced for claim in work.claims if claim.tag == tag)
        match event.result:
            case "kept" if is_announced:
                return ()
            case "placed" | "kept":
                return (self._publish("ImagePromoted", work, verdict, tag, order, at=at),)
            case "taken":
                return (self._publish("TagConflict", work, verdict, tag, order, event.detail, at=at),)
            case "errored":
                return (self._publish("PromotionErrored", work, verdict, tag, order, event.detail, at=at),)
            case "superseded":
                return ()
            case _:
                assert_never(event.result)

    def _when_settled(self, state: Tagging, at: datetime.datetime) -> Step:
        """Go on once no tag is open."""
        work = state.work
        by_status = {claim.status: claim for claim in work.claims}
        if "wanted" in by_status:
            return Decision(state)
        if "placed" in by_status:
            return self._lock(state)
        if "errored" in by_status:
            return self._errored(work, state.attempt, "tag", by_status["errored"].detail, at, state.verdict, told=True)
        if "taken" in by_status:
            claim = by_status["taken"]
            reason = f"{claim.tag} names {claim.detail} and is immutable"
            return self._rejected(work, state.attempt, "conflict", reason, at, state.verdict)
        return self._superseded(work, state.attempt, at, state.verdict)

    def _lock(self, state: Tagging) -> Step:
        if state.work.gate.promote.lock_manifest:
            after = Locking(state.work, state.verdict, state.attempt + 1, state.record)
            return Decision(after, (LockManifest(self._target(state.work), after.attempt),))
        return self._promoted(state)

    def _locked(self, state: Locking, event: Answer) -> Step:
        match event:
            case ManifestLocked():
                return self._promoted(state)
            case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at):
                return self._errored(state.work, state.attempt, "lock", reason, at, state.verdict)
            case _:
                return Decision(state)

    # Ends ----------------------------------------------------------------------------------------------------------

    def _promoted(self, state: Tagging | Locking) -> Step:
        work = state.work
        untagged = next((claim for claim in work.claims if not claim.tag), None)
        told = (self._publish("ImagePromoted", work, state.verdict, "", untagged.order),) if untagged else ()
        return Decision(Promoted(work, state.verdict, state.attempt + 1, state.record), told)

    def _rejected(
        self,
        work: Work,
        attempt: int,
        cause: Cause,
        reason: str,
        at: datetime.datetime,
        verdict: Verdict | None = None,
    ) -> Step:
        claim = newest_claim(work)
        told = self._publish("ImageRejected", work, verdict, claim.tag, f"{attempt}", reason, cause, at)
        return Decision(Rejected(work, attempt, cause, reason, verdict), (told,))

    def _superseded(self, work: Work, attempt: int, at: datetime.datetime, verdict: Verdict | None) -> Step:
        claim = newest_claim(work)
        told = self._publish("ImageSuperseded", work, verdict, claim.tag, f"{attempt}", f"by {claim.detail}", "", at)
        return Decision(Superseded(work, attempt, verdict), (told,))

    def _errored(
        self,
        work: Work,
        attempt: int,
        step: str,
        reason: str,
        at: datetime.datetime,
        verdict: Verdict | None = None,
        *,
        told: bool = False,
    ) -> Step:
        claim = newest_claim(work)
        publish = self._publish("PromotionErrored", work, verdict, claim.tag, f"{attempt}", reason, step, at)
        return Decision(Errored(work, attempt, step, reason, verdict), () if told else (publish,))

    def _publish(
        self,
        kind: str,
        work: Work,
        verdict: Verdict | None,
        tag: str,
        mark: str,
        reason: str = "",
        cause: str = "",
        at: datetime.datetime | None = None,
    ) -> Publish:
        """`mark` tells two outcomes of one kind apart; with the record's key it makes the outcome's id."""
        image, target = work.image, self._target(work)
        data: tuple[tuple[str, str | int | bool | tuple[str, ...]], ...] = (
            ("registry", image.registry),
            ("repository", image.repository),
            ("digest", image.digest),
            ("tag", tag),
            ("targetRegistry", target.registry),
            ("targetRepository", target.repository),
            ("gate", work.gate.name),
            ("gateVersion", work.gate.version),
            ("verdict", verdict.kind if verdict else ""),
            ("evidence", verdict.log if verdict else ""),
            ("cause", cause),
            ("reason", reason),
        )
        subject = f"{image.repository}:{tag}" if tag else f"{image.repository}@{image.digest}"
        when = at or last_request(work).at
        return Publish(f"Tidegate.{kind}", subject, when, data, f"{key(image, work.gate)}/{kind}/{tag}/{mark}")

    # Telling the tags ----------------------------------------------------------------------------------------------

    def _claims(
        self, work: Work, event: type[TagPushed | TagApproved], tag: str | None = None
    ) -> tuple[Tell[TagPushed | TagApproved], ...]:
        """Tell the record of each wanted tag, or of one, that the image was pushed or approved."""
        target = self._target(work)
        rules = work.gate.promote
        tells: list[Tell[TagPushed | TagApproved]] = []
        for claim in work.claims:
            if claim.tag and claim.status == "wanted" and tag in (None, claim.tag):
                place = TagRef(target.registry, target.repository, claim.tag)
                record = key(work.image, work.gate)
                claimant = Claimant(
                    record,
                    work.image.digest,
                    claim.order,
                    last_request(work).at,
                    rules.tags == "movable",
                    rules.lock_tag,
                )
                tells.append(Tell(tag_key(place), event(place, claimant)))
        return tuple(tells)

    # For people ----------------------------------------------------------------------------------------------------

    @override
    def explain(self, event: Event, after: object, /) -> Explanation | None:  # type: ignore[override]  # each flow takes its own events
        match event:
            case ImagePushed(request=request) | PromotionRequested(request=request):
                return Explanation(request.who, request.why)
            case ImageTestRunning(attempt=attempt) | ImportRunning(attempt=attempt):
                goes_on = isinstance(after, Testing | Importing) and after.attempt == attempt
                return None if goes_on else Explanation("tidegate", "it runs for too long")
            case ImageTestPassed(log_url=log):
                return Explanation("tidegate", "the test passed", log)
            case ImageTestFailed(reason=reason, log_url=log):
                return Explanation("tidegate", reason, log)
            case _:
                return Explanation("tidegate", _why(event))

    @override
    def listing(self, state: State, /) -> Listing | None:  # type: ignore[override]  # each flow takes its own states
        if isinstance(state, Unseen):
            return None
        reason = state.reason if isinstance(state, Rejected | Ignored | Errored) else ""
        tags = tuple(claim.tag for claim in state.work.claims if claim.tag)
        return Listing(type(state).__name__, state.work.image.repository, tags, state.work.image.digest, reason)


_MAY_OVERRIDE = ("test", "requirements", "referrers")


def _check_test(state: Testing, check: int) -> After[Effect]:
    return After(run_poll_delay(check), CheckImageTest(state.work.image, state.run, state.attempt, check))


def _test_ended(state: State, run: str) -> Step:
    """Look now instead of at the next look, which stays as it is: the word of an event is no verdict."""
    if not isinstance(state, Testing) or not run or state.run != run or state.ended:
        return Decision(state)
    look = CheckImageTest(state.work.image, run, state.attempt, state.checks + 1)
    return Decision(dataclasses.replace(state, ended=True), (look,))


def _why(event: Event) -> str:
    match event:
        case ImageTestErrored(reason=reason) | ImportFailed(reason=reason):
            return reason
        case CommandRefused(reason=reason) | CommandErrored(reason=reason):
            return reason
        case ImageTestStarted(run=run):
            return f"run {run}"
        case TagSettled(tag=tag, result=result, detail=detail):
            return f"tag {tag}: {result} {detail}".strip()
        case ImageImported(already=True):
            return "was there already"
        case RecordAttached(digest=digest):
            return f"record {digest}"
        case _:
            return ""
