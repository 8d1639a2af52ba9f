"""The product over the fakes: production flows, runner, effects and intake; only ports, host and people are made up."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Callable, Mapping
from typing import Any, override

from tests.fakes import (
    Delivery,
    FakeClock,
    FakeEvidence,
    FakeQueue,
    FakeRegistry,
    FakeStore,
    FakeTests,
    FakeTopic,
    FaultHook,
    Importing,
)
from tests.fakes.faults import _raise_if, call
from tests.simulator.scenarios import REPOSITORY, Scenario
from tidegate.codec import Codec
from tidegate.composition import CODEC, flows
from tidegate.effects import Effects
from tidegate.errors import TransientError
from tidegate.flows.base import AnyFlow
from tidegate.gates import GateRule, Gates, ImageMatch
from tidegate.gates.globs import repository_glob, tag_glob
from tidegate.intake import Intake
from tidegate.ports import Row, TagPlaced, TagTaken, TestErrored, TestFailed, TestPassed, TestRunning, TestStatus
from tidegate.records import Record, Records
from tidegate.references import ImageRef, TagRef
from tidegate.runner import Runner

STAGING, HEALTHY = "tidegatestaging", "tidegatehealthy"
NEWER_VERSION = "ba9876543210"
_EVERYTHING = ImageMatch((repository_glob("**"),), (tag_glob("*"),))


class KeptValues(Codec):
    """Hands values through instead of writing them out: a run in which text does not matter takes a tenth of the time."""

    def __init__(self) -> None:
        super().__init__(())
        self._values: list[Any] = []

    @override
    def encode(self, value: object) -> str:
        self._values.append(value)
        return str(len(self._values) - 1)

    @override
    def decode(self, text: str) -> Any:
        return self._values[int(text)]


class ChosenQueue(FakeQueue):
    """Lets the driver choose among the visible messages."""

    def receive_text(self, text: str, visibility: float = 600) -> Delivery:
        """Hand over the oldest visible message with this text."""
        now = self._clock.now()
        found = (each for each in self._messages.values() if each.text == text and each.visible_at <= now)
        return self._handed_over(min(found, key=lambda each: (each.visible_at, each.id)), visibility)


class RacingRegistry(FakeRegistry):
    """Writes tags as the wire does: read, write and read back are calls of their own, and others may come between."""

    @override
    @call
    def place_tag(self, target: TagRef, digest: str, *, movable: bool, lock: bool) -> TagPlaced | TagTaken:
        previous = self._named(target)
        if previous not in ("", digest) and not movable:
            return TagTaken(previous)
        if previous != digest:
            self._write(target, digest)
            self._call("place_tag:read", lambda: None)
            if self._named(target) != digest:
                raise TransientError(f"{target}: names {self._named(target)} after it was set to {digest}")
        return TagPlaced(previous)

    def _write(self, target: TagRef, digest: str) -> None:
        def write() -> None:
            self.repository(target.registry, target.repository).tags[target.tag] = digest
            self.writes.append(("tag", f"{target} {digest}"))

        self._call("place_tag:write", write)

    def _call(self, step: str, effect: Callable[[], None]) -> None:
        fault = self.fault(self.port, step)
        _raise_if(fault, step, before=True)
        effect()
        _raise_if(fault, step, before=False)

    def _named(self, target: TagRef) -> str:
        return self.repository(target.registry, target.repository).tags.get(target.tag, "")


@dataclasses.dataclass(frozen=True, slots=True)
class Bug:
    """A planted bug: which part of the product is replaced by one that has it. Without any, the product as it is."""

    name: str = ""
    flows: Callable[[Mapping[str, AnyFlow]], Mapping[str, AnyFlow]] = lambda flows: flows
    records: type[Records] = Records
    effects: type[Effects] = Effects
    registry: type[RacingRegistry] = RacingRegistry
    store: type[FakeStore] = FakeStore
    deletes_early: bool = False
    """Whether messages are deleted before they are worked on."""


NO_BUG = Bug()


class Installation:
    """One deployment of the product, with its outside."""

    def __init__(self, scenario: Scenario, fault: FaultHook, bug: Bug = NO_BUG, *, text: bool = False) -> None:
        self.scenario = scenario
        self.clock = FakeClock()
        self.store = bug.store(fault)
        self.queue = ChosenQueue(self.clock, fault)
        self.evidence = FakeEvidence(fault)
        self.topic = FakeTopic(fault)
        self.tests = FakeTests(self.clock, fault, verdict=self._verdict, seconds=scenario.test_seconds)
        self.registry = bug.registry(
            self.clock, fault=fault, importing=self._importing, import_seconds=scenario.import_seconds
        )
        effects = bug.effects(self.registry, self.tests, self.evidence, self.topic, self.clock)
        codec = CODEC if text else KeptValues()
        self.records = bug.records(bug.flows(flows(HEALTHY)), self.store, codec, self.clock)
        numbers = itertools.count(1)
        runner = Runner(self.records, self.queue, self.evidence, effects, lambda: f"worker-{next(numbers)}")
        self.gates = Gates((GateRule(_EVERYTHING, scenario.gate),))
        self.intake = Intake(STAGING, HEALTHY, self.gates, runner, self.evidence, self.topic, self.clock)

    def redeploy(self) -> None:
        """The app goes on with another version of the gate."""
        newer = dataclasses.replace(self.scenario.gate, version=NEWER_VERSION)
        gates = Gates((dataclasses.replace(self.gates.images[0], gate=newer),))
        self.intake = dataclasses.replace(self.intake, gates=gates)

    def _verdict(self, image: ImageRef, number: int) -> TestStatus:
        letter = self.scenario.letter(image.digest)
        runs = sum(run.image.digest == image.digest for run in self.tests.runs.values())
        if letter in self.scenario.flaky and not runs:
            return TestErrored("the agent was lost")
        if letter in self.scenario.hanging and not runs:
            return TestRunning()
        return TestPassed() if self.scenario.approves(letter) else TestFailed("exit code 1")

    def _importing(self, source: ImageRef, number: int) -> Importing:
        return Importing.LIES if self.scenario.lying and number == 1 else Importing.COPIES

    def record(self, row: Row) -> Record:
        """What a row holds."""
        record = self.records.codec.decode(row.body)
        assert isinstance(record, Record)
        return record

    def tags(self, registry: str) -> Mapping[str, str]:
        """What the tags of the repository name there."""
        return self.registry.repository(registry, REPOSITORY).tags


def event_body(number: int, digest: str, tag: str, at: datetime.datetime, registry: str = STAGING) -> dict[str, Any]:
    """A push as Event Grid tells of it."""
    return {
        "id": f"event-{number}",
        "topic": f"/subscriptions/0/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/{registry}",
        "subject": f"{REPOSITORY}:{tag}",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": at.isoformat(),
        "data": {
            "timestamp": at.isoformat(),
            "action": "push",
            "target": {"repository": REPOSITORY, "digest": digest, "tag": tag},
            "request": {"host": f"{registry}.azurecr.io"},
        },
    }
