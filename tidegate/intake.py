"""What comes in from the platform: events, queue messages, timers. Checked, made durable, answered at once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from typing import Any

from tidegate.errors import MalformedEvent, TidegateError
from tidegate.events import Envelope, ImagePush, NotForUs, envelope, image_pushed
from tidegate.flows.image_messages import ImagePushed
from tidegate.flows.image_promotion import key
from tidegate.flows.promotion_record import Request
from tidegate.gates import Gates
from tidegate.ports import Clock, Evidence, Outcome, OutcomeTopic
from tidegate.runner import Runner, read_work_message

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

    def image_pushed(self, body: Any) -> None:
        """Take a push as it came: durable when this returns. What asks for nothing is logged, what is malformed is parked."""
        try:
            self.take(envelope(body))
        except MalformedEvent as error:
            self.park(str(error), json.dumps(body, ensure_ascii=False))

    def take(self, event: Envelope) -> None:
        """As `image_pushed`, but a MalformedEvent is the caller's."""
        match image_pushed(event, staging=self.staging, healthy=self.healthy, now=self.clock.now()):
            case NotForUs(reason):
                _log.info("%s", json.dumps({"ignored": reason, "event": str(event.id)[:256]}))
            case ImagePush() as push:
                self._promote(push)

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
        data = (("id", identity), ("reason", reason))
        try:
            self.topic.publish(Outcome(f"parked/{identity}", "Tidegate.EventParked", identity, now, data))
        except TidegateError as error:  # best effort: the list of dead letters and the log have it
            _log.error("%s", json.dumps({"unpublished": identity, "reason": str(error)}))
