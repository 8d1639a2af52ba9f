"""Deliveries and endpoints together: their flows in virtual time, told of each other, with a service that does what it is asked.

No runner: a command is carried out when it is due, and every telling is delivered, as often as a test says.
"""

from __future__ import annotations

import dataclasses
import datetime
import heapq
from typing import Any

from tests.flows.delivery_samples import FACTS, GATE, MEASURED, NOW
from tidegate.flows.base import After, Publish, Tell, flow_name
from tidegate.flows.deliveries import delivery_messages as dm
from tidegate.flows.deliveries import delivery_states as st
from tidegate.flows.deliveries.model_delivery import ModelDelivery, key
from tidegate.flows.endpoints import rollout_messages as rm
from tidegate.flows.endpoints.endpoint_rollout import EndpointRollout
from tidegate.flows.models.model_facts import Artefact, ModelFacts, Traffic, Weights
from tidegate.flows.models.model_gate import ModelGate, Target
from tidegate.flows.models.record_keys import endpoint_key
from tidegate.flows.reminders import Remind, Reminded
from tidegate.references import ModelRef

_FLOWS: dict[str, Any] = {"model-delivery": ModelDelivery(), "endpoint-rollout": EndpointRollout()}
_FINE = Traffic(1000, 0, 0.05)
_BAD = Traffic(1000, 400, 0.05)


def version(number: int) -> ModelRef:
    return ModelRef("ml-dev", "litter", f"{number}")


def order(number: int) -> str:
    return f"2026-03-02T08:00:{number:02d}.000000000Z/e{number}"


@dataclasses.dataclass(slots=True)
class World:
    """Every record, what is under way, and what was published."""

    gate: ModelGate = GATE
    tellings: int = 1
    """How often each is delivered."""
    now: datetime.datetime = NOW
    records: dict[str, Any] = dataclasses.field(default_factory=dict)
    published: list[Publish] = dataclasses.field(default_factory=list)
    bad: set[str] = dataclasses.field(default_factory=set)
    """Versions that fail requests once they get any."""
    mute: set[str] = dataclasses.field(default_factory=set)
    """Versions that fail their smoke test."""
    weights: dict[str, Weights] = dataclasses.field(default_factory=dict)
    """By the record of the endpoint."""
    _due: list[tuple[datetime.datetime, int, str, Any]] = dataclasses.field(default_factory=list)
    _count: int = 0

    def register(self, number: int) -> None:
        model = version(number)
        self.tell(key(model), dm.ModelRegistered(model, order(number), self.gate, f"e{number}", self.now))

    def ask(self, number: int, identity: str) -> None:
        model = version(number)
        self.tell(
            key(model),
            dm.DeliveryRequested(model, order(number), self.gate, identity, "dora", "once more", self.now, "t/dora"),
        )

    def reject(self, number: int) -> None:
        no = dm.Decided("reject", "t/erin", "erin", ("Operator",), "", "it is biased", self.now)
        self.tell(key(version(number)), no)

    def approve(self, number: int) -> None:
        state = self.delivery(number)
        for person in ("t/alice", "t/bob"):
            yes = dm.Decided("approve", person, person, ("Approver.pro",), state.evidence, "good", self.now)
            self.tell(key(version(number)), yes)

    def roll_back(self, stage: str) -> None:
        target = self._target(stage)
        self.tell(endpoint_key(target), rm.RollbackRequested(target, "erin", "complaints", self.now))

    def release(self, stage: str) -> None:
        target = self._target(stage)
        self.tell(endpoint_key(target), rm.ReleaseRequested(target, "erin", "looked at", self.now))

    def _target(self, stage: str) -> Target:
        return next(each.target for each in self.gate.stages if each.name == stage)

    def delivery(self, number: int) -> Any:
        return self.records.get(key(version(number)), st.Unregistered())

    def serving(self) -> dict[str, str]:
        """Who serves, by endpoint."""
        books = {
            state.book.target.endpoint: state.book.champion.candidate.name
            for name, state in self.records.items()
            if flow_name(name) == "endpoint-rollout" and hasattr(state, "book") and state.book.champion
        }
        return dict(sorted(books.items()))

    def kinds(self) -> list[str]:
        return [news.type.removeprefix("Tidegate.") for news in self.published]

    def tell(self, record: str, event: Any) -> None:
        flow = _FLOWS[flow_name(record)]
        step = flow.decide(self.records.get(record, flow.initial()), event)
        self.records[record] = step.state
        for command in step.commands:
            self._send(record, command)

    def run(self, seconds: float = 7 * 86_400) -> None:
        """Carry out what is due within this time."""
        until = self.now + datetime.timedelta(seconds=seconds)
        while self._due and self._due[0][0] <= until:
            due, _, record, command = heapq.heappop(self._due)
            self.now = max(self.now, due)
            self._carry_out(record, command)
        self.now = until

    def _send(self, record: str, command: Any) -> None:
        match command:
            case Publish():
                self.published.append(command)
            case After(seconds=seconds, command=later):
                self._push(self.now + datetime.timedelta(seconds=seconds), record, later)
            case _:
                self._push(self.now, record, command)

    def _push(self, due: datetime.datetime, record: str, command: Any) -> None:
        self._count += 1
        heapq.heappush(self._due, (due, self._count, record, command))

    def _carry_out(self, record: str, command: Any) -> None:
        self.now += datetime.timedelta(milliseconds=100)
        if isinstance(command, Tell):
            for _ in range(self.tellings):
                self.tell(command.key, command.event)
        else:
            self.tell(record, self._answer(record, command))

    def _answer(self, record: str, command: Any) -> Any:
        match command:
            case Remind(attempt=n):
                return Reminded(n, self.now)
            case dm.DescribeModel(model=model, attempt=n):
                return dm.ModelDescribed(n, self._facts(model), self.now)
            case dm.PlaceModel(model=model, workspace=workspace, attempt=n):
                asset = f"{workspace.name}/{model.name}:{model.version}"
                return dm.ModelPlaced(n, asset, self._facts(model).artefact.sha256, self.now)
            case dm.KeepRecord(stage=stage, attempt=n):
                return dm.RecordKept(n, f"https://evidence.example/{stage}-{n}.json", self.now)
            case _:
                return self._endpoint(record, command)

    def _facts(self, model: ModelRef) -> ModelFacts:
        return dataclasses.replace(FACTS, model=model, artefact=Artefact(model.version * 64, 5 << 20, 3))

    def _endpoint(self, record: str, command: Any) -> Any:
        weights, n = self.weights.get(record, Weights(())), command.attempt
        match command:
            case rm.EnsureEndpoint() | rm.CheckEndpoint():
                return rm.EndpointFound(n, weights, self.now)
            case rm.ShiftTraffic(weights=wanted):
                self.weights[record] = wanted
                return rm.TrafficAsked(n, self.now)
            case rm.ReadTraffic(candidate=candidate):
                is_bad = candidate.model.version in self.bad
                return rm.TrafficRead(n, _FINE, _BAD if is_bad else _FINE, 0.0, self.now)
            case _:
                return self._deployment(command)

    def _deployment(self, command: Any) -> Any:
        n = command.attempt
        match command:
            case rm.CreateDeployment():
                return rm.DeploymentStarted(n, self.now)
            case rm.CheckDeployment():
                return rm.DeploymentReady(n, self.now)
            case rm.SmokeTest(candidate=candidate) if candidate.model.version in self.mute:
                return rm.SmokeFailed(n, "sample 1: answered 500", self.now)
            case rm.SmokeTest():
                return rm.SmokePassed(n, MEASURED, self.now)
            case rm.RemoveDeployment():
                return rm.DeploymentGone(n, self.now)
            case _:
                raise TypeError(command)
