"""The model record: an in-toto statement that says which bytes serve in a stage, why they may, and who let them through.

Format: in-toto Statement v1 (in-toto attestation framework, spec/v1/statement.md). The predicate is our own. The text is a pure
function of what is known, so keeping it twice keeps the same bytes.
"""

from __future__ import annotations

import dataclasses
import datetime
import json

from tidegate.flows.base import Request
from tidegate.flows.deliveries.delivery_states import Delivery, Vote
from tidegate.flows.models.model_facts import Candidate, Measured, ModelFacts
from tidegate.flows.models.model_gate import Stage
from tidegate.flows.models.model_screening import Compared, compared

PREDICATE_TYPE = "urn:tidegate:model-delivery:v1"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How a stage ended well."""

    reason: str
    measured: Measured | None
    at: datetime.datetime
    release: str = ""
    """Run of the pipeline that carried it out; empty: the endpoint did."""


def statement(delivery: Delivery, stage: Stage, facts: ModelFacts, votes: tuple[Vote, ...], outcome: Outcome) -> str:
    """The in-toto statement, as canonical JSON."""
    model = delivery.model
    body = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": delivery.candidate, "digest": {"sha256": facts.artefact.sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "source": {"workspace": model.workspace, "name": model.name, "version": model.version},
            "gate": {"name": delivery.gate.name, "version": delivery.gate.version},
            "stage": _stage(stage),
            "servingImage": facts.serving_image,
            "lineage": {
                "run": facts.run,
                "image": facts.image,
                "data": facts.data,
                "registeredBy": facts.registered_by,
            },
            "screening": _screening(delivery, facts),
            "approvals": [_vote(vote) for vote in votes],
            "rollout": {
                "outcome": outcome.reason,
                "release": outcome.release,
                "finishedOn": _time(outcome.at),
                "traffic": [{"percent": step.percent, "mirror": step.mirror} for step in stage.traffic],
                "measured": _measured(outcome.measured),
            },
            "requests": [_request(request) for request in delivery.requests],
        },
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _stage(stage: Stage) -> dict[str, object]:
    target, instance = stage.target, stage.instance
    return {
        "name": stage.name,
        "target": target.kind,
        "workspace": target.workspace.name,
        "endpoint": target.endpoint,
        "instance": {
            "type": instance.type,
            "count": instance.count,
            "cpu": instance.cpu,
            "memory": instance.memory,
        },
    }


def _screening(delivery: Delivery, facts: ModelFacts) -> dict[str, object]:
    champion = delivery.champion
    return {
        "verdict": "passed",
        "size": facts.artefact.size,
        "files": facts.artefact.files,
        "champion": _champion(champion) if champion else None,
        "metrics": [_metric(each) for each in compared(delivery.gate.require, facts, champion)],
    }


def _champion(champion: Candidate) -> dict[str, object]:
    return {"name": champion.name, "digest": {"sha256": champion.sha256}}


def _metric(metric: Compared) -> dict[str, object]:
    rule = metric.rule
    return {
        "name": metric.name,
        "value": metric.value,
        "champion": metric.champion,
        "atLeast": rule.at_least,
        "atMost": rule.at_most,
        "tolerance": rule.tolerance,
    }


def _measured(measured: Measured | None) -> dict[str, object] | None:
    if measured is None:
        return None
    return {"memory": measured.memory, "latency": measured.latency, "startup": measured.startup}


def _vote(vote: Vote) -> dict[str, object]:
    return {"person": vote.person, "who": vote.who, "why": vote.why, "at": _time(vote.at)}


def _request(request: Request) -> dict[str, object]:
    return {"id": request.id, "who": request.who, "why": request.why, "at": _time(request.at)}


def _time(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
