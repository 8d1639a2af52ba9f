"""What a delivery would do, without doing it: the screening as it would go now, and the calls of each stage."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator

from tidegate.api.deliveries import Deliveries, book_of
from tidegate.api.delivery_requests import DeliveryWish
from tidegate.errors import Refused, TransientError
from tidegate.flows.base import CommandRefused
from tidegate.flows.deliveries import model_delivery
from tidegate.flows.deliveries.delivery_messages import DescribeModel, ModelDescribed
from tidegate.flows.models.deployment_name import deployment_name
from tidegate.flows.models.freeze_windows import frozen_until
from tidegate.flows.models.model_facts import ModelFacts
from tidegate.flows.models.model_gate import SHARES_TRAFFIC, ModelGate, Stage
from tidegate.flows.models.model_screening import in_words, screened
from tidegate.flows.models.record_keys import endpoint_key
from tidegate.ports import Call, CarryOut
from tidegate.references import ModelRef

HASHED = 64 << 20
"""Bytes of an artefact that a plan reads to hash them; the hash of a larger one is left to the delivery."""


@dataclasses.dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage as it would go."""

    name: str
    approval: str
    """Who is asked, in words; empty: nobody."""
    frozen_until: datetime.datetime | None
    """The end of the freeze that holds now."""
    champion: str
    """What serves there now; empty: nothing, or it is not known here."""
    calls: tuple[Call, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """What a request would do."""

    model: ModelRef
    gate: ModelGate
    state: str
    """The state of the delivery as it is; `Unregistered`: there is none."""
    problems: tuple[str, ...]
    """What the screening has against the version; with any of them no stage begins."""
    stages: tuple[StagePlan, ...]


def planned(deliveries: Deliveries, effects: CarryOut, asked: DeliveryWish) -> DeliveryPlan:
    """Reads, and writes nothing. NotFound, Refused."""
    _, gate = deliveries.found(asked.model)
    facts = _described(effects, gate, asked.model)
    last = book_of(deliveries.endpoint(gate.stages[-1]))
    champion = last.champion.candidate if last and last.champion else None
    problems = screened(gate, facts, champion)
    now = deliveries.clock.now()
    stages = tuple(_stage(deliveries, gate, stage, facts, now) for stage in gate.stages) if not problems else ()
    state = type(deliveries.state(model_delivery.key(asked.model))).__name__
    return DeliveryPlan(asked.model, gate, state, problems, stages)


def _described(effects: CarryOut, gate: ModelGate, model: ModelRef) -> ModelFacts:
    limit = min(gate.require.max_size or HASHED, HASHED)
    match effects(DescribeModel(model, gate.serve, limit, 1)):
        case ModelDescribed(facts=facts):
            artefact = facts.artefact
            if not artefact.sha256 and artefact.size > limit:
                artefact = dataclasses.replace(artefact, sha256="not read", files=artefact.files or 1)
            return dataclasses.replace(facts, artefact=artefact)
        case CommandRefused(reason=reason):
            raise Refused(reason)
        case _:
            raise TransientError(f"{model}: it was not described")


def _stage(
    deliveries: Deliveries, gate: ModelGate, stage: Stage, facts: ModelFacts, now: datetime.datetime
) -> StagePlan:
    rules = stage.approval
    approval = f"{rules.quorum} of {' or '.join(rules.roles)} within {rules.expires} s" if rules else ""
    calls = tuple(_calls(gate, stage, facts))
    book = book_of(deliveries.endpoint(stage)) if stage.release is None else None
    champion = book.champion.candidate.name if book and book.champion else ""
    return StagePlan(stage.name, approval, frozen_until(stage.freeze, now), champion, calls)


def _calls(gate: ModelGate, stage: Stage, facts: ModelFacts) -> Iterator[Call]:
    model, target = facts.model, stage.target
    if stage.release is not None:
        pipeline = stage.release
        yield Call(f"start {pipeline.kind} pipeline", f"{pipeline.project}/{pipeline.pipeline}", pipeline.ref)
        return
    how = f"through registry {gate.registry}" if gate.registry else "by copying the artefact"
    if target.workspace.name.lower() != model.workspace:
        yield Call("place model", f"{target.workspace.name}/{model.name}:{model.version}", how)
    on = endpoint_key(target).partition(":")[2]
    name = deployment_name(model.name, model.version)
    size = stage.instance
    yield Call("ensure endpoint", on, target.kind)
    instance = f"{size.count} x {size.type or f'{size.cpu:g} cores'}, {in_words(size.memory)}, {facts.serving_image}"
    yield Call("create deployment", f"{on}/{name}", f"{instance}, no traffic")
    yield Call("smoke test", f"{on}/{name}", f"sample requests of {gate.serve.samples}, then the fit gate")
    for step in stage.traffic if target.kind in SHARES_TRAFFIC else stage.traffic[-1:]:
        yield Call("mirror traffic" if step.mirror else "shift traffic", f"{on}/{name}", f"{step.percent} %")
    yield Call("remove the deployment before", on, f"after {stage.soak} s")
