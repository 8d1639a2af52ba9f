"""An endpoint's flow against the stand-in service, command by command in virtual time, without a runner."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Mapping
from typing import Any, cast

from tests.fakes import FakeClock
from tests.flows.endpoint_samples import FLOW, deployment
from tests.simulator.endpoint_service import EndpointService, Nature
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.base import After, CommandRefused, Publish, Tell
from tidegate.flows.endpoints import endpoint_states as es
from tidegate.flows.endpoints import rollout_messages as rm
from tidegate.flows.models.model_gate import TargetKind
from tidegate.flows.reminders import Remind, Reminded
from tidegate.model_effects import ModelEffects

SAMPLES = b"[[1, 2], [3, 4]]"
MOST = 400
"""Commands after which a play has no end."""


class SampleFile:
    """The Models port, as far as smoke tests need it."""

    def file(self, model: object, path: str, limit: int) -> bytes:
        return SAMPLES


def model_effects(service: EndpointService, clock: FakeClock, kind: TargetKind = "managed") -> ModelEffects:
    """The product's effects over the stand-in."""
    nothing = cast("Any", None)
    models = cast("Any", SampleFile())
    return ModelEffects(models, {kind: service}, nothing, nothing, "tidegatehealthy", nothing, clock)


@dataclasses.dataclass(slots=True, eq=False)
class Play:
    """One endpoint, what its record says, and what came of it."""

    nature: Mapping[str, Nature] = dataclasses.field(default_factory=dict)
    kind: TargetKind = "managed"
    clock: FakeClock = dataclasses.field(default_factory=FakeClock)
    state: Any = dataclasses.field(default_factory=es.UnknownEndpoint)
    told: list[rm.StageEnded] = dataclasses.field(default_factory=list)
    published: list[Publish] = dataclasses.field(default_factory=list)
    commands: list[object] = dataclasses.field(default_factory=list)
    watch: Callable[[Play], None] = lambda play: None
    """Called after every command: acts from outside, when it sees fit."""
    service: EndpointService = dataclasses.field(init=False)
    _effects: ModelEffects = dataclasses.field(init=False)
    _outbox: list[tuple[float, int, object]] = dataclasses.field(default_factory=list)
    _numbers: Any = dataclasses.field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.service = EndpointService(self.clock, self.nature)
        self._effects = model_effects(self.service, self.clock, self.kind)

    def hear(self, event: Any) -> None:
        """An event from outside."""
        step = FLOW.decide(self.state, event)
        self.state = step.state
        for command in step.commands:
            self._sent(command)

    def _sent(self, command: Any) -> None:
        match command:
            case Tell(event=rm.StageEnded() as ended):
                self.told.append(ended)
            case Publish():
                self.published.append(command)
            case After(seconds=seconds, command=later):
                heapq.heappush(self._outbox, (self._now() + seconds, next(self._numbers), later))
            case _:
                heapq.heappush(self._outbox, (self._now(), next(self._numbers), command))

    def run(self, until: Callable[[Play], bool] = lambda play: False) -> Play:
        """Carry out what is asked for, until nothing is left or what is awaited is there."""
        for _ in range(MOST):
            if until(self) or not self._outbox:
                return self
            due, _, command = heapq.heappop(self._outbox)
            self.clock.advance(max(0.0, due - self._now()))
            self.commands.append(command)
            try:
                answer = self._effects.carry_out(command) if not isinstance(command, Remind) else None
            except TransientError:
                heapq.heappush(self._outbox, (self._now() + 5, next(self._numbers), command))
                continue
            except PermanentError as error:
                answer = CommandRefused(command.attempt, str(error), self.clock.now())  # type: ignore[attr-defined]
            if isinstance(command, Remind):
                answer = Reminded(command.attempt, self.clock.now())
            self.hear(answer)
            self.watch(self)
        raise AssertionError(f"no end after {MOST} commands: {self.state}")

    def until(self, kind: type[Any]) -> Play:
        """Up to a state of this kind."""
        self.run(lambda play: isinstance(play.state, kind))
        assert isinstance(self.state, kind), self.state
        return self

    # What came of it

    def outcomes(self) -> list[tuple[str, str]]:
        return [(ended.candidate, ended.outcome) for ended in self.told]

    def champion(self) -> str:
        served = self.state.book.champion
        return served.candidate.name if served else ""

    def shares(self) -> dict[str, int]:
        """The live weights, by version."""
        versions = {deployment(version): f"{version}" for version in range(10)}
        return {versions.get(name, name): percent for name, percent in self.service.weights.live}

    def shifts(self) -> list[dict[str, int]]:
        """Every division of traffic that came about, by version; copies in a mirror with a `~`."""
        versions = {deployment(version): f"{version}" for version in range(10)}
        found = []
        for what, _, weights in self.service.changes:
            if what == "shifted":
                live = {versions[name]: percent for name, percent in weights.live}
                found.append(live | {f"~{versions[name]}": percent for name, percent in weights.mirror})
        return found

    def there(self) -> set[str]:
        """Versions that are deployed."""
        versions = {deployment(version): f"{version}" for version in range(10)}
        return {versions.get(name, name) for name in self.service.deployments}

    def _now(self) -> float:
        return self.clock.now().timestamp()
