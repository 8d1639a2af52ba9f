"""Runs and mails in memory."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

from tests.fakes.clock import FakeClock
from tests.fakes.faults import FakePort, FaultHook, call, healthy
from tidegate.errors import NotFound, TransientError
from tidegate.flows.alerts.alert_mail import Mail
from tidegate.flows.base import Pairs
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.ports import EndedRun
from tidegate.references import JobRef


class FakeJobs(FakePort):
    """The port; `runs` holds what the workspace knows, `submitted` the names that were really submitted."""

    port = "Jobs"

    def __init__(self, clock: FakeClock, fault: FaultHook = healthy) -> None:
        super().__init__(fault)
        self._clock = clock
        self.runs: dict[JobRef, JobFacts] = {}
        self.submitted: list[JobRef] = []
        self.moved: dict[JobRef, Pairs] = {}

    def add(self, facts: JobFacts) -> JobFacts:
        """A run that is there."""
        self.runs[facts.job] = dataclasses.replace(facts, created=facts.created or self._clock.now())
        return self.runs[facts.job]

    @call
    def describe(self, job: JobRef, log_limit: int) -> JobFacts:
        if job not in self.runs:
            raise NotFound(f"run {job}: there is none")
        return dataclasses.replace(self.runs[job], log=self.runs[job].log[-log_limit:])

    @call
    def resubmit(self, job: JobRef, name: str, moves: Pairs, tags: Pairs) -> str:
        successor = JobRef(job.workspace, name)
        if successor not in self.runs:
            before = self.runs[job]
            every = {**dict(before.tags), **dict(tags)}
            changed = dataclasses.replace(before, job=successor, status="running", tags=tuple(sorted(every.items())))
            compute = dict(moves).get(before.compute, before.compute)
            self.add(dataclasses.replace(changed, compute=compute, steps=(), log="", error="", error_code=""))
            self.moved[successor] = moves
            self.submitted.append(successor)
        return name

    @call
    def ended(self, workspace: str, limit: int) -> Sequence[EndedRun]:
        newest = reversed([each for job, each in self.runs.items() if job.workspace == workspace])
        return [
            EndedRun(each.job, each.status, each.experiment, each.created or self._clock.now())
            for each in list(newest)[:limit]
            if each.status in ("failed", "canceled", "completed")
        ]


class FakeEmail(FakePort):
    """The port; `sent` holds every mail with its time. `down_until`: no answer before that."""

    port = "AlertEmail"

    def __init__(self, clock: FakeClock, fault: FaultHook = healthy) -> None:
        super().__init__(fault)
        self._clock = clock
        self.sent: list[tuple[datetime.datetime, Mail]] = []
        self.down_until: datetime.datetime | None = None

    @call
    def send(self, mail: Mail) -> None:
        if self.down_until is not None and self._clock.now() < self.down_until:
            raise TransientError("the workflow answered 503")
        self.sent.append((self._clock.now(), mail))

    @property
    def mails(self) -> list[Mail]:
        """What arrived, in order."""
        return [mail for _, mail in self.sent]
