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
from typing import override

from tidegate.flows.base import CommandErrored, CommandRefused, Decision, Explanation, Flow, Listing
from tidegate.flows.images import promotion_copying as copying
from tidegate.flows.images import promotion_tagging as tagging
from tidegate.flows.images import promotion_testing as testing
from tidegate.flows.images.image_gate import ImageGate
from tidegate.flows.images.image_messages import (
    Answer,
    Command,
    Event,
    ImageImported,
    ImagePushed,
    ImageTestEnded,
    ImageTestErrored,
    ImageTestFailed,
    ImageTestPassed,
    ImageTestRunning,
    ImageTestStarted,
    ImportFailed,
    ImportRunning,
    PromotionRequested,
    RecordAttached,
)
from tidegate.flows.images.image_states import (
    NAME,
    NOWHERE,
    Attesting,
    CopyingReferrers,
    Errored,
    Ignored,
    Importing,
    Inspecting,
    Locking,
    Rejected,
    State,
    Step,
    Testing,
    Unseen,
    key,
)
from tidegate.flows.images.promotion_requests import asked
from tidegate.flows.images.tag_ownership import TagSettled
from tidegate.references import ImageRef

__all__ = ["NAME", "ImagePromotion", "key"]


@dataclasses.dataclass(frozen=True, slots=True)
class ImagePromotion(Flow[State, Event, Command]):
    """The flow, for one healthy registry."""

    healthy: str
    name = NAME

    @override
    def initial(self) -> State:
        return Unseen()

    @override
    def decide(self, state: State, event: Event, /) -> Step:
        state = self._placed(state)
        match event:
            case ImagePushed() | PromotionRequested():
                return asked(state, event, self._target(event.image, event.gate))
            case TagSettled():
                return tagging.tag_settled(state, event)
            case ImageTestEnded(run=run):
                return testing.test_ended(state, run)
            case _ if isinstance(state, Unseen) or event.attempt != state.attempt:
                return Decision(state)  # duplicates, and answers to earlier attempts
            case _:
                return _answered(state, event)

    def _target(self, image: ImageRef, gate: ImageGate) -> ImageRef:
        return image.within(self.healthy, gate.promote.target(image.repository))

    def _placed(self, state: State) -> State:
        """The state with its target, which records did not always keep."""
        if isinstance(state, Unseen) or state.work.target != NOWHERE:
            return state
        work = dataclasses.replace(state.work, target=self._target(state.work.image, state.work.gate))
        return dataclasses.replace(state, work=work)

    @override
    def explain(self, event: Event, after: State, /) -> Explanation | None:
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
    def listing(self, state: State, /) -> Listing | None:
        if isinstance(state, Unseen):
            return None
        reason = state.reason if isinstance(state, Rejected | Ignored | Errored) else ""
        tags = tuple(claim.tag for claim in state.work.claims if claim.tag)
        return Listing(type(state).__name__, state.work.image.repository, tags, state.work.image.digest, reason)


def _answered(state: State, event: Answer) -> Step:
    match state:
        case Inspecting():
            return testing.inspected(state, event)
        case Testing():
            return testing.tested(state, event)
        case Importing():
            return copying.imported(state, event)
        case CopyingReferrers():
            return copying.referrers_copied(state, event)
        case Attesting():
            return tagging.attested(state, event)
        case Locking():
            return tagging.locked(state, event)
        case _:
            return Decision(state)


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
