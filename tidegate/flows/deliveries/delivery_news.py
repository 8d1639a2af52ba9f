"""What other systems hear of a delivery: outcomes with the same fields for all of them."""

from __future__ import annotations

import datetime

from tidegate.flows.base import Publish
from tidegate.flows.deliveries.delivery_states import AwaitingApproval, Delivery, DeliveryErrored, ModelRejected
from tidegate.flows.models.model_gate import ApprovalRules
from tidegate.flows.models.record_keys import delivery_key

type Field = tuple[str, str | int | bool | tuple[str, ...]]


def approval_needed(state: AwaitingApproval, rules: ApprovalRules) -> Publish:
    """People are asked, and told what about: a decision names the evidence."""
    people = f"{rules.quorum} approval{'' if rules.quorum == 1 else 's'} of {' or '.join(rules.roles)}"
    reason = f"{state.stage} takes {people} until {state.expires:%Y-%m-%d %H:%M} UTC"
    more = (
        ("evidence", state.evidence),
        ("quorum", rules.quorum),
        ("roles", rules.roles),
        ("expires", state.expires.astimezone(datetime.UTC).isoformat()),
    )
    return news("ApprovalNeeded", state.delivery, state.attempt, state.since, state.stage, reason, more)


def rejected(state: ModelRejected, at: datetime.datetime) -> Publish:
    """It goes no further."""
    more = (("cause", state.cause), ("by", state.by))
    return news("ModelRejected", state.delivery, state.attempt, at, state.stage, "; ".join(state.reasons), more)


def errored(state: DeliveryErrored, at: datetime.datetime) -> Publish:
    """Somebody has to look."""
    more = (("cause", state.step),)
    return news("DeliveryErrored", state.delivery, state.attempt, at, state.stage, state.reason, more)


def news(
    kind: str,
    delivery: Delivery,
    attempt: int,
    at: datetime.datetime,
    stage: str,
    reason: str = "",
    more: tuple[Field, ...] = (),
) -> Publish:
    """One outcome. The attempt of the state that it tells of makes its id: an attempt is never used twice in a record."""
    model, facts = delivery.model, delivery.facts
    data: tuple[Field, ...] = (
        ("workspace", model.workspace),
        ("model", model.name),
        ("version", model.version),
        ("digest", facts.artefact.sha256 if facts else ""),
        ("gate", delivery.gate.name),
        ("gateVersion", delivery.gate.version),
        ("stage", stage),
        ("endpoint", delivery.stage(stage).target.endpoint if stage else ""),
        ("reason", reason),
    )
    return Publish(
        f"Tidegate.{kind}", delivery.candidate, at, (*data, *more), f"{delivery_key(model)}/{kind}/{attempt}"
    )
