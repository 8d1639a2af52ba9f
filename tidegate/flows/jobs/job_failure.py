"""What becomes of a run that failed: read, understood, then submitted again if its node was taken away, else an alert.

    NotFailed -> Describing -> Resubmitting -> Resubmitted
                  |              |
                  +--------------+--------> Alerted, Disregarded

One record for each failed run. Runs that did not fail have none: their events are answered without a write.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from typing import assert_never, override

from tidegate.flows.alerts import incident
from tidegate.flows.alerts.alert_mail import MAX_LOG
from tidegate.flows.alerts.alert_policy import AlertPolicy, Diagnosis
from tidegate.flows.base import (
    After,
    CommandErrored,
    CommandRefused,
    Decision,
    Explanation,
    Flow,
    Listing,
    Pairs,
    Publish,
    Tell,
)
from tidegate.flows.jobs.job_alert import job_alert
from tidegate.flows.jobs.job_facts import ATTEMPT_TAG, CANCELED, ENDED, FAILED, PARENT_TAG, ROOT_TAG, TEST_TAG, JobFacts
from tidegate.flows.jobs.job_messages import (
    Answer,
    Command,
    DescribeRun,
    Event,
    ResubmitRequested,
    ResubmitRun,
    RunDescribed,
    RunEnded,
    RunMissing,
    RunResubmitted,
)
from tidegate.references import JobRef

NAME = "job-failure"

LOOKS = 10
"""How often, 30 s apart, a run is read that does not say it ended: its page may lag behind its event."""
LONGEST_BACKOFF = 3600


@dataclasses.dataclass(frozen=True, slots=True)
class NotFailed:
    """The run did not fail, as far as anybody said."""


@dataclasses.dataclass(frozen=True, slots=True)
class Describing:
    """It is being read."""

    job: JobRef
    experiment: str
    ended: datetime.datetime
    attempt: int
    looks: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Resubmitting:
    """Its successor is being submitted."""

    facts: JobFacts
    diagnosis: Diagnosis
    ended: datetime.datetime
    attempt: int
    by: str = ""
    """Who asked for it; empty: it was evicted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Resubmitted:
    """A successor goes on with its work."""

    facts: JobFacts
    successor: str
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class Alerted:
    """People are told."""

    facts: JobFacts
    diagnosis: Diagnosis
    ended: datetime.datetime
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class Disregarded:
    """Nobody has to know: known noise, or no failed run at all."""

    job: JobRef
    reason: str
    attempt: int
    may_fail: bool = False
    """Whether it had not ended, or was not there yet: who says later that it failed is believed, and it is read again."""


type State = NotFailed | Describing | Resubmitting | Resubmitted | Alerted | Disregarded
type Step = Decision[State, Command]


def key(job: JobRef) -> str:
    """The record of a run."""
    return f"{NAME}:{job}"


def experiment_subject(workspace: str, experiment: str, route: str) -> str:
    """What an incident of an experiment is about. Causes that concern different people are different incidents."""
    return f"run/{workspace}/{route}/{experiment}"


@dataclasses.dataclass(frozen=True, slots=True)
class JobFailure(Flow[State, Event, Command]):
    """The flow, under one policy."""

    policy: AlertPolicy
    name = NAME

    @override
    def initial(self) -> State:
        return NotFailed()

    @override
    def decide(self, state: State, event: Event, /) -> Step:
        match event:
            case RunEnded():
                return self._ended(state, event)
            case ResubmitRequested():
                return self._requested(state, event)
            case _ if isinstance(state, NotFailed) or event.attempt != state.attempt:
                return Decision(state)
            case _:
                return self._answered(state, event)

    def _ended(self, state: State, event: RunEnded) -> Step:
        concerns_us = event.status in FAILED or (event.status in CANCELED and self.policy.canceled)
        match state:
            case NotFailed() if concerns_us:
                attempt = 1
            case Disregarded(attempt=last, may_fail=True) if concerns_us:
                attempt = last + 1
            case _:
                return Decision(state)
        return Decision(Describing(event.job, event.experiment, event.at, attempt), (DescribeRun(event.job, attempt),))

    def _answered(self, state: State, event: Answer) -> Step:
        match state:
            case Describing():
                return self._described(state, event)
            case Resubmitting():
                return self._resubmitted(state, event)
            case _:
                return Decision(state)

    def _described(self, state: Describing, event: Answer) -> Step:
        match event:
            case RunDescribed(facts=facts):
                return self._read(state, dataclasses.replace(facts, experiment=facts.experiment or state.experiment))
            case RunMissing():  # a run that nobody knows cannot have failed
                return Decision(Disregarded(state.job, "there is no such run", state.attempt + 1, may_fail=True))
            case CommandRefused(reason=reason) | CommandErrored(reason=reason):
                facts = JobFacts(state.job, "failed", state.experiment, is_read=False)
                return self._alert(state, facts, Diagnosis("unknown", "", f"it could not be read: {reason}"))
            case _:
                return Decision(state)

    def _read(self, state: Describing, facts: JobFacts) -> Step:
        if facts.status not in ENDED and state.looks < LOOKS:
            again = dataclasses.replace(state, attempt=state.attempt + 1, looks=state.looks + 1)
            return Decision(again, (After(30, DescribeRun(state.job, again.attempt)),))
        if facts.status not in FAILED | (CANCELED if self.policy.canceled else frozenset()):
            may_fail = facts.status not in ENDED
            return Decision(Disregarded(state.job, f"it is {facts.status}", state.attempt + 1, may_fail))
        if facts.tag(TEST_TAG):
            return Decision(Disregarded(state.job, "the test of an image", state.attempt + 1))
        state = dataclasses.replace(state, ended=facts.ended or state.ended)  # who raises it may be late
        diagnosis, noise = self._diagnosis(facts), self._noise(facts)
        facts = dataclasses.replace(
            facts, log=facts.log[-MAX_LOG:]
        )  # what a mail shows; all of it is among the evidence
        if noise:
            return Decision(Disregarded(state.job, f"known noise: {noise}", state.attempt + 1))
        if diagnosis.cause == "eviction" and facts.parent:
            reason = f"an evicted step; what becomes of it is said of its pipeline {facts.parent}"
            return Decision(Disregarded(state.job, reason, state.attempt + 1))
        if diagnosis.cause == "eviction" and facts.can_resubmit:
            moves = self._moves(facts)
            if moves is not None:
                return self._resubmit(state, facts, diagnosis, moves)
        return self._alert(state, facts, diagnosis)

    def _diagnosis(self, facts: JobFacts) -> Diagnosis:
        """Of a pipeline: evicted, if every step that failed was; else why the first other one failed."""
        logs = itertools.chain((facts.log,), itertools.repeat(""))  # the log is the first step's
        steps = [
            self.policy.diagnose(dataclasses.replace(facts, error_code=step.error_code, error=step.error, log=log))
            for step, log in zip(facts.steps, logs, strict=False)
        ]
        if steps and all(each.cause == "eviction" for each in steps):
            return steps[0]
        known = (each for each in steps if each.cause not in ("eviction", "unknown"))
        return next(known, None) or self._without_eviction(facts)

    def _noise(self, facts: JobFacts) -> str | None:
        """Known noise in the log; that of one step says nothing of the others that failed."""
        return self.policy.noise(facts) if len(facts.steps) < 2 else None

    def _without_eviction(self, facts: JobFacts) -> Diagnosis:
        """Why a run failed by its own words; a pipeline whose steps failed for several reasons was not evicted."""
        own = self.policy.diagnose(facts)
        return Diagnosis("unknown", "", own.line) if facts.steps and own.cause == "eviction" else own

    # Going on ------------------------------------------------------------------------------------------------------

    def _moves(self, facts: JobFacts) -> Pairs | None:
        """Where the run goes on: where it was (empty), on the dedicated computes, or nowhere (None)."""
        rules = self.policy.resubmit
        if facts.attempt < rules.attempts:
            return ()
        dedicated = dict(rules.dedicated)  # a dedicated compute is no key: there it is not tried again
        if facts.attempt > rules.attempts or not all(compute in dedicated for compute in facts.computes):
            return None  # a component's own computes stay, whatever a copy says: once is enough
        return tuple((compute, dedicated[compute]) for compute in facts.computes)

    def _resubmit(self, state: Describing, facts: JobFacts, diagnosis: Diagnosis, moves: Pairs) -> Step:
        after = Resubmitting(facts, diagnosis, state.ended, state.attempt + 1)
        delay = min(self.policy.resubmit.backoff * 2**facts.attempt, LONGEST_BACKOFF)
        return Decision(after, (After(delay, _resubmission(after, moves)),))

    def _requested(self, state: State, event: ResubmitRequested) -> Step:
        match state:
            case Alerted(facts=facts) if facts.can_resubmit:
                after = Resubmitting(facts, state.diagnosis, state.ended, state.attempt + 1, event.who)
                return Decision(after, (_resubmission(after, ()),))
            case _:
                return Decision(state)

    def _resubmitted(self, state: Resubmitting, event: Answer) -> Step:
        facts = state.facts
        match event:
            case RunResubmitted(name=name, at=at):
                data = (
                    ("workspace", facts.job.workspace),
                    ("run", facts.job.run),
                    ("successor", name),
                    ("attempt", facts.attempt + 1),
                    ("cause", state.diagnosis.cause),
                )
                told = Publish("Tidegate.JobResubmitted", str(facts.job), at, data, f"{key(facts.job)}/{state.attempt}")
                return Decision(Resubmitted(facts, name, state.attempt + 1), (told,))
            case CommandRefused(reason=reason) | CommandErrored(reason=reason):
                line = f"{state.diagnosis.line}; it could not be submitted again: {reason}"
                return self._alert(state, facts, dataclasses.replace(state.diagnosis, line=line))
            case _:
                return Decision(state)

    # Telling people ------------------------------------------------------------------------------------------------

    def _alert(self, state: Describing | Resubmitting, facts: JobFacts, diagnosis: Diagnosis) -> Step:
        experiment = facts.experiment
        route = self.policy.route(facts.job.workspace, experiment, facts.tags, diagnosis.cause)
        subject = experiment_subject(facts.job.workspace, experiment, route.name)
        attempt = state.attempt + 1
        alert = job_alert(facts, diagnosis, f"{key(facts.job)}/{attempt}", subject, route.name, state.ended)
        kept = dataclasses.replace(facts, log="")  # it is among the evidence
        return Decision(
            Alerted(kept, diagnosis, state.ended, attempt), (Tell(incident.key(subject), incident.Raised(alert)),)
        )

    # For people ----------------------------------------------------------------------------------------------------

    @override
    def explain(self, event: Event, after: State, /) -> Explanation | None:
        match event:
            case RunEnded(status=status):
                return Explanation("the workspace", status)
            case ResubmitRequested(who=who):
                return Explanation(who, "submit it again")
            case RunDescribed(facts=facts):
                return None if isinstance(after, Describing) else Explanation("tidegate", _why(after), facts.log_name)
            case RunResubmitted(name=name):
                return Explanation("tidegate", f"as {name}")
            case RunMissing():
                return Explanation("tidegate", "there is no such run")
            case CommandRefused(reason=reason) | CommandErrored(reason=reason):
                return Explanation("tidegate", reason)
            case _:
                assert_never(event)

    @override
    def listing(self, state: object, /) -> Listing | None:
        return None


def _resubmission(state: Resubmitting, moves: Pairs) -> ResubmitRun:
    facts = state.facts
    number = facts.attempt + 1
    tags = ((ATTEMPT_TAG, str(number)), (PARENT_TAG, facts.job.run), (ROOT_TAG, facts.root))
    return ResubmitRun(facts.job, f"{facts.root[:230]}-attempt-{number}", moves, tags, state.attempt)


def _why(after: object) -> str:
    match after:
        case Alerted(diagnosis=diagnosis) | Resubmitting(diagnosis=diagnosis):
            return f"{diagnosis.cause}: {diagnosis.line}"[:300]
        case Disregarded(reason=reason):
            return reason
        case _:
            return ""
