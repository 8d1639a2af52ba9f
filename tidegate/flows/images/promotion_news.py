"""What a promotion tells: the records of its tags, and other systems."""

from __future__ import annotations

import datetime
from typing import assert_never

from tidegate.flows.base import Publish, Tell
from tidegate.flows.images.image_states import Work, key, last_request
from tidegate.flows.images.promotion_record import Verdict
from tidegate.flows.images.tag_ownership import Claimant, TagApproved, TagPushed, TagSettled
from tidegate.flows.images.tag_ownership import key as tag_key
from tidegate.references import TagRef


def published(
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
    image, target = work.image, work.target
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


def of_tag(work: Work, verdict: Verdict | None, event: TagSettled) -> tuple[Publish, ...]:
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
            return (published("ImagePromoted", work, verdict, tag, order, at=at),)
        case "taken":
            return (published("TagConflict", work, verdict, tag, order, event.detail, at=at),)
        case "errored":
            return (published("PromotionErrored", work, verdict, tag, order, event.detail, at=at),)
        case "superseded":
            return ()
        case _:
            assert_never(event.result)


def to_tags(
    work: Work, event: type[TagPushed | TagApproved], tag: str | None = None
) -> tuple[Tell[TagPushed | TagApproved], ...]:
    """Tell the record of each wanted tag, or of one, that the image was pushed or approved."""
    target = work.target
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
