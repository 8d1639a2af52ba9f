"""A whole installation over the fakes: production flows, runner and effects; only the outside is made up."""

from __future__ import annotations

import dataclasses
import datetime
import itertools

from tests.fakes import (
    Content,
    Crash,
    Delivery,
    FakeClock,
    FakeEvidence,
    FakeQueue,
    FakeRegistry,
    FakeStore,
    FakeTests,
    FakeTopic,
    FaultHook,
    healthy,
)
from tests.flows.samples import GATE
from tidegate.composition import CODEC, flows
from tidegate.effects import Effects
from tidegate.errors import TransientError
from tidegate.flows.base import Request
from tidegate.flows.images.image_gate import ImageGate
from tidegate.flows.images.image_messages import ImagePushed, PromotionRequested
from tidegate.flows.images.image_promotion import key
from tidegate.records import Records
from tidegate.references import ImageRef
from tidegate.runner import LEASE, Runner, read_work_message

STAGING, HEALTHY = "tidegatestaging", "tidegatehealthy"


class World:
    """Registries, tests, storage and queue in memory, in virtual time."""

    def __init__(self, fault: FaultHook = healthy, gate: ImageGate = GATE) -> None:
        self.gate = gate
        self.clock = FakeClock()
        self.registry = FakeRegistry(self.clock, fault=fault)
        self.tests = FakeTests(self.clock, fault=fault)
        self.store = FakeStore(fault)
        self.queue = FakeQueue(self.clock, fault)
        self.evidence = FakeEvidence(fault)
        self.topic = FakeTopic(fault)
        effects = Effects(self.registry, self.tests, self.evidence, self.topic, self.clock)
        numbers = itertools.count(1)
        records = Records(flows(HEALTHY), self.store, CODEC, self.clock)
        self.runner = Runner(records, self.queue, self.evidence, effects, lambda: f"worker-{next(numbers)}")
        self.pushes = itertools.count(1)
        self._resumed = self.clock.now() - datetime.timedelta(days=1)

    def use(self, store: FakeStore) -> None:
        """Put another store in the place of the first, before anything is in it."""
        self.store = store
        self.runner = dataclasses.replace(self.runner, records=dataclasses.replace(self.runner.records, store=store))

    def inject(self, fault: FaultHook) -> None:
        """Let calls go as the hook says from now on."""
        for port in (self.registry, self.tests, self.store, self.queue, self.evidence, self.topic):
            port.fault = fault

    def push(self, repository: str, content: Content, tag: str) -> tuple[str, ImagePushed]:
        """Push to staging; gives the record's key and the event, which is not delivered."""
        image = self.registry.push(STAGING, repository, content, tag=tag)
        number = next(self.pushes)
        request = Request(f"event-{number}", "ci", f"push of {tag}", self.clock.now())
        self.clock.advance(0.001)
        return key(image, self.gate), ImagePushed(image, tag, f"{number:08d}", self.gate, request)

    def request(self, image: ImageRef, tag: str = "", *, override: bool = False) -> PromotionRequested:
        """A request by hand."""
        number = next(self.pushes)
        request = Request(f"request-{number}", "operator", "needed for a fix", self.clock.now())
        return PromotionRequested(image, tag, f"{number:08d}", self.gate, request, override)

    def run(self, limit: int = 500) -> None:
        """Handle messages until none is left, letting time pass while all sleep. AssertionError: it does not end."""
        for _ in range(limit):
            if not self._handle_next() and not self._sleep_until(None):
                return
        raise AssertionError(f"still busy after {limit} messages")

    def run_for(self, seconds: float, limit: int = 500) -> None:
        """Handle the messages of a while. AssertionError: there are too many."""
        until = self.clock.now() + datetime.timedelta(seconds=seconds)
        for _ in range(limit):
            if not self._handle_next() and not self._sleep_until(until):
                return
        raise AssertionError(f"still busy after {limit} messages")

    def _handle_next(self) -> bool:
        delivery = self.queue.receive()
        if delivery is None:
            return False
        self.runner.work(read_work_message(delivery.text))
        self.queue.delete(delivery)
        return True

    def _sleep_until(self, until: datetime.datetime | None) -> bool:
        """Up to the next message; False: there is none, or none before a moment that is reached instead."""
        soonest = self.queue.next_at()
        if until is not None and (soonest is None or soonest > until):
            self.clock.advance_to(until)
            return False
        if soonest is not None:
            self.clock.advance_to(soonest)
        return soonest is not None

    def settle(self, limit: int = 2000) -> None:
        """As `run`, with a host: failed messages come back, dead workers are noticed, the timer finds what is overdue."""
        for _ in range(limit):
            delivery = self.queue.receive(visibility=600)
            if delivery is not None:
                self._handle(delivery)
            elif not self._resume() and not self._let_time_pass():
                return
        raise AssertionError(f"still busy after {limit} messages")

    def _handle(self, delivery: Delivery) -> None:
        try:
            self.runner.work(read_work_message(delivery.text))
        except Crash:
            return
        except TransientError:
            self.queue.release(delivery, 10)
            return
        self.queue.delete(delivery)

    def _resume(self) -> bool:
        """Whether the timer, which runs every two minutes, found something now, or failed."""
        if self.clock.now() - self._resumed < datetime.timedelta(seconds=120):
            return False
        self._resumed = self.clock.now()
        try:
            return self.runner.resume() > 0
        except (Crash, TransientError):
            return True

    def _let_time_pass(self) -> bool:
        """Up to the next message or overdue record; False: there is none."""
        overdue = [row.wake_at + 3 * LEASE for row in self.store.rows.values() if row.wake_at is not None]
        timer = [max(min(overdue), self._resumed + datetime.timedelta(seconds=120))] if overdue else []
        soonest = min([*timer, *filter(None, [self.queue.next_at()])], default=None)
        if soonest is not None:
            self.clock.advance_to(soonest)
        return soonest is not None

    def state(self, key: str) -> object:
        """The record's state."""
        return self.runner.records.load(key)[0].state

    def healthy_tag(self, repository: str, tag: str) -> str | None:
        """What a tag names in the healthy registry."""
        return self.registry.repository(HEALTHY, repository).tags.get(tag)
