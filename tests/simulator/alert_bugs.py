"""Planted bugs around alerts: the product with one part of it done wrong, for every invariant B1-B7.

Each is made from outside, by putting a wrong part in the place of the right one; the product's code is not touched.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from typing import Any, override

from tests.simulator.alert_run import AlertBug
from tests.simulator.alert_scenarios import ALERT_SCENARIOS, ALERTS, AlertScenario
from tests.simulator.bugs import _Wrong
from tests.simulator.explore import Bounds
from tidegate.errors import TransientError
from tidegate.flows.alerts import incident, mailing
from tidegate.flows.alerts.alert_mail import Mail
from tidegate.flows.alerts.alert_policy import Diagnosis
from tidegate.flows.base import AnyFlow, Decision
from tidegate.flows.jobs import job_failure
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.flows.jobs.job_messages import DescribeRun, RunEnded
from tidegate.job_effects import JobEffects
from tidegate.records import Records


@dataclasses.dataclass(frozen=True, slots=True)
class PlantedAlertBug:
    """A bug, the invariant it breaks, and where the exhaustive driver looks for it."""

    bug: AlertBug
    invariant: str
    scenario: AlertScenario
    bounds: Bounds = dataclasses.field(default_factory=Bounds)


def _replaced(
    name: str, decide: Callable[[Any, Any, Any], Decision[Any, Any]]
) -> Callable[[Mapping[str, AnyFlow]], Mapping[str, AnyFlow]]:
    return lambda flows: {**flows, name: _Wrong(flows[name], decide)}


def _forgets_what_waits(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    """A newer notice takes the place of the ones that wait."""
    if isinstance(event, mailing.Noticed) and state.waiting:
        state = dataclasses.replace(state, waiting=())
    return decide(state, event)  # type: ignore[no-any-return]


def _closes_in_silence(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    """What failed while people wanted to hear nothing is forgotten when that time is over."""
    step = decide(state, event)
    if isinstance(step.state, incident.Open) and step.state.muted_until and step.state.unnamed:
        return Decision(dataclasses.replace(step.state, unnamed=()), step.commands)
    return step  # type: ignore[no-any-return]


def _tells_again(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    """A notice keeps the names that were told."""
    step = decide(state, event)
    if isinstance(state, incident.Open) and isinstance(step.state, incident.Open) and state.unnamed:
        return Decision(dataclasses.replace(step.state, unnamed=step.state.unnamed or state.unnamed), step.commands)
    return step  # type: ignore[no-any-return]


def _believes_the_event(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    """A run is alerted about without being read."""
    if isinstance(event, RunEnded) and isinstance(state, job_failure.NotFailed) and event.status == "failed":
        described = decide(state, event)
        asked = dataclasses.replace(described.state, attempt=1)
        flow = job_failure.JobFailure(ALERTS)
        return flow._alert(asked, JobFacts(event.job, "failed", event.experiment), Diagnosis("unknown", "", ""))
    return decide(state, event)  # type: ignore[no-any-return]


def _forgets_what_it_sent(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    step = decide(state, event)
    return Decision(dataclasses.replace(step.state, sent=()), step.commands)


class _NewIds(JobEffects):
    """Gives a mail another id each time it is sent."""

    @override
    def _mail(self, command: mailing.SendMail) -> Mail:
        mail = JobEffects._mail(self, command)
        return dataclasses.replace(mail, id=f"{mail.id}/{self.clock.now():%H%M%S%f}")


class _MasksNothing(JobEffects):
    """Keeps logs and shows them as they are."""

    @override
    def _kept(self, facts: JobFacts) -> JobFacts:
        name = f"runs/{facts.job.workspace}/run-{facts.job.run}.log"
        self.evidence.put(name, facts.log.encode(), "text/plain")
        return dataclasses.replace(facts, log_name=name)


class _AsksTheMailFirst(JobEffects):
    """Reads no run while the workflow does not answer."""

    @override
    def carry_out(self, command: object) -> object | None:
        until = self.email.down_until  # type: ignore[attr-defined]  # it is the fake
        if isinstance(command, DescribeRun) and until and self.clock.now() < until:
            raise TransientError("the workflow does not answer")
        return JobEffects.carry_out(self, command)


def _all_is_well(_records: Records, _routes: tuple[str, ...], _now: datetime.datetime) -> dict[str, Any]:
    return {"status": "ok"}


_LONG = dataclasses.replace(ALERT_SCENARIOS["the mail is down"], down=(0, 10_000))

PLANTED_ALERT_BUGS: dict[str, PlantedAlertBug] = {
    planted.bug.name: planted
    for planted in (
        PlantedAlertBug(
            AlertBug("forgets what waits for a digest", change=_replaced(mailing.NAME, _forgets_what_waits)),
            "B1",
            ALERT_SCENARIOS["more than the rate"],
        ),
        PlantedAlertBug(
            AlertBug("forgets what failed while it was muted", change=_replaced(incident.NAME, _closes_in_silence)),
            "B1",
            ALERT_SCENARIOS["muted"],
        ),
        PlantedAlertBug(
            AlertBug("tells the same names again", change=_replaced(incident.NAME, _tells_again)),
            "B2",
            ALERT_SCENARIOS["two fail, and more later"],
        ),
        PlantedAlertBug(
            AlertBug("gives a mail a new id each time", effects=_NewIds),
            "B2",
            ALERT_SCENARIOS["one run fails"],
            Bounds(faults=1, port="AlertEmail"),
        ),
        PlantedAlertBug(
            AlertBug("believes the event", change=_replaced(job_failure.NAME, _believes_the_event)),
            "B3",
            ALERT_SCENARIOS["a rumour"],
        ),
        PlantedAlertBug(
            AlertBug("forgets what it sent", change=_replaced(mailing.NAME, _forgets_what_it_sent)),
            "B4",
            ALERT_SCENARIOS["more than the rate"],
        ),
        PlantedAlertBug(AlertBug("masks nothing", effects=_MasksNothing), "B5", ALERT_SCENARIOS["one run fails"]),
        PlantedAlertBug(AlertBug("asks the mail first", effects=_AsksTheMailFirst), "B6", _LONG),
        PlantedAlertBug(
            AlertBug("says that all is well", health=_all_is_well), "B7", ALERT_SCENARIOS["the mail is down"]
        ),
    )
}
