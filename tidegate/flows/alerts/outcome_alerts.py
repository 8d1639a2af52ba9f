"""Which outcomes of the other flows people hear of by mail: the table from an outcome to its alert."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from tidegate.flows.alerts import incident
from tidegate.flows.alerts.alert_policy import AlertPolicy
from tidegate.flows.alerts.incident import Raised
from tidegate.flows.alerts.notices import Alert, Severity
from tidegate.flows.base import Publish, Tell
from tidegate.flows.models.record_keys import delivery_key
from tidegate.references import ModelRef


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alert."""

    name: str
    """What routes call it (`causes`)."""
    severity: Severity
    title: str
    """`{subject}` stands for the outcome's subject, `{stage}` for the stage it happened in, `{reason}` for its reason."""
    todo: str
    about: tuple[str, ...] = ("repository",)
    """Fields of the outcome that make its incident: what has them all in common is one, and mailed as one."""


APPROVAL = "approval-needed"
_MODEL = ("workspace", "model")

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
        "An event could not be taken: {reason}",
        "`tidegate dead-letters` shows it. Mend what is wrong, then let it come in again: `tidegate replay` with its id.",
    ),
    "Tidegate.EventUndelivered": Kind(
        "dead-letter",
        "warning",
        "Event Grid could not deliver an event: {subject}",
        "`tidegate dead-letters` shows it. Mend the function or its subscription, then `tidegate replay` with its id.",
        ("subscription",),
    ),
    "Tidegate.ApprovalNeeded": Kind(
        APPROVAL,
        "warning",
        "{subject} waits for an approval: {stage}",
        "Look at what it asks for, then approve or reject it, with the reason. Without an answer it counts as a no.",
        (*_MODEL, "version", "stage", "evidence"),  # each is asked for once, so none may be lost in another's incident
    ),
    "Tidegate.ModelRejected": Kind(
        "model-rejected",
        "error",
        "{subject} was rejected and goes no further",
        "Read the reason, then register a better version; or mend what is missing and ask for this one again by hand.",
        (*_MODEL, "stage"),
    ),
    "Tidegate.DeliveryErrored": Kind(
        "delivery-errored",
        "error",
        "{subject}: delivery is stuck, and somebody must look: {stage}",
        "Read the reason, mend the service or the endpoint that it names, then ask for the delivery again by hand.",
        (*_MODEL, "endpoint"),
    ),
    "Tidegate.RolloutPaused": Kind(
        "rollout-paused",
        "warning",
        "{subject}: its rollout is paused: {stage}",
        "Look at the figures; release the endpoint to go on, or roll it back. Without an answer it is taken back.",
        (*_MODEL, "version", "stage"),
    ),
    "Tidegate.RolledBack": Kind(
        "rolled-back",
        "error",
        "{subject} was rolled back: {stage}",
        "What served before serves again. Read the reason before the next delivery; release the endpoint if it is held.",
        (*_MODEL, "version", "stage"),  # what served people was worse: nobody waits hours to hear it
    ),
}
"""By the type of the outcome. Undelivered alerts are none of them: an alert about alerts would go round in circles."""

_LABELS = (
    ("repository", "Repository"),
    ("tag", "Tag"),
    ("model", "Model"),
    ("version", "Version"),
    ("workspace", "Workspace"),
    ("stage", "Stage"),
    ("endpoint", "Endpoint"),
    ("digest", "Digest"),
    ("gate", "Gate"),
    ("cause", "Cause"),
    ("by", "By"),
    ("verdict", "Test"),
    ("id", "Dead letter"),
    ("events", "Events in it"),
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
        subject="/".join((kind.name, *(data.get(name, "") for name in kind.about))),
        name=news.subject,
        kind=kind.name,
        severity=kind.severity,
        title=_title(kind, news.subject, data.get("stage", ""), data.get("reason", "")),
        why=data.get("reason", ""),
        todo=kind.todo,
        route=route.name,
        at=news.at,
        facts=tuple((label, data[name]) for name, label in _LABELS if name in data),
        approval=_approval(data) if kind.name == APPROVAL else "",
    )
    return Tell(incident.key(alert.subject), Raised(alert))


def _title(kind: Kind, subject: str, stage: str, reason: str) -> str:
    title = kind.title if stage else kind.title.removesuffix(": {stage}")
    title = title if reason else title.removesuffix(": {reason}")
    given = {"{stage}": stage, "{reason}": reason, "{subject}": subject}
    return re.sub(r"{\w+}", lambda found: given[found[0]], title)


def _approval(data: Mapping[str, str]) -> str:
    """What a button of the mail leads to: the stage, and the record of the delivery that waits there."""
    model = ModelRef(data.get("workspace", ""), data.get("model", ""), data.get("version", ""))
    return f"{data.get('stage', '')}/{delivery_key(model)}"
