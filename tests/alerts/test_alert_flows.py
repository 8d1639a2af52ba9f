"""Laws that the flows of runs, incidents and mails keep in every state for every event."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from tests.alerts import samples
from tests.alerts.samples import GRIDS, LATER, NOW
from tests.alerts.world import POLICY
from tests.flows.laws import attempts_going_back, not_idempotent, not_total, swayed_by_other_attempts
from tidegate.composition import CODEC, flows
from tidegate.flows.alerts import incident, mailing
from tidegate.flows.base import After, Decision
from tidegate.flows.jobs import job_failure
from tidegate.flows.jobs.job_messages import ResubmitRun, RunDescribed, RunEnded
from tidegate.flows.reminders import Remind, Reminded

STATES = [
    *(("job-failure", name) for name in samples.JOB_STATES),
    *(("incident", name) for name in samples.INCIDENT_STATES),
    *(("mailing", name) for name in samples.MAILING_STATES),
]


@pytest.mark.parametrize("law", [not_total, not_idempotent, swayed_by_other_attempts], ids=lambda law: law.__name__)
@pytest.mark.parametrize("flow", GRIDS)
def test_a_law_is_kept(flow: str, law: Any) -> None:
    assert law(GRIDS[flow]) == []


@pytest.mark.parametrize("flow", ["job-failure", "mailing"])
def test_attempts_never_go_back(flow: str) -> None:
    assert attempts_going_back(GRIDS[flow]) == []


@pytest.mark.parametrize(("flow", "name"), STATES)
def test_a_state_is_written_and_read_back_as_it_was(flow: str, name: str) -> None:
    state = GRIDS[flow].states[name]
    assert CODEC.decode(CODEC.encode(state)) == state


@pytest.mark.parametrize("flow", GRIDS)
def test_every_decision_can_be_stored_and_explained(flow: str) -> None:
    grid, known = GRIDS[flow], flows("tidegatehealthy", samples.JOB_POLICY)[flow]
    for _, state, event in grid.cells():
        step = grid.decide(state, event)
        for command in step.commands:
            assert CODEC.decode(CODEC.encode(command)) == command
        known.explain(event, step.state)
        assert known.listing(step.state) is None


def test_what_a_run_ends_as_is_never_left_by_an_answer() -> None:
    ends = (job_failure.Resubmitted, job_failure.Disregarded)
    for name, state, event in GRIDS["job-failure"].cells():
        if isinstance(state, ends) and not isinstance(event, RunEnded):
            assert GRIDS["job-failure"].decide(state, event) == Decision(state), name


def test_an_alert_is_told_by_every_way_a_failed_run_can_take() -> None:
    """Every state that is no end has a command on its way: nothing is left waiting for nobody."""
    for name, state, event in GRIDS["job-failure"].cells():
        step = GRIDS["job-failure"].decide(state, event)
        if step.state != state and isinstance(step.state, job_failure.Describing | job_failure.Resubmitting):
            assert step.commands, name
        if isinstance(step.state, job_failure.Alerted) and not isinstance(state, job_failure.Alerted):
            assert step.commands, name


def test_mails_that_wait_always_have_a_mail_or_a_reminder_before_them() -> None:
    for name, state, event in GRIDS["mailing"].cells():
        after = GRIDS["mailing"].decide(state, event).state
        if after.waiting or after.pages:
            assert after.sending or after.is_waiting, name


def test_failures_that_no_mail_named_always_have_a_reminder_before_them() -> None:
    for name, state, event in GRIDS["incident"].cells():
        after = GRIDS["incident"].decide(state, event).state
        if isinstance(after, incident.Open) and after.unnamed:
            assert after.is_waiting, name


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 60), (1, 120), (2, 240), (9, 3600)])
def test_each_resubmission_waits_twice_as_long_but_an_hour_at_most(attempt: int, seconds: int) -> None:
    facts = dataclasses.replace(samples.SPOT, tags=(("tidegate.attempt", str(attempt)),))
    policy = dataclasses.replace(POLICY, resubmit=dataclasses.replace(samples.RULES, attempts=20))
    step = job_failure.JobFailure(policy).decide(samples.JOB_STATES["describing"], RunDescribed(1, facts, LATER))
    [later] = step.commands
    assert isinstance(later, After)
    assert isinstance(later.command, ResubmitRun)
    assert (later.seconds, later.command.name) == (seconds, f"r1-attempt-{attempt + 1}")


def test_only_what_was_evicted_altogether_is_submitted_again_by_itself() -> None:
    grid, state = GRIDS["job-failure"], samples.JOB_STATES["describing"]
    again = {
        name
        for name, event in samples.job_events(state.attempt).items()
        if any(isinstance(getattr(each, "command", None), ResubmitRun) for each in grid.decide(state, event).commands)
    }
    evicted = {"evicted", "evicted-often", "pipeline", "pipeline-often"}
    assert again == {f"described-{name}" for name in evicted}


def test_half_of_the_mails_go_at_once_and_the_others_are_spread() -> None:
    flow, state, waits, now = mailing.Mailing(POLICY), mailing.Mailbox(), [], NOW
    for number in range(12):
        step = flow.decide(state, mailing.Noticed(dataclasses.replace(samples.notice(number), at=now)))
        wait = next((each.seconds for each in step.commands if isinstance(each, After)), 0)
        if wait:
            now += datetime.timedelta(seconds=wait)
            step = flow.decide(step.state, Reminded(step.state.attempt, now))
        waits.append(wait)
        state = flow.decide(step.state, mailing.MailSent(step.state.attempt, now)).state
    assert waits[:5] == [0] * 5
    assert all(720 <= wait <= 721 for wait in waits[5:10])


@pytest.mark.parametrize(("seconds", "closes"), [(-1, False), (0, False), (1, True)])
def test_only_a_success_after_the_last_failure_ends_the_incident(seconds: int, closes: bool) -> None:
    state = samples.INCIDENT_STATES["open-waiting"]
    success = incident.Recovered("r9", state.alert.at + datetime.timedelta(seconds=seconds))
    assert isinstance(GRIDS["incident"].decide(state, success).state, incident.Closed) == closes


def test_a_muted_incident_says_nothing_until_the_time_is_over() -> None:
    grid = GRIDS["incident"]
    step = grid.decide(samples.INCIDENT_STATES["open-muted"], Reminded(2, LATER))
    [later] = step.commands
    assert later == After(int((samples.MUCH_LATER - LATER).total_seconds()) + 1, Remind(3))
    told = grid.decide(step.state, Reminded(3, samples.MUCH_LATER))
    assert [command.event.notice.names for command in told.commands] == [("r1",)]


def test_a_muted_incident_stays_muted_when_the_next_failure_comes_after_its_window() -> None:
    muted = samples.INCIDENT_STATES["open-muted"]
    step = GRIDS["incident"].decide(muted, incident.Raised(samples.alert(2, at=NOW + datetime.timedelta(days=2))))
    assert step.commands == ()
    assert step.state.unnamed == ("r1", "r2")


@pytest.mark.parametrize(("seconds", "is_over"), [(-1, True), (1, False)])
def test_a_failure_after_the_success_makes_a_muted_incident_go_on(seconds: int, is_over: bool) -> None:
    muted = samples.INCIDENT_STATES["open-muted-over"]
    failed = incident.Raised(samples.alert(2, at=LATER + datetime.timedelta(seconds=seconds)))
    step = GRIDS["incident"].decide(muted, failed)
    assert (step.state.recovered is not None) is is_over


def test_a_digest_waits_for_more_of_the_same_and_a_notice_alone_does_not() -> None:
    flow = mailing.Mailing(POLICY)
    several = flow.decide(samples.MAILING_STATES["sending-more-waits"], mailing.MailSent(4, NOW))
    [later] = several.commands
    assert later == After(POLICY.wait + 1, Remind(5))
    alone = dataclasses.replace(samples.MAILING_STATES["sending-more-waits"], waiting=(samples.notice(8),))
    [at_once] = flow.decide(alone, mailing.MailSent(4, NOW)).commands
    assert isinstance(at_once, mailing.SendMail)


def test_news_of_something_long_ago_holds_no_mail_up() -> None:
    """A success that the timer found, or an event that Event Grid brought a day late."""
    state = samples.MAILING_STATES["resting"]
    old = dataclasses.replace(samples.notice(2), at=NOW - datetime.timedelta(hours=20))
    [at_once] = mailing.Mailing(POLICY).decide(state, mailing.Noticed(old)).commands
    assert isinstance(at_once, mailing.SendMail)
