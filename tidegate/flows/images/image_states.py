"""Where an image can be on its way, and the work it carries along: its gate, the tags that want it, who asked for it."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

from tidegate.flows.base import Decision, Request
from tidegate.flows.images.image_gate import ImageGate
from tidegate.flows.images.image_messages import Asked, Command, PromotionRequested
from tidegate.flows.images.promotion_record import Verdict
from tidegate.flows.images.tag_ownership import TagSettled
from tidegate.references import ImageRef

NAME = "image-promotion"

MAX_REQUESTS = 20
"""Requests kept in a record; the first and the latest are what people ask about."""

type ClaimStatus = Literal["wanted", "placed", "superseded", "taken", "errored"]


NOWHERE = ImageRef("", "", "")
"""The target in records that were written before it was kept there; the flow fills it in."""


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """One tag the image was pushed under; the empty tag is a request for the digest itself."""

    tag: str
    order: str
    status: ClaimStatus = "wanted"
    detail: str = ""
    announced: bool = False
    """Whether other systems were told that the image got the tag."""


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What stays the same on the way, and what joins it."""

    image: ImageRef
    """In staging."""
    gate: ImageGate
    claims: tuple[Claim, ...]
    requests: tuple[Request, ...]
    """Pushes and requests by hand, in order of arrival."""
    override: Request | None = None
    """A request to promote the image although it fails."""
    target: ImageRef = NOWHERE
    """Where it goes: the same digest in the healthy registry."""


@dataclasses.dataclass(frozen=True, slots=True)
class Unseen:
    """Nobody has heard of the image."""


@dataclasses.dataclass(frozen=True, slots=True)
class Inspecting:
    """Its manifest is being read."""

    work: Work
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class Testing:
    """Its test runs."""

    work: Work
    attempt: int
    since: datetime.datetime
    run: str = ""
    checks: int = 0
    tries: int = 1
    ended: bool = False
    """Whether somebody said that the run has ended."""


@dataclasses.dataclass(frozen=True, slots=True)
class Importing:
    """It is copied to the destination."""

    work: Work
    verdict: Verdict
    attempt: int
    since: datetime.datetime
    operation: str = ""
    checks: int = 0
    tries: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class CopyingReferrers:
    """What is attached to it is copied."""

    work: Work
    verdict: Verdict
    attempt: int
    checks: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Attesting:
    """The promotion record is attached."""

    work: Work
    verdict: Verdict
    attempt: int
    referrers: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Tagging:
    """Its tags are settled, one by one."""

    work: Work
    verdict: Verdict
    attempt: int
    record: str


@dataclasses.dataclass(frozen=True, slots=True)
class Locking:
    """Its manifest is locked."""

    work: Work
    verdict: Verdict
    attempt: int
    record: str


@dataclasses.dataclass(frozen=True, slots=True)
class Promoted:
    """It is at the destination, with its record, under every tag that is its own."""

    work: Work
    verdict: Verdict
    attempt: int
    record: str


type Cause = Literal["missing", "requirements", "test", "referrers", "conflict"]


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """The answer is no."""

    work: Work
    attempt: int
    cause: Cause
    reason: str
    verdict: Verdict | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Superseded:
    """Newer pushes own all of its tags."""

    work: Work
    attempt: int
    verdict: Verdict | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Ignored:
    """It is no image: a chart, a signature, another artifact."""

    work: Work
    attempt: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Errored:
    """There was no answer for too long; people look."""

    work: Work
    attempt: int
    step: str
    reason: str
    verdict: Verdict | None = None


type Moving = Inspecting | Testing | Importing | CopyingReferrers | Attesting
type Arrived = Tagging | Locking | Promoted
type Ended = Rejected | Superseded | Ignored | Errored
type State = Unseen | Moving | Arrived | Ended
type Step = Decision[State, Command]


def key(image: ImageRef, gate: ImageGate) -> str:
    """The record of an image under a version of its gate."""
    return f"{NAME}:{image}#{gate.version}"


def joined(work: Work, event: Asked) -> Work:
    """The work with one more claim, or a newer order of one, and the request that brought it."""
    announced = any(claim.announced for claim in work.claims if claim.tag == event.tag)
    others = (claim for claim in work.claims if claim.tag != event.tag)
    claims = (*others, Claim(event.tag, event.order, announced=announced))
    requests = (*work.requests[: MAX_REQUESTS - 1], event.request)
    override = event.request if isinstance(event, PromotionRequested) and event.override else work.override
    return dataclasses.replace(work, claims=claims, requests=requests, override=override)


def settle(work: Work, tag: str, order: str, status: ClaimStatus, detail: str) -> Work:
    claims = tuple(
        _settled(claim, status, detail) if claim.tag == tag and claim.order <= order else claim for claim in work.claims
    )
    return dataclasses.replace(work, claims=claims)


def _settled(claim: Claim, status: ClaimStatus, detail: str) -> Claim:
    announced = claim.announced or status == "placed"
    return dataclasses.replace(claim, status=status, detail=detail, announced=announced)


def settle_untagged(work: Work) -> Work:
    """A request for the digest itself is content once the digest is there."""
    return settle(work, "", max(claim.order for claim in work.claims), "placed", "")


def answers(event: TagSettled, claim: Claim) -> bool:
    """Whether the event settles the claim; a claim renewed since then waits for its own answer."""
    return claim.tag == event.tag and claim.status == "wanted" and claim.order <= event.order


def is_wanted(work: Work) -> bool:
    return any(claim.status in ("wanted", "placed") for claim in work.claims)


def newest_claim(work: Work) -> Claim:
    return max(work.claims, key=lambda claim: claim.order)


def last_request(work: Work) -> Request:
    return work.requests[-1]
