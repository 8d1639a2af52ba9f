"""How a promotion ends.

Rejected, Superseded and Errored are ends with a way out: an override, a newer push, a request by hand.
"""

from __future__ import annotations

import datetime

from tidegate.flows.base import Decision
from tidegate.flows.images import promotion_news as news
from tidegate.flows.images.image_states import (
    Cause,
    Errored,
    Locking,
    Promoted,
    Rejected,
    Step,
    Superseded,
    Tagging,
    Work,
    newest_claim,
)
from tidegate.flows.images.promotion_record import Verdict


def promoted(state: Tagging | Locking) -> Step:
    """Every tag is settled; whoever asked for the digest itself is told here."""
    work = state.work
    untagged = next((claim for claim in work.claims if not claim.tag), None)
    told = (news.published("ImagePromoted", work, state.verdict, "", untagged.order),) if untagged else ()
    return Decision(Promoted(work, state.verdict, state.attempt + 1, state.record), told)


def rejected(
    work: Work,
    attempt: int,
    cause: Cause,
    reason: str,
    at: datetime.datetime,
    verdict: Verdict | None = None,
) -> Step:
    """The answer is no, and it is final for this cause unless people say otherwise."""
    claim = newest_claim(work)
    told = news.published("ImageRejected", work, verdict, claim.tag, f"{attempt}", reason, cause, at)
    return Decision(Rejected(work, attempt, cause, reason, verdict), (told,))


def superseded(work: Work, attempt: int, at: datetime.datetime, verdict: Verdict | None) -> Step:
    """Newer pushes own all of its tags."""
    claim = newest_claim(work)
    told = news.published("ImageSuperseded", work, verdict, claim.tag, f"{attempt}", f"by {claim.detail}", "", at)
    return Decision(Superseded(work, attempt, verdict), (told,))


def errored(
    work: Work,
    attempt: int,
    step: str,
    reason: str,
    at: datetime.datetime,
    verdict: Verdict | None = None,
    *,
    told: bool = False,
) -> Step:
    """There is no answer; `told`: other systems heard of it already, tag by tag."""
    claim = newest_claim(work)
    publish = news.published("PromotionErrored", work, verdict, claim.tag, f"{attempt}", reason, step, at)
    return Decision(Errored(work, attempt, step, reason, verdict), () if told else (publish,))
