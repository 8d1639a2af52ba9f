"""The product's endpoint flow, runner and effects over the stand-in service; deliveries are one that only listens."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, cast, override

from tests.fakes import FakeClock, FakeEvidence, FakeStore, FakeTopic, FaultHook
from tests.flows.endpoint_play import SampleFile
from tests.flows.endpoint_samples import TARGET
from tests.simulator.endpoint_service import EndpointService
from tests.simulator.installation import ChosenQueue, KeptValues
from tests.simulator.model_scenarios import ModelScenario
from tidegate.codec import Codec, kinds_of
from tidegate.effects import Effects
from tidegate.flows.base import AnyFlow, Decision, Explanation, Flow, Listing
from tidegate.flows.endpoints import endpoint_states, rollout_messages
from tidegate.flows.endpoints.endpoint_rollout import EndpointRollout, key
from tidegate.flows.endpoints.rollout_messages import StageEnded
from tidegate.flows.models.model_facts import Weights
from tidegate.model_effects import ModelEffects
from tidegate.ports import Row
from tidegate.records import ListRecord, Record, Records
from tidegate.runner import Runner

KEY = key(TARGET)


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """What a delivery was told, each once."""

    ended: tuple[StageEnded, ...] = ()


class Listening(Flow[Any, Any, Any]):
    """A delivery that does nothing but hear what became of its wish."""

    name = "model-delivery"

    @override
    def initial(self) -> Heard:
        return Heard()

    @override
    def decide(self, state: Any, event: Any, /) -> Decision[Any, Any]:
        if event in state.ended:
            return Decision(state)
        return Decision(Heard((*state.ended, event)))

    @override
    def explain(self, event: object, after: object, /) -> Explanation:
        return Explanation("tidegate")

    @override
    def listing(self, state: object, /) -> Listing | None:
        return None


class ForgetfulService(EndpointService):
    """Takes some changes of traffic and forgets them."""

    def __init__(self, *arguments: Any, lost_shifts: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._lost = lost_shifts

    @override
    def divide_as_asked(self, weights: Weights) -> None:
        if self._lost > 0 and weights.live:
            self._lost -= 1
        else:
            super().divide_as_asked(weights)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelBug:
    """A planted bug: which part of the product is replaced by one that has it."""

    name: str = ""
    flow: Callable[[EndpointRollout], AnyFlow] = lambda flow: flow
    around_models: type[ModelEffects] = ModelEffects
    records: type[Records] = Records


NO_MODEL_BUG = ModelBug()

CODEC = Codec(
    kinds_of(
        Record,
        ListRecord,
        Heard,
        endpoint_states.State,
        rollout_messages.Event,
        rollout_messages.Command,
        rollout_messages.ChampionTold,
        rollout_messages.StageEnded,
    )
)


class ModelInstallation:
    """One deployment of the product, with its outside."""

    def __init__(
        self, scenario: ModelScenario, fault: FaultHook, bug: ModelBug = NO_MODEL_BUG, *, text: bool = False
    ) -> None:
        self.scenario = scenario
        self.clock = FakeClock()
        self.store = FakeStore(fault)
        self.queue = ChosenQueue(self.clock, fault)
        self.topic = FakeTopic(fault)
        self.service = ForgetfulService(
            self.clock,
            scenario.nature,
            fault,
            deploy_seconds=scenario.deploy_seconds,
            shift_seconds=scenario.shift_seconds,
            lost_shifts=scenario.lost_shifts,
        )
        nothing = cast("Any", None)
        models = cast("Any", SampleFile())
        evidence = FakeEvidence(fault)
        around = bug.around_models(
            models, {"managed": self.service}, nothing, nothing, "tidegatehealthy", nothing, self.clock
        )
        effects = Effects(nothing, nothing, evidence, self.topic, self.clock, around_models=around)
        flow = bug.flow(EndpointRollout())
        flows = {EndpointRollout.name: flow, Listening.name: Listening()}
        self.records = bug.records(flows, self.store, CODEC if text else KeptValues(), self.clock)
        numbers = itertools.count(1)
        self.runner = Runner(self.records, self.queue, evidence, effects, lambda: f"worker-{next(numbers)}")

    def record(self, row: Row) -> Record:
        record = self.records.codec.decode(row.body)
        assert isinstance(record, Record)
        return record

    def state(self) -> Any:
        """Of the endpoint's record."""
        row = self.store.rows.get(KEY)
        return self.record(row).state if row else endpoint_states.UnknownEndpoint()

    def heard(self, delivery: str) -> tuple[StageEnded, ...]:
        """What a delivery was told."""
        row = self.store.rows.get(delivery)
        return cast("Heard", self.record(row).state).ended if row else ()
