"""What a push or a request by hand means to an image that may be anywhere on its way."""

from __future__ import annotations

import dataclasses
import datetime
from typing import assert_never

from tidegate.flows.base import Decision
from tidegate.flows.images import promotion_copying as copying
from tidegate.flows.images import promotion_news as news
from tidegate.flows.images import promotion_testing as testing
from tidegate.flows.images.image_messages import Asked, PromotionRequested
from tidegate.flows.images.image_states import (
    Arrived,
    Attesting,
    CopyingReferrers,
    Errored,
    Ignored,
    Importing,
    Inspecting,
    Locking,
    Promoted,
    Rejected,
    State,
    Step,
    Superseded,
    Tagging,
    Testing,
    Unseen,
    Work,
    joined,
    settle,
    settle_untagged,
)
from tidegate.flows.images.promotion_record import Verdict
from tidegate.flows.images.tag_ownership import TagApproved, TagPushed
from tidegate.references import ImageRef

_MAY_OVERRIDE = ("test", "requirements", "referrers")
"""Causes for which somebody may take responsibility."""


def asked(state: State, event: Asked, target: ImageRef) -> Step:
    """A push or a request by hand begins the work, joins it, or makes it begin again."""
    if isinstance(state, Unseen):
        work = Work(event.image, event.gate, (), (), target=target)
        return testing.inspect(joined(work, event), attempt=1)
    if any(claim.tag == event.tag and claim.order >= event.order for claim in state.work.claims):
        return Decision(state)
    work = joined(state.work, event)
    match state:
        case Inspecting() | Tagging() | Locking() | Promoted():
            return _joined_tag(dataclasses.replace(state, work=work), event)
        case Testing() | Importing() | CopyingReferrers() | Attesting():
            return Decision(dataclasses.replace(state, work=work), news.to_tags(work, TagPushed, event.tag))
        case Ignored():
            return Decision(state)
        case Rejected():
            return _asked_again(state, work, event)
        case Superseded() | Errored():
            return _restart(state, work, event.request.at)
        case _:
            assert_never(state)


def _joined_tag(state: Inspecting | Arrived, event: Asked) -> Step:
    """A tag joins before the image is known to be one, or after it passed."""
    match state:
        case Inspecting():
            return Decision(state)
        case _ if event.tag:
            return Decision(state, news.to_tags(state.work, TagApproved, event.tag))
        case _:
            return Decision(dataclasses.replace(state, work=settle_untagged(state.work)))


def _asked_again(state: Rejected, work: Work, event: Asked) -> Step:
    """A rejected image stays rejected, unless somebody takes responsibility or the cause is not in the image itself.

    Its push still takes part in the order. A tag that was taken says nothing about another tag.
    """
    if isinstance(event, PromotionRequested) and event.override and state.cause in _MAY_OVERRIDE:
        log = state.verdict.log if state.verdict else ""
        verdict = Verdict("overridden", event.request.at, reason=state.reason, log=log)
        return copying.begin_import(work, verdict, state.attempt + 1, event.request.at)
    by_hand = isinstance(event, PromotionRequested)
    taken = [claim for claim in state.work.claims if claim.tag == event.tag and claim.status == "taken"]
    again = {"missing": True, "referrers": by_hand, "conflict": by_hand or not taken}
    if again.get(state.cause, False):
        return _restart(state, work, event.request.at)
    after = settle(work, event.tag, event.order, "taken", taken[0].detail) if taken else work
    return Decision(dataclasses.replace(state, work=after), news.to_tags(work, TagPushed, event.tag))


def _restart(state: Rejected | Superseded | Errored, work: Work, at: datetime.datetime) -> Step:
    """Go on from what is known: a verdict is kept."""
    if state.verdict is not None and state.verdict.kind != "failed":
        step = copying.begin_import(work, state.verdict, state.attempt + 1, at)
    else:
        step = testing.inspect(work, state.attempt + 1)
    return Decision(step.state, (*news.to_tags(work, TagPushed), *step.commands))
