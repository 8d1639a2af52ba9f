"""How promotions, plans and dead letters look as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

from tidegate.api.promotions import Plan, Promotion
from tidegate.api.retries import Retry
from tidegate.flows.base import Request
from tidegate.flows.images.image_states import Unseen
from tidegate.flows.images.promotion_record import Verdict
from tidegate.ports import AuditRow, Parked, Summary
from tidegate.traces import trace_id


def summary_json(summary: Summary) -> dict[str, Any]:
    """An entry of the list."""
    return {
        "id": summary.id,
        "state": summary.state,
        "repository": summary.repository,
        "tags": list(summary.tags),
        "digest": summary.digest,
        "reason": summary.reason,
        "since": time_json(summary.since),
        "updated": time_json(summary.updated),
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
        "cause": getattr(state, "cause", None),
        "retries": [retry_json(each) for each in promotion.retries],
        "gate": {"name": state.work.gate.name, "version": state.work.gate.version},
        "claims": [dataclasses.asdict(claim) for claim in state.work.claims],
        "requests": [request_json(request) for request in state.work.requests],
        "override": request_json(state.work.override) if state.work.override else None,
        "verdict": _verdict_json(verdict) if verdict else None,
        "record": getattr(state, "record", None),
        "trace": trace_id(promotion.summary.key),
        "history": [audit_json(row) for row in promotion.history],
    }


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan."""
    return {
        "dry_run": True,
        "image": str(plan.image),
        "gate": {"name": plan.gate.name, "version": plan.gate.version},
        "state": plan.state,
        "problems": list(plan.problems),
        "calls": [{"call": call.name, "on": call.on, "with": parsed(call.detail)} for call in plan.calls],
    }


def dead_letter_json(parked: Parked) -> dict[str, Any]:
    """A dead letter."""
    return {"id": parked.id, "reason": parked.reason, "at": time_json(parked.at), "body": parked.body}


def parsed(detail: str) -> Any:
    """JSON as it is, words as text."""
    try:
        return json.loads(detail)
    except ValueError:
        return detail


def request_json(request: Request) -> dict[str, Any]:
    """Who asked, and why."""
    return {"id": request.id, "who": request.who, "why": request.why, "at": time_json(request.at)}


def retry_json(retry: Retry) -> dict[str, Any]:
    """A step that is tried again."""
    return {
        "step": retry.step,
        "tries": retry.tries,
        "since": time_json(retry.since),
        "next": time_json(retry.next),
        "reason": retry.reason,
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "kind": verdict.kind,
        "run": verdict.run,
        "started": time_json(verdict.started) if verdict.started else None,
        "finished": time_json(verdict.at),
        "log": verdict.log or None,
        "log_sha256": verdict.log_sha256 or None,
        "reason": verdict.reason,
    }


def audit_json(row: AuditRow) -> dict[str, Any]:
    """A transition."""
    return {
        "sequence": row.sequence,
        "at": time_json(row.at),
        "who": row.who,
        "what": row.what,
        "why": row.why,
        "before": row.before,
        "after": row.after,
        "evidence": row.evidence or None,
    }


def time_json(moment: datetime.datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
