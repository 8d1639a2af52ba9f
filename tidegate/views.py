"""How promotions, plans and dead letters look as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

from tidegate.flows.image_states import Unseen
from tidegate.flows.promotion_record import Request, Verdict
from tidegate.ports import AuditRow, Parked, Summary
from tidegate.promotions import Plan, Promotion


def summary_json(summary: Summary) -> dict[str, Any]:
    """An entry of the list."""
    return {
        "id": summary.id,
        "state": summary.state,
        "repository": summary.repository,
        "tags": list(summary.tags),
        "digest": summary.digest,
        "reason": summary.reason,
        "since": _time(summary.since),
        "updated": _time(summary.updated),
    }


def promotion_json(promotion: Promotion) -> dict[str, Any]:
    """A promotion with its claims, verdict, record and history."""
    state: Any = promotion.state
    if isinstance(state, Unseen):
        return summary_json(promotion.summary)
    verdict = getattr(state, "verdict", None)
    return {
        **summary_json(promotion.summary),
        "state": type(state).__name__,
        "reason": getattr(state, "reason", ""),
        "gate": {"name": state.work.gate.name, "version": state.work.gate.version},
        "claims": [dataclasses.asdict(claim) for claim in state.work.claims],
        "requests": [_request_json(request) for request in state.work.requests],
        "override": _request_json(state.work.override) if state.work.override else None,
        "verdict": _verdict_json(verdict) if verdict else None,
        "record": getattr(state, "record", None),
        "history": [_audit_json(row) for row in promotion.history],
    }


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan."""
    return {
        "dry_run": True,
        "image": str(plan.image),
        "gate": {"name": plan.gate.name, "version": plan.gate.version},
        "state": plan.state,
        "problems": list(plan.problems),
        "calls": [{"call": call.name, "on": call.on, "with": _parsed(call.detail)} for call in plan.calls],
    }


def dead_letter_json(parked: Parked) -> dict[str, Any]:
    """A dead letter."""
    return {"id": parked.id, "reason": parked.reason, "at": _time(parked.at), "body": parked.body}


def _parsed(detail: str) -> Any:
    try:
        return json.loads(detail)
    except ValueError:
        return detail


def _request_json(request: Request) -> dict[str, Any]:
    return {"id": request.id, "who": request.who, "why": request.why, "at": _time(request.at)}


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "kind": verdict.kind,
        "run": verdict.run,
        "started": _time(verdict.started) if verdict.started else None,
        "finished": _time(verdict.at),
        "log": verdict.log or None,
        "log_sha256": verdict.log_sha256 or None,
        "reason": verdict.reason,
    }


def _audit_json(row: AuditRow) -> dict[str, Any]:
    return {
        "sequence": row.sequence,
        "at": _time(row.at),
        "who": row.who,
        "what": row.what,
        "why": row.why,
        "before": row.before,
        "after": row.after,
        "evidence": row.evidence or None,
    }


def _time(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
