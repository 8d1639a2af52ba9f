"""The promotion record: an in-toto statement that says which bytes were let through, by which gate, on what evidence, for whom.

Format: in-toto Statement v1 (in-toto attestation framework, spec/v1/statement.md). The predicate is our own. The text is a pure
function of what is known, so attaching it twice attaches the same bytes.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Literal

from tidegate.flows.base import Request
from tidegate.references import ImageRef

PREDICATE_TYPE = "urn:tidegate:promotion:v1"
MEDIA_TYPE = "application/vnd.in-toto+json"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What the test came to."""

    kind: Literal["passed", "failed", "overridden", "skipped"]
    at: datetime.datetime
    run: str = ""
    started: datetime.datetime | None = None
    log: str = ""
    """URL of the kept log."""
    log_sha256: str = ""
    reason: str = ""
    """Why it failed, was skipped, or what was overridden."""


@dataclasses.dataclass(frozen=True, slots=True)
class Approval:
    """Everything the record says."""

    source: ImageRef
    target: ImageRef
    gate: str
    gate_version: str
    verdict: Verdict
    requests: tuple[Request, ...]
    override: Request | None


def statement(approval: Approval) -> str:
    """The in-toto statement, as canonical JSON."""
    target, verdict = approval.target, approval.verdict
    body = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {
                "name": f"{target.registry}.azurecr.io/{target.repository}",
                "digest": {"sha256": target.digest.removeprefix("sha256:")},
            }
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "source": f"{approval.source.registry}.azurecr.io/{approval.source.repository}@{approval.source.digest}",
            "gate": {"name": approval.gate, "version": approval.gate_version},
            "test": {
                "verdict": verdict.kind,
                "run": verdict.run,
                "startedOn": _time(verdict.started),
                "finishedOn": _time(verdict.at),
                "log": {"uri": verdict.log, "digest": {"sha256": verdict.log_sha256}} if verdict.log else None,
                "reason": verdict.reason,
            },
            "requests": [_request(request) for request in approval.requests],
            "override": _request(approval.override) if approval.override else None,
        },
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def record_annotations(approval: Approval) -> tuple[tuple[str, str], ...]:
    """Annotations of the referrer, so that a list of referrers can be read without fetching the statement."""
    return (
        ("in-toto.io/predicate-type", PREDICATE_TYPE),
        ("org.opencontainers.image.created", _time(approval.verdict.at) or ""),
        ("tidegate.gate", f"{approval.gate}@{approval.gate_version}"),
        ("tidegate.verdict", approval.verdict.kind),
    )


def _request(request: Request) -> dict[str, str | None]:
    return {"id": request.id, "who": request.who, "why": request.why, "at": _time(request.at)}


def _time(moment: datetime.datetime | None) -> str | None:
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
