"""An installation over the fakes, around runs and alerts: production flows, runner, effects and intake."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes import FakeClock, FakeEvidence, FakeQueue, FakeRegistry, FakeSecrets, FakeStore, FakeTests, FakeTopic
from tests.fakes.faults import FaultHook, healthy
from tests.fakes.jobs import FakeEmail, FakeJobs
from tidegate.codec import Codec
from tidegate.composition import CODEC, flows
from tidegate.effects import Effects
from tidegate.flows.alerts import outcome_alerts
from tidegate.flows.alerts.alert_policy import AlertPolicy, Route
from tidegate.flows.base import AnyFlow
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.gates import DEFAULT_ALERTS, Gates
from tidegate.intake import Intake
from tidegate.job_effects import JobEffects, Links
from tidegate.records import Records
from tidegate.references import JobRef
from tidegate.runner import Runner, read_work_message

LINKS = Links(FakeSecrets({"address": "https://x.logic.azure.com/a?sig=s"}), "address", "https://app.example")
KEY = LINKS.key()
POLICY = dataclasses.replace(
    DEFAULT_ALERTS, wait=30, routes=(Route("team", ("team@team.example",)), DEFAULT_ALERTS.routes[-1])
)
TOPIC = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/{}"


class JobWorld:
    """Workspaces, mails, storage and queue in memory, in virtual time."""

    def __init__(
        self,
        policy: AlertPolicy = POLICY,
        fault: FaultHook = healthy,
        *,
        queue: type[FakeQueue] = FakeQueue,
        codec: Codec = CODEC,
        effects: type[JobEffects] = JobEffects,
        change: Callable[[Mapping[str, AnyFlow]], Mapping[str, AnyFlow]] = lambda flows: flows,
    ) -> None:
        self.policy = policy
        self.clock = FakeClock()
        self.jobs = FakeJobs(self.clock, fault)
        self.email = FakeEmail(self.clock, fault)
        self.store = FakeStore(fault)
        self.queue = queue(self.clock, fault)
        self.evidence = FakeEvidence(fault)
        self.topic = FakeTopic(fault)
        self.registry = FakeRegistry(self.clock, fault=fault)
        around = effects(
            self.jobs,
            self.email,
            self.registry,
            "tidegatehealthy",
            self.evidence,
            LINKS,
            policy,
            self.clock,
            codec.encode,
        )
        tests = FakeTests(self.clock, fault=fault)
        carry_out = Effects(self.registry, tests, self.evidence, self.topic, self.clock, around)
        numbers = itertools.count(1)
        records = Records(change(flows("tidegatehealthy", policy)), self.store, codec, self.clock)
        announce = functools.partial(outcome_alerts.alert_of, policy=policy)
        self.runner = Runner(records, self.queue, self.evidence, carry_out, lambda: f"w{next(numbers)}", announce)
        self.intake = Intake(
            *(
                "tidegatestaging",
                "tidegatehealthy",
                Gates((), policy),
                self.runner,
                self.evidence,
                self.topic,
                self.clock,
            ),
            workspaces=("vision",),
            jobs=self.jobs,
        )

    def run_ends(self, name: str, status: str = "failed", *, event: bool = True, **facts: Any) -> JobFacts:
        """A run ends in the workspace, and its event comes in."""
        known = self.jobs.runs.get(JobRef("vision", name))
        made = known or JobFacts(JobRef("vision", name), status, experiment="exp", can_resubmit=True)
        added = self.jobs.add(dataclasses.replace(made, status=status, **facts))
        if event:
            self.intake.run_status_changed(self.event(added))
        return added

    def event(self, facts: JobFacts, status: str = "", at: datetime.datetime | None = None) -> dict[str, Any]:
        """The event of a run's status, as it comes."""
        return {
            "id": f"e-{facts.job.run}",
            "source": TOPIC.format(facts.job.workspace),
            "subject": f"experiments/x/runs/{facts.job.run}",
            "type": "Microsoft.MachineLearningServices.RunStatusChanged",
            "time": (at or self.clock.now()).isoformat(),
            "specversion": "1.0",
            "data": {
                "experimentId": "x",
                "experimentName": facts.experiment,
                "runId": facts.job.run,
                "runType": None,
                "runTags": {},
                "runProperties": {},
                "runStatus": status or facts.status,
            },
        }

    def work(self, until: datetime.datetime | None = None, limit: int = 200_000) -> None:
        """Handle messages, letting time pass while all sleep, until none is left or a time has come."""
        for _ in range(limit):
            delivery = self.queue.receive()
            if delivery is not None:
                self.runner.work(read_work_message(delivery.text))
                self.queue.delete(delivery)
                continue
            soonest = self.queue.next_at()
            if soonest is None or (until is not None and soonest > until):
                if until is not None:
                    self.clock.advance_to(until)
                return
            self.clock.advance_to(soonest)
        raise AssertionError(f"still busy after {limit} messages")

    def later(self, seconds: float) -> datetime.datetime:
        return self.clock.now() + datetime.timedelta(seconds=seconds)
