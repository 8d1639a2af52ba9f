"""The flows of runs, incidents and mails alone, in virtual time: no storage, no text, so that ten thousand runs take seconds."""

from __future__ import annotations

import datetime
import heapq
import itertools
from typing import Any

from tests.alerts.world import POLICY
from tidegate.composition import CODEC, flows
from tidegate.flows.alerts import incident, mailing
from tidegate.flows.alerts.alert_policy import AlertPolicy
from tidegate.flows.alerts.notices import Line, Notice
from tidegate.flows.base import After, Publish, Tell, flow_name
from tidegate.flows.jobs import job_failure
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.flows.jobs.job_messages import DescribeRun, RunDescribed, RunEnded
from tidegate.flows.reminders import Remind, Reminded
from tidegate.references import JobRef

START = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)


class FlowLoop:
    """Decisions one after the other; every command is answered at once, mails after a second."""

    def __init__(self, policy: AlertPolicy = POLICY) -> None:
        self.policy = policy
        self.now = START
        self.states: dict[str, Any] = {}
        self.runs: dict[JobRef, JobFacts] = {}
        self.pages: dict[str, tuple[Line, ...]] = {}
        self.mails: list[tuple[datetime.datetime, mailing.SendMail]] = []
        self._flows = flows("tidegatehealthy", policy)
        self._asleep: list[tuple[datetime.datetime, int, str, object]] = []
        self._numbers = itertools.count()

    def fails(self, name: str, experiment: str, log: str = "KeyError: 1") -> None:
        """A run fails, and its event comes in."""
        job = JobRef("vision", name)
        self.runs[job] = JobFacts(job, "failed", experiment, log=log, studio=f"https://ml.azure.com/runs/{name}")
        self.tell(job_failure.key(job), RunEnded(job, "failed", experiment, self.now))

    def tell(self, key: str, event: object) -> None:
        """Let a record decide, and do what it asks for."""
        flow = self._flows[flow_name(key)]
        step = flow.decide(self.states.get(key, flow.initial()), event)
        self.states[key] = step.state
        for command in step.commands:
            self._do(key, command)

    def until(self, moment: datetime.datetime | None = None) -> None:
        """Let time pass: up to a moment, or until nothing sleeps."""
        while self._asleep and (moment is None or self._asleep[0][0] <= moment):
            due, _, key, command = heapq.heappop(self._asleep)
            self.now = max(self.now, due)
            self._answer(key, command)
        self.now = moment or self.now

    def largest(self) -> int:
        """Characters of the largest record of incidents and mails, as it is stored."""
        records = [state for key, state in self.states.items() if flow_name(key) != job_failure.NAME]
        return max(len(CODEC.encode(state)) for state in records)

    def named(self) -> set[str]:
        """Every run that is named in a mail."""
        return {name for _, mail in self.mails for name in self.names(mail)}

    def names(self, mail: mailing.SendMail) -> list[str]:
        """The runs that a mail names, those of its pages included."""
        each: list[Notice | Line] = [*mail.what, *(line for page in mail.pages for line in self.pages[page])]
        return [name for one in each for name in one.names]

    def _do(self, key: str, command: object) -> None:
        match command:
            case Tell(key=other, event=event):
                self.tell(other, event)
            case After(seconds=seconds, command=later):
                self._sleep(seconds, key, later)
            case mailing.SendMail():
                self._sleep(1, key, command)
            case mailing.KeepPage(name, lines):
                assert name not in self.pages, f"{name} is kept twice: the second would be lost"
                self.pages[name] = lines
            case Publish():
                pass
            case _:
                self._answer(key, command)

    def _sleep(self, seconds: float, key: str, command: object) -> None:
        due = self.now + datetime.timedelta(seconds=seconds)
        heapq.heappush(self._asleep, (due, next(self._numbers), key, command))

    def _answer(self, key: str, command: object) -> None:
        match command:
            case DescribeRun(job, attempt):
                self.tell(key, RunDescribed(attempt, self.runs[job], self.now))
            case Remind(attempt):
                self.tell(key, Reminded(attempt, self.now))
            case mailing.SendMail():
                self.mails.append((self.now, command))
                self.tell(key, mailing.MailSent(command.attempt, self.now))
            case _:
                raise TypeError(f"{command} has no answer here")


def key_of(experiment: str) -> str:
    """The record of an experiment's incidents."""
    return incident.key(job_failure.experiment_subject("vision", experiment, "team"))
