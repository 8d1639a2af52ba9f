"""What people send about deliveries, checked: a wish, a decision, an action on endpoints."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from tidegate import references
from tidegate.errors import MalformedEvent
from tidegate.references import ModelRef

MAX_REASON = 500

type Act = Literal["rollback", "hold", "release"]

_EVIDENCE = re.compile(r"[0-9a-f]{64}\Z")
_STAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class DeliveryWish:
    """A version that somebody wants delivered."""

    model: ModelRef
    reason: str
    dry_run: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """A person's yes or no."""

    answer: Literal["approve", "reject"]
    reason: str
    evidence: str
    """Hash of what they looked at; empty: a no to the version as such."""


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """What an endpoint shall do."""

    act: Act
    reason: str
    stage: str
    """Empty: every stage that it concerns."""


def wish(body: object, workspaces: Collection[str]) -> DeliveryWish:
    """Check a request for a delivery. MalformedEvent names the field and the rule."""
    fields = _fields(body, ("model", "version", "workspace", "reason", "dry_run"))
    workspace = references.workspace(fields.get("workspace"), "workspace")
    if workspace not in workspaces:
        raise MalformedEvent(f"workspace: {workspace} is none of this installation (TIDEGATE_WORKSPACES)")
    name = references.model(fields.get("model"), "model")
    dry_run = fields.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise MalformedEvent("dry_run: must be true or false")
    version = references.version(fields.get("version"), "version")
    return DeliveryWish(ModelRef(workspace, name, version), _reason(fields), dry_run)


def verdict(answer: Literal["approve", "reject"], body: object) -> Verdict:
    """Check a decision. A yes must name the evidence it is about. MalformedEvent names the field and the rule."""
    fields = _fields(body, ("reason", "evidence"))
    evidence = fields.get("evidence", "")
    if not isinstance(evidence, str) or (evidence and not _EVIDENCE.match(evidence)):
        raise MalformedEvent("evidence: must be the hash that the delivery shows, 64 of 0-9 and a-f")
    if answer == "approve" and not evidence:
        raise MalformedEvent("evidence: missing; an approval names the evidence that GET shows, and is of nothing else")
    return Verdict(answer, _reason(fields), evidence)


def action(act: Act, body: object) -> Action:
    """Check an action on endpoints. MalformedEvent names the field and the rule."""
    fields = _fields(body, ("reason", "stage"))
    stage = fields.get("stage", "")
    if not isinstance(stage, str) or (stage and not _STAGE.match(stage)):
        raise MalformedEvent("stage: must be the name of a stage of the gate")
    return Action(act, _reason(fields), stage)


def _fields(body: object, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise MalformedEvent("body: must be a JSON object")
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise MalformedEvent(f"{_line(unknown[0])}: unknown field; allowed are {', '.join(known)}")
    return body


def _reason(fields: Mapping[str, Any]) -> str:
    reason = fields.get("reason")
    if not isinstance(reason, str) or not _line(reason):
        raise MalformedEvent("reason: missing; say why, it is kept with the delivery")
    if len(reason) > MAX_REASON:
        raise MalformedEvent(f"reason: longer than {MAX_REASON} characters")
    return _line(reason)


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:MAX_REASON]
