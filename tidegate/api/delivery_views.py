"""How deliveries, their stages and plans of them look as JSON."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from tidegate.api.deliveries import SHOWN, DeliveryFound, book_of, delivery_of, votes_of
from tidegate.api.delivery_plan import DeliveryPlan, StagePlan
from tidegate.api.endpoints import EndpointFound
from tidegate.api.promotion_views import audit_json, parsed, request_json, retry_json, time_json
from tidegate.flows.deliveries.delivery_states import AwaitingApproval, Delivery, Vote, reason_of
from tidegate.flows.deliveries.stage_approval import evidence_of
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import endpoint_states as endpoints
from tidegate.flows.endpoints.endpoint_rollout import EndpointRollout
from tidegate.flows.endpoints.endpoint_states import EndpointBook, Rollout, course_of
from tidegate.flows.models.model_facts import ModelFacts, Weights
from tidegate.flows.models.model_gate import Stage
from tidegate.ports import AuditRow, Summary
from tidegate.traces import trace_id


def entry_json(summary: Summary) -> dict[str, Any]:
    """An entry of the list."""
    workspace = summary.key.partition(":")[2].partition("/")[0]
    return {
        "id": summary.id,
        "state": SHOWN.get(summary.state, summary.state),
        "workspace": workspace,
        "model": summary.repository,
        "version": summary.tags[0] if summary.tags else "",
        "stage": summary.tags[1] if len(summary.tags) > 1 else None,
        "artefact": summary.digest or None,
        "reason": summary.reason,
        "since": time_json(summary.since),
        "updated": time_json(summary.updated),
    }


def delivery_json(found: DeliveryFound) -> dict[str, Any]:
    """A delivery with its stages, what is to be decided, and its history."""
    state, delivery = found.state, delivery_of(found.state)
    name = type(state).__name__
    return {
        **entry_json(found.summary),
        "state": SHOWN.get(name, name),
        "stage": getattr(state, "stage", "") or None,
        "reason": reason_of(state),
        "retries": [retry_json(each) for each in found.retries],
        "gate": {"name": delivery.gate.name, "version": delivery.gate.version} if delivery else None,
        "evidence": evidence_of(state) or None,
        "approval": _approval_json(state) if isinstance(state, AwaitingApproval) else None,
        "facts": facts_json(delivery.facts) if delivery and delivery.facts else None,
        "champion": delivery.champion.name if delivery and delivery.champion else None,
        "requests": [request_json(request) for request in delivery.requests] if delivery else [],
        "stages": [_stage_json(found, delivery, stage) for stage in delivery.gate.stages] if delivery else [],
        "trace": trace_id(found.summary.key),
        "history": [_transition_json(row) for row in found.history],
    }


def endpoint_entry_json(found: EndpointFound) -> dict[str, Any]:
    """An endpoint of the list."""
    book, summary = found.state.book, found.summary
    return {
        "id": summary.id,
        "state": summary.state,
        "endpoint": book.target.endpoint,
        "kind": book.target.kind,
        "workspace": book.target.workspace.name,
        "champion": book.champion.candidate.name if book.champion else None,
        "challenger": found.challenger or None,
        "delivery": found.delivery or None,
        "reason": summary.reason,
        "since": time_json(summary.since),
        "updated": time_json(summary.updated),
    }


def plan_json(plan: DeliveryPlan) -> dict[str, Any]:
    """A plan."""
    return {
        "dry_run": True,
        "workspace": plan.model.workspace,
        "model": plan.model.name,
        "version": plan.model.version,
        "gate": {"name": plan.gate.name, "version": plan.gate.version},
        "state": SHOWN.get(plan.state, plan.state),
        "problems": list(plan.problems),
        "stages": [_stage_plan_json(stage) for stage in plan.stages],
    }


def _transition_json(row: AuditRow) -> dict[str, Any]:
    """A transition between states that are called as everywhere else."""
    before, after = (SHOWN.get(name, name) for name in (row.before, row.after))
    return {**audit_json(row), "before": before, "after": after}


def facts_json(facts: ModelFacts) -> dict[str, Any]:
    """What is known of a version."""
    artefact = facts.artefact
    return {
        "artefact": {"sha256": artefact.sha256 or None, "size": artefact.size, "files": artefact.files},
        "metrics": dict(facts.metrics),
        "tags": dict(facts.tags),
        "run": facts.run or None,
        "image": facts.image or None,
        "data": facts.data or None,
        "registered_by": facts.registered_by or None,
        "serving_image": facts.serving_image or None,
    }


def _stage_json(found: DeliveryFound, delivery: Delivery, stage: Stage) -> dict[str, Any]:
    passed = next((each for each in delivery.passed if each.stage == stage.name), None)
    is_current = getattr(found.state, "stage", "") == stage.name
    state = found.endpoints.get(stage.name)
    rules = stage.approval
    return {
        "name": stage.name,
        "state": "passed" if passed else "current" if is_current else "ahead",
        "target": {
            "kind": stage.target.kind,
            "workspace": stage.target.workspace.name,
            "endpoint": stage.target.endpoint,
        },
        "needs": {"quorum": rules.quorum, "roles": list(rules.roles)} if rules else None,
        "approvals": [
            _vote_json(vote) for name, votes in votes_of(found.state) if name == stage.name for vote in votes
        ],
        "reason": passed.reason if passed else None,
        "record": passed.record or None if passed else None,
        "measured": dataclasses.asdict(passed.measured) if passed and passed.measured else None,
        "endpoint": endpoint_json(state) if state is not None else None,
    }


def endpoint_json(state: endpoints.State) -> dict[str, Any]:
    """What is remembered of an endpoint, and what is under way there."""
    book, course = book_of(state), course_of(state)
    hold, waiting = (book.hold, book.waiting) if book else (None, None)
    rollout = course if isinstance(course, Rollout) else None
    listing = EndpointRollout().listing(state)
    return {
        "state": listing.state if listing else "Unknown",
        "reason": listing.reason if listing else "",
        "champion": _champion(book),
        "challenger": rollout.wish.candidate.name if rollout else None,
        "weights": _weights_json(state),
        "waiting": waiting.candidate.name if waiting else None,
        "held": {"who": hold.who, "why": hold.why, "at": time_json(hold.at)} if hold else None,
        "blocked": list(book.blocked) if book else [],
    }


def _champion(book: EndpointBook | None) -> str | None:
    return book.champion.candidate.name if book and book.champion else None


def _weights_json(state: endpoints.State) -> dict[str, dict[str, int]] | None:
    """As they were last asked for, by version; None: nothing was."""
    names: dict[str, str] = {}
    book, course = book_of(state), course_of(state)
    if book is None:
        return None
    if book.champion:
        names[book.champion.deployment] = book.champion.candidate.name
    if isinstance(course, Rollout):
        names[course.deployment] = course.wish.candidate.name
    match state:
        case endpoints.ShiftingTraffic(wanted=wanted):
            return _named(wanted, names)
        case _ if isinstance(course, Rollout) and course.is_live:
            return _named(books.divided(course.steps[course.step], book.champion, course.deployment), names)
        case _:
            return _named(books.serving(book.champion), names)


def _named(weights: Weights, names: dict[str, str]) -> dict[str, dict[str, int]]:
    return {
        "live": {names.get(deployment, deployment): percent for deployment, percent in weights.live},
        "mirror": {names.get(deployment, deployment): percent for deployment, percent in weights.mirror},
    }


def _approval_json(state: AwaitingApproval) -> dict[str, Any]:
    rules = state.delivery.stage(state.stage).approval
    return {
        "stage": state.stage,
        "evidence": state.evidence,
        "quorum": rules.quorum if rules else 0,
        "roles": list(rules.roles) if rules else [],
        "since": time_json(state.since),
        "expires": time_json(state.expires),
        "approvals": [_vote_json(vote) for vote in state.votes],
    }


def _vote_json(vote: Vote) -> dict[str, Any]:
    return {"person": vote.person, "who": vote.who, "why": vote.why, "at": time_json(vote.at)}


def _stage_plan_json(stage: StagePlan) -> dict[str, Any]:
    until: datetime.datetime | None = stage.frozen_until
    return {
        "name": stage.name,
        "approval": stage.approval or None,
        "frozen_until": time_json(until) if until else None,
        "champion": stage.champion or None,
        "calls": [{"call": call.name, "on": call.on, "with": parsed(call.detail)} for call in stage.calls],
    }
