"""How a delivery ends: the state it ends in, and who is told."""

from __future__ import annotations

import datetime
from typing import assert_never

from tidegate.flows.base import Decision, Tell
from tidegate.flows.deliveries import delivery_news
from tidegate.flows.deliveries.delivery_messages import Command, Decided
from tidegate.flows.deliveries.delivery_states import (
    Delivered,
    Delivery,
    DeliveryErrored,
    DeliveryFailed,
    DeliveryRolledBack,
    DeliverySuperseded,
    Ended,
    ModelRejected,
    RejectionCause,
    RollingOut,
    Running,
    State,
)
from tidegate.flows.endpoints.rollout_messages import StageEnded, VersionRejected
from tidegate.flows.models.record_keys import endpoint_key

type Step = Decision[State, Command]


def delivered(delivery: Delivery, attempt: int, at: datetime.datetime) -> Step:
    """It serves in every stage."""
    last = delivery.gate.stages[-1].name
    return Decision(Delivered(delivery, attempt), (delivery_news.news("ModelDelivered", delivery, attempt, at, last),))


def rejected(state: Running, cause: RejectionCause, reasons: tuple[str, ...], at: datetime.datetime) -> Step:
    """The gate says no."""
    after = ModelRejected(state.delivery, state.attempt + 1, cause, reasons, stage_name(state))
    return Decision(after, (delivery_news.rejected(after, at),))


def rejected_by(state: Running | Ended, decided: Decided) -> Step:
    """A person says no: every endpoint of the gate is told, so that it serves nowhere, now or later."""
    after = ModelRejected(state.delivery, state.attempt + 1, "rejected", (decided.why,), stage_name(state), decided.who)
    served = (stage.target for stage in after.delivery.gate.stages if stage.release is None)
    targets = {endpoint_key(target): target for target in served}
    tells = tuple(
        Tell(record, VersionRejected(state.delivery.candidate, target, decided.who, decided.why, decided.at))
        for record, target in targets.items()
    )
    return Decision(after, (*tells, delivery_news.rejected(after, decided.at)))


def failed(state: Running, reason: str, at: datetime.datetime) -> Step:
    """A stage says no before the version got live traffic."""
    after = DeliveryFailed(state.delivery, state.attempt + 1, stage_name(state), reason)
    more = (("cause", "stage failed"),)
    told = delivery_news.news("ModelRejected", after.delivery, after.attempt, at, after.stage, reason, more)
    return Decision(after, (told,))


def errored(state: Running, step: str, reason: str, at: datetime.datetime) -> Step:
    """There is no answer."""
    after = DeliveryErrored(state.delivery, state.attempt + 1, stage_name(state), step, reason)
    return Decision(after, (delivery_news.errored(after, at),))


def not_serving(state: RollingOut, event: StageEnded) -> Step:
    """The endpoint's answer is anything but `serving`. That it rolled back, it has told itself."""
    delivery, attempt, stage, reason = state.delivery, state.attempt + 1, state.stage, event.reason
    match event.outcome:
        case "failed":
            return failed(state, reason, event.at)
        case "rolled-back":
            return Decision(DeliveryRolledBack(delivery, attempt, stage, reason))
        case "superseded":
            return Decision(DeliverySuperseded(delivery, attempt, stage, reason))
        case "rejected":
            return rejected(state, "blocked", (reason,), event.at)
        case "errored":
            return errored(state, "rollout", reason, event.at)
        case "serving":
            raise ValueError("the stage serves")
        case _:
            assert_never(event.outcome)


def stage_name(state: Running | Ended) -> str:
    """The stage it is in, or ended in; empty: none yet, or none any more."""
    return str(getattr(state, "stage", ""))
