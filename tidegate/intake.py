"""What comes in from the platform: events, queue messages, timers. Checked, made durable, answered at once."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import itertools
import json
import logging
from typing import Any

from tidegate import references
from tidegate.errors import MalformedEvent, TidegateError
from tidegate.events import (
    Envelope,
    ImagePush,
    NotForUs,
    Registration,
    RunStatus,
    envelope,
    image_pushed,
    is_model_registered,
    is_run_status,
    model_order,
    model_registered,
    run_status_changed,
)
from tidegate.flows.alerts import incident, letter_watch
from tidegate.flows.alerts.incident import Recovered
from tidegate.flows.base import Publish, Request
from tidegate.flows.deliveries.delivery_messages import ModelRegistered
from tidegate.flows.images.image_messages import ImagePushed, ImageTestEnded
from tidegate.flows.images.image_promotion import key
from tidegate.flows.jobs import job_failure
from tidegate.flows.jobs.job_facts import ENDED
from tidegate.flows.jobs.job_failure import experiment_subject
from tidegate.flows.jobs.job_messages import RunEnded
from tidegate.flows.models.model_facts import COPY_TAG
from tidegate.flows.models.record_keys import delivery_key
from tidegate.gates import Gates
from tidegate.model_ports import Models
from tidegate.ports import Clock, Evidence, Jobs, Outcome, OutcomeTopic
from tidegate.runner import Runner, read_work_message

RECONCILED = datetime.timedelta(days=7)
"""How old a run may be, from its creation, whose end is still raised: an installation does not begin with old news."""
RECONCILED_RUNS = 500
"""Runs of a workspace that are looked at each time."""
RECONCILED_MODELS = datetime.timedelta(days=2)
"""How old a version may be that is still raised: Event Grid tries for a day; what is older must not begin to move by itself."""
RECONCILED_VERSIONS = 100
"""Versions of a workspace that are looked at each time."""

_log = logging.getLogger("tidegate.intake")


@dataclasses.dataclass(frozen=True, slots=True)
class Intake:
    """The door of one installation."""

    staging: str
    healthy: str
    gates: Gates
    runner: Runner
    evidence: Evidence
    topic: OutcomeTopic
    clock: Clock
    workspaces: tuple[str, ...] = ()
    """Workspaces whose runs and models are watched."""
    jobs: Jobs | None = None
    """Where their runs are listed; None: they are not."""
    models: Models | None = None
    """Where their versions of models are listed; None: they are not."""

    def image_pushed(self, body: Any) -> None:
        """Take a push as it came: durable when this returns. What asks for nothing is logged, what is malformed is parked."""
        self._take_or_park(body)

    def run_status_changed(self, body: Any) -> None:
        """Take a change of a run's status, in the same way."""
        self._take_or_park(body)

    def model_registered(self, body: Any) -> None:
        """Take a registration of a model's version, in the same way."""
        self._take_or_park(body)

    def _take_or_park(self, body: Any) -> None:
        try:
            self.take(envelope(body))
        except MalformedEvent as error:
            self.park(str(error), json.dumps(body))  # escaped: half characters have no bytes

    def take(self, event: Envelope) -> None:
        """Take an event of any kind; a MalformedEvent is the caller's."""
        match self._meaning(event):
            case NotForUs(reason):
                _log.info("%s", json.dumps({"ignored": reason, "event": str(event.id)[:256]}))
            case ImagePush() as push:
                self._promote(push)
            case RunStatus() as status:
                self._heard(status)
            case Registration() as registration:
                self._registered(registration)

    def _meaning(self, event: Envelope) -> ImagePush | RunStatus | Registration | NotForUs:
        now = self.clock.now()
        if is_model_registered(event):
            return model_registered(event, workspaces=self.workspaces, now=now)
        if is_run_status(event):
            return run_status_changed(event, workspaces=self.workspaces, now=now)
        return image_pushed(event, staging=self.staging, healthy=self.healthy, now=now)

    def _heard(self, status: RunStatus) -> None:
        """Runs that fail have a record; one that succeeds only matters to the incident of its experiment."""
        job = status.job
        if status.test_of:
            self._test_ended(status)
            return
        match status.status:
            case "failed" | "canceled":
                ended = RunEnded(job, status.status, status.experiment, status.at)
                self.runner.deliver(job_failure.key(job), ended)
            case "completed":
                for route in self.gates.alerts.routes:
                    if route.may_take(job.workspace, status.experiment):
                        subject = experiment_subject(job.workspace, status.experiment, route.name)
                        self.runner.deliver(incident.key(subject), Recovered(job.run, status.at))
            case _:
                pass

    def _test_ended(self, status: RunStatus) -> None:
        """The test of an image: whichever record waits for this run looks at it now. The tag of a run decides nothing."""
        if status.status not in ENDED:
            return
        image = references.image(status.test_of, "data.runTags")
        run = f"azure-ml.{status.job.workspace}.{status.job.run}"
        for rule in self.gates.images:
            if rule.gate.test.runner == "azure-ml" and rule.match.matches(image.repository, None):
                self.runner.deliver(key(image, rule.gate), ImageTestEnded(run, status.at))

    def reconcile(self) -> None:
        """Raise what never came: events can be lost, and what was heard already changes nothing.

        A workspace that does not answer hides nothing of the others; its error is raised at the end.
        """
        now = self.clock.now()
        self.runner.deliver(letter_watch.KEY, letter_watch.LookDue(now))
        errors: list[TidegateError] = []
        for workspace, look in itertools.product(self.workspaces, (self._reconcile_runs, self._reconcile_models)):
            try:
                look(workspace, now)
            except TidegateError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _reconcile_runs(self, workspace: str, now: datetime.datetime) -> None:
        for run in self.jobs.ended(workspace, RECONCILED_RUNS) if self.jobs else ():
            if now - run.created > RECONCILED:
                break
            at = run.created if run.status == "completed" else now  # a success counts only if it began after a failure
            self._heard(RunStatus(run.job, run.status, run.experiment, run.test_of, at))

    def _reconcile_models(self, workspace: str, now: datetime.datetime) -> None:
        """Only versions without a record: a gate that is new, or changed, moves nothing that was left alone before."""
        for found in self.models.recent(workspace, RECONCILED_VERSIONS) if self.models else ():
            tags = {**found.properties, **found.tags}
            if now - found.created > RECONCILED_MODELS or COPY_TAG in tags:
                continue
            if not self.runner.is_known(delivery_key(found.model)):
                order = model_order(found.model.version, found.created)
                self._registered(Registration(found.model, order, tags, f"reconciled/{found.model}", now))

    def _registered(self, registration: Registration) -> None:
        """What the event says of its tags finds the gate; what must be true of the version is read when it is screened."""
        model = registration.model
        gate = self.gates.model_gate(model.name, registration.tags)
        event = ModelRegistered(model, registration.order, gate, registration.id, registration.at)
        self.runner.deliver(delivery_key(model), event)

    def _promote(self, push: ImagePush) -> None:
        gate = self.gates.match(push.image.repository, push.tag)
        if gate is None:
            where = f"{push.image.repository}:{push.tag}"
            _log.info("%s", json.dumps({"ignored": "no gate matches", "image": where, "event": push.id}))
            return
        request = Request(push.id, push.who, f"pushed as {push.tag}", push.at)
        self.runner.deliver(key(push.image, gate), ImagePushed(push.image, push.tag, push.order, gate, request))

    def work(self, message: str) -> None:
        """Handle a message of the work queue. A message that is none of ours is parked."""
        try:
            self.runner.work(read_work_message(message))
        except MalformedEvent as error:
            self.park(str(error), message)

    def poisoned(self, message: str) -> None:
        """Park a message that failed as often as the host tries. `resume` still finds its record, if it has one."""
        self.park("failed as often as the host tries", message)

    def resume(self) -> None:
        """Wake what a lost message or a dead worker left behind."""
        woken = self.runner.resume()
        if woken:
            _log.warning("%s", json.dumps({"resumed": woken}))

    def park(self, reason: str, body: str) -> None:
        """Keep what nobody could take, with its reason, where dead letters are listed; say so once."""
        identity = hashlib.sha256(body.encode()).hexdigest()[:32]
        now = self.clock.now()
        if not self.evidence.park(identity, reason, body, now):
            return
        _log.error("%s", json.dumps({"parked": identity, "reason": reason}))
        news = Publish(
            "Tidegate.EventParked", identity, now, (("id", identity), ("reason", reason)), f"parked/{identity}"
        )
        try:
            if tell := self.runner.announce(news):
                self.runner.deliver(tell.key, tell.event)
            self.topic.publish(Outcome(news.id, news.type, news.subject, news.at, news.data))
        except TidegateError as error:  # best effort: the list of dead letters and the log have it
            _log.error("%s", json.dumps({"unpublished": identity, "reason": str(error)}))
