"""Which outcomes of the other flows people hear of by mail: the table from an outcome to its alert."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tidegate.flows import incident
from tidegate.flows.alert_policy import AlertPolicy
from tidegate.flows.alerts import Alert, Severity
from tidegate.flows.base import Publish, Tell
from tidegate.flows.incident import Raised


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alert."""

    name: str
    """What routes call it (`causes`)."""
    severity: Severity
    title: str
    """`{subject}` stands for the outcome's subject."""
    todo: str


KINDS: Mapping[str, Kind] = {
    "Tidegate.ImageRejected": Kind(
        "image-rejected",
        "error",
        "{subject} was rejected and stays in staging",
        "Read the reason, fix the image, and push it under a new tag; or promote it by hand with an override.",
    ),
    "Tidegate.TagConflict": Kind(
        "tag-conflict",
        "error",
        "{subject}: the tag is immutable and names another image",
        "Push the image under a new tag.",
    ),
    "Tidegate.PromotionErrored": Kind(
        "promotion-errored",
        "error",
        "{subject} could not be promoted: there was no answer",
        "Look at the service that did not answer, then ask for the promotion again by hand.",
    ),
    "Tidegate.EventParked": Kind(
        "dead-letter",
        "warning",
        "An event could not be taken: {subject}",
        "See GET /api/dead-letters; mend what is wrong, and replay it.",
    ),
    "Tidegate.ApprovalNeeded": Kind(
        "approval-needed", "warning", "{subject} waits for an approval", "Look at what it asks for, and decide."
    ),
    "Tidegate.RolledBack": Kind(
        "rolled-back", "error", "{subject} was rolled back", "Read the reason before the next delivery."
    ),
}
"""By the type of the outcome. Undelivered alerts are none of them: an alert about alerts would go round in circles."""

_LABELS = (
    ("repository", "Repository"),
    ("tag", "Tag"),
    ("digest", "Digest"),
    ("gate", "Gate"),
    ("cause", "Cause"),
    ("verdict", "Test"),
    ("evidence", "Evidence"),
)


def alert_of(news: Publish, policy: AlertPolicy) -> Tell[object] | None:
    """The alert that an outcome is, for the record of its incident; None: nobody has to hear of it by mail."""
    kind = KINDS.get(news.type)
    if kind is None:
        return None
    data = {name: value for name, value in news.data if isinstance(value, str) and value}
    route = policy.route(data.get("workspace", ""), data.get("experiment", ""), (), kind.name)
    alert = Alert(
        id=news.id,
        subject=f"{kind.name}/{data.get('repository', '')}",
        name=news.subject,
        kind=kind.name,
        severity=kind.severity,
        title=kind.title.replace("{subject}", news.subject),
        why=data.get("reason", ""),
        todo=kind.todo,
        route=route.name,
        at=news.at,
        facts=tuple((label, data[name]) for name, label in _LABELS if name in data),
    )
    return Tell(incident.key(alert.subject), Raised(alert))
