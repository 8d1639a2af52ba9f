"""One of everything that the flows of runs, incidents and mails hear and are."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from tests.alerts.world import POLICY
from tests.flows.laws import Grid
from tidegate.flows.alerts import incident, mailing
from tidegate.flows.alerts.alert_policy import Diagnosis, ResubmitRules
from tidegate.flows.alerts.notices import Alert, Notice, Pages, line_of
from tidegate.flows.base import CommandErrored, CommandRefused
from tidegate.flows.jobs import job_failure
from tidegate.flows.jobs import job_messages as jobs
from tidegate.flows.jobs.job_facts import FailedStep, JobFacts
from tidegate.flows.reminders import Reminded
from tidegate.references import JobRef

NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(seconds=40)
MUCH_LATER = NOW + datetime.timedelta(days=3)
JOB = JobRef("vision", "r1")
SPOT = JobFacts(
    JOB, "failed", "exp", compute="gpu-spot", error="The job was preempted", can_resubmit=True, log="step 3", image="x"
)
CODE = dataclasses.replace(SPOT, error="", log="KeyError: 'label'")
EVICTED_STEP = FailedStep("r1-a", "a", "gpu-spot", "JobPreempted", "The job was preempted")
PIPELINE = dataclasses.replace(SPOT, error="Pipeline has failed child jobs.", steps=(EVICTED_STEP, EVICTED_STEP))
MIXED = dataclasses.replace(PIPELINE, steps=(EVICTED_STEP, FailedStep("r1-b", "b", "gpu", "UserError", "KeyError: 1")))
GONE_ON = dataclasses.replace(SPOT, tags=(("tidegate.attempt", "3"), ("tidegate.root", "r0")))
RULES = ResubmitRules(attempts=3, backoff=60, dedicated=(("gpu-spot", "gpu"),))
JOB_POLICY = dataclasses.replace(POLICY, resubmit=RULES, ignore=("known noise",), canceled=True)
WHY = Diagnosis("eviction", "eviction", "The job was preempted")

JOB_STATES: dict[str, Any] = {
    "not-failed": job_failure.NotFailed(),
    "describing": job_failure.Describing(JOB, "exp", NOW, 1),
    "describing-last-look": job_failure.Describing(JOB, "exp", NOW, 10, looks=10),
    "resubmitting": job_failure.Resubmitting(SPOT, WHY, NOW, 2),
    "resubmitting-a-pipeline": job_failure.Resubmitting(PIPELINE, WHY, NOW, 2),
    "resubmitting-by-hand": job_failure.Resubmitting(CODE, WHY, NOW, 3, "a person"),
    "resubmitted": job_failure.Resubmitted(SPOT, "r1-attempt-1", 3),
    "alerted": job_failure.Alerted(CODE, WHY, NOW, 2),
    "alerted-pipeline": job_failure.Alerted(MIXED, WHY, NOW, 2),
    "alerted-other-kind": job_failure.Alerted(dataclasses.replace(CODE, can_resubmit=False), WHY, NOW, 2),
    "disregarded": job_failure.Disregarded(JOB, "known noise", 2),
    "disregarded-for-now": job_failure.Disregarded(JOB, "it is running", 11, may_fail=True),
}


def job_events(attempt: int) -> dict[str, Any]:
    described = {
        "evicted": SPOT,
        "evicted-often": GONE_ON,
        "evicted-from-dedicated": dataclasses.replace(GONE_ON, compute="gpu"),
        "evicted-step": dataclasses.replace(SPOT, parent="p1", can_resubmit=False),
        "evicted-other-kind": dataclasses.replace(SPOT, can_resubmit=False),
        "pipeline": PIPELINE,
        "pipeline-often": dataclasses.replace(PIPELINE, tags=GONE_ON.tags),
        "pipeline-mixed": MIXED,
        "code": CODE,
        "noise": dataclasses.replace(CODE, log="known noise"),
        "running": dataclasses.replace(SPOT, status="running"),
        "completed": dataclasses.replace(SPOT, status="completed"),
        "canceled": dataclasses.replace(CODE, status="canceled"),
    }
    return {
        **{f"ended-{status}": jobs.RunEnded(JOB, status, "exp", NOW) for status in ("failed", "canceled", "completed")},
        "requested": jobs.ResubmitRequested("a person", LATER),
        **{f"described-{name}": jobs.RunDescribed(attempt, facts, LATER) for name, facts in described.items()},
        "missing": jobs.RunMissing(attempt, LATER),
        "resubmitted": jobs.RunResubmitted(attempt, "r1-attempt-1", LATER),
        "refused": CommandRefused(attempt, "404", LATER),
        "errored": CommandErrored(attempt, "no answer", LATER),
    }


def alert(number: int = 1, route: str = "team", at: datetime.datetime = NOW, **fields: Any) -> Alert:
    given = {"title": f"exp: r{number} failed", "why": "KeyError: 1", "todo": "Fix it.", "kind": "code", **fields}
    return Alert(f"a{number}", "run/vision/exp", f"r{number}", severity="error", route=route, at=at, **given)


_KEY = incident.key("run/vision/exp")
_MUTED = Pages("alerts/incident-x/2-200", 1, 2)
_FULL = tuple(f"r{number}" for number in range(199))

INCIDENT_STATES: dict[str, Any] = {
    "quiet": incident.Quiet(),
    "open-waiting": incident.Open(_KEY, alert(), NOW, 1, unnamed=("r1",), known=("a1",), is_waiting=True),
    "open-told": incident.Open(_KEY, alert(), NOW, 1, known=("a1",), mailed=True),
    "open-full": incident.Open(_KEY, alert(), NOW, 2, 199, _FULL, ("a1",), is_waiting=True, mailed=True),
    "open-muted": incident.Open(_KEY, alert(), NOW, 2, 2, ("r1",), ("a1",), True, True, MUCH_LATER),
    "open-muted-full": incident.Open(_KEY, alert(), NOW, 2, 200, _FULL, ("a1",), True, True, MUCH_LATER),
    "open-muted-pages": incident.Open(_KEY, alert(), NOW, 2, 201, ("r9",), ("a1",), True, True, MUCH_LATER, _MUTED),
    "open-muted-over": incident.Open(
        _KEY, alert(), NOW, 2, 2, ("r1",), ("a1",), True, True, MUCH_LATER, None, incident.Recovered("r8", LATER)
    ),
    "closed": incident.Closed(_KEY, NOW, 3, ("a1",)),
}


def incident_events(attempt: int) -> dict[str, Any]:
    return {
        "raised-known": incident.Raised(alert()),
        "raised": incident.Raised(alert(2, at=LATER)),
        "raised-much-later": incident.Raised(alert(3, at=MUCH_LATER)),
        "raised-elsewhere": incident.Raised(alert(4, route="default", at=LATER)),
        "recovered": incident.Recovered("r9", LATER),
        "recovered-long-ago": incident.Recovered("r0", NOW - datetime.timedelta(hours=1)),
        "muted": incident.Muted(MUCH_LATER, "a person", LATER),
        "reminded": Reminded(attempt, LATER),
    }


def notice(number: int = 1, names: int = 1) -> Notice:
    every = tuple(f"r{number}-{each}" for each in range(names))
    return Notice(f"n{number}", "failed", _KEY, alert(number), every, names, NOW, NOW)


_SENDING = mailing.SendMail("team", (notice(7),), (), 4)

MAILING_STATES: dict[str, Any] = {
    "empty": mailing.Mailbox(),
    "sending": mailing.Mailbox("team", 4, sending=_SENDING, known=("n1",)),
    "sending-more-waits": mailing.Mailbox("team", 4, sending=_SENDING, waiting=(notice(8), notice(9))),
    "over-the-rate": mailing.Mailbox("team", 9, sent=(NOW,) * POLICY.mails, waiting=(notice(8),), is_waiting=True),
    "nearly-full": mailing.Mailbox("team", 9, sent=(NOW,) * 9, waiting=(notice(8, 199),), is_waiting=True),
    "lines": mailing.Mailbox("team", 9, sent=(NOW,) * 9, waiting=(line_of(notice(8)),) * 2, is_waiting=True),
    "pages": mailing.Mailbox("team", 4, sending=_SENDING, pages=(_MUTED, Pages("alerts/team", 1, 9)), kept=9),
    "losing": mailing.Mailbox("team", 4, sending=_SENDING, lost=mailing.Lost(NOW, 2, "400")),
    "resting": mailing.Mailbox("team", 4, sent=(NOW,), known=("n1",)),
}


def mailing_events(attempt: int) -> dict[str, Any]:
    return {
        "noticed": mailing.Noticed(notice()),
        "noticed-many": mailing.Noticed(notice(2, 150)),
        "noticed-pages": mailing.Noticed(dataclasses.replace(notice(3), pages=_MUTED)),
        "sent": mailing.MailSent(attempt, LATER),
        "reminded": Reminded(attempt, LATER),
        "reminded-much-later": Reminded(attempt, MUCH_LATER),
        "refused": CommandRefused(attempt, "400", LATER),
        "errored": CommandErrored(attempt, "no answer", LATER),
    }


GRIDS = {
    "job-failure": Grid(job_failure.JobFailure(JOB_POLICY).decide, JOB_STATES, job_events),
    "incident": Grid(incident.Incidents(POLICY).decide, INCIDENT_STATES, incident_events),
    "mailing": Grid(mailing.Mailing(POLICY).decide, MAILING_STATES, mailing_events),
}
