"""One subscription at work: the handshake, then attempts until each event is delivered or given up."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Literal

from local.cloud.event_grid_endpoints import Endpoints
from local.cloud.event_grid_messages import Refused, Unanswered, Validated
from local.cloud.event_grid_queue import DueQueue, Timing
from local.cloud.event_grid_schedule import EXPIRED, Answer, Delivered, GiveUp, Retry, next_step
from local.cloud.event_grid_store import Delivery, EventStore
from local.cloud.event_grid_subscriptions import Subscription

IN_FLIGHT = 16
"""Requests one subscription has open at once; Azure's figure is not published."""

_FIRST_HANDSHAKE_RETRY = 0.25
_LAST_HANDSHAKE_RETRY = 5.0
"""Seconds between handshakes. Azure repeats once after 5 s and then fails the creation of the subscription; here the
endpoint may start after Event Grid does, so it is asked until it answers."""
_MANUAL_VALIDATION = 600.0
"""Seconds for which the validation URL can be opened. Source: "Endpoint validation with Event Grid event schema"."""

_LOG = logging.getLogger(__name__)

type State = Literal["Creating", "AwaitingManualAction", "Succeeded", "Failed"]


class Courier:
    """Delivers one subscription's events, at least once, in no promised order."""

    def __init__(
        self,
        subscription: Subscription,
        endpoints: Endpoints,
        store: EventStore,
        give_up: Callable[[Subscription, Delivery], None],
        timing: Timing,
        validation_url: Callable[[str, str], str],
    ) -> None:
        """`give_up` takes what has a dead letter coming (already stored); `validation_url` makes the address for
        (subscription name, validation code)."""
        self.subscription = subscription
        self.queue = DueQueue(timing.now, subscription.max_events, subscription.preferred_bytes)
        self.counts: collections.Counter[str] = collections.Counter()
        self.state: State = "Creating"
        self.last_error = ""
        self.in_flight = 0
        self._endpoints = endpoints
        self._store = store
        self._give_up = give_up
        self._timing = timing
        self._code = str(uuid.uuid4())
        self._validation_url = validation_url(subscription.name, self._code)
        self._consent = asyncio.Event()
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def run(self) -> None:
        """Ask for consent, then deliver until cancelled. Events published meanwhile wait in the queue: on Azure the
        subscription would not exist yet and they would be lost to it."""
        await self._ask_consent()
        async with asyncio.TaskGroup() as attempts:
            while True:
                await self._slots.acquire()
                attempts.create_task(self._deliver(await self.queue.take()))

    def consented_by_hand(self, code: str) -> bool:
        """Somebody opened the validation URL; whether the code in it is right."""
        if code == self._code and self.state == "AwaitingManualAction":
            self._consent.set()
        return code == self._code

    def failed(self) -> None:
        """The courier stopped for a reason of its own; the log has it."""
        self.state = "Failed"

    async def _ask_consent(self) -> None:
        pause = _FIRST_HANDSHAKE_RETRY
        while True:
            match await self._endpoints.validate(self.subscription, self._code, self._validation_url):
                case Validated():
                    break
                case Unanswered() if await self._consent_by_hand():
                    break
                case Unanswered():
                    self.state, self.last_error = "Creating", "nobody opened the validation URL"
                case Refused(reason):
                    self.state, self.last_error = "Creating", reason
            await asyncio.sleep(pause * self._timing.scale)
            pause = min(pause * 2, _LAST_HANDSHAKE_RETRY)
        self.state, self.last_error = "Succeeded", ""

    async def _consent_by_hand(self) -> bool:
        self.state, self.last_error = "AwaitingManualAction", f"open {self._validation_url} within 10 minutes"
        try:
            async with asyncio.timeout(_MANUAL_VALIDATION * self._timing.scale):
                await self._consent.wait()
        except TimeoutError:
            return False
        return True

    async def _deliver(self, batch: Sequence[Delivery]) -> None:
        self.in_flight += 1
        try:
            live = self._without_expired(batch)
            if live:
                answer = await self._endpoints.notify(self.subscription, live)
                self._settle(live, answer)
        finally:
            self.in_flight -= 1
            self._slots.release()

    def _without_expired(self, batch: Sequence[Delivery]) -> list[Delivery]:
        """The time to live is looked at only here, when an attempt is due. Source: "Dead-letter events"."""
        oldest = self._timing.now() - self.subscription.time_to_live * self._timing.scale
        expired = [delivery for delivery in batch if delivery.published < oldest]
        self._end(expired, GiveUp(EXPIRED, 0.0))
        return [delivery for delivery in batch if delivery.published >= oldest]

    def _settle(self, batch: Sequence[Delivery], answer: Answer) -> None:
        """One answer is every event's answer: a batch has no partial success. Source: "Output batching"."""
        now = self._timing.now()
        attempted = [
            dataclasses.replace(d, attempts=d.attempts + 1, last_attempt=now, outcome=answer.outcome) for d in batch
        ]
        self.counts["attempts"] += 1
        self.last_error = "" if answer.delivered else f"{answer.status or answer.outcome}: {answer.detail}"
        for delivery in attempted:
            self._follow(delivery, answer)

    def _follow(self, delivery: Delivery, answer: Answer) -> None:
        step = next_step(
            answer,
            attempts=delivery.attempts,
            max_attempts=self.subscription.max_attempts,
            azure_resource=self.subscription.on_azure_resource,
            spread=self._timing.spread(),
        )
        match step:
            case Delivered():
                self._store.forget([delivery])
                self.counts["delivered"] += 1
            case Retry(after):
                later = dataclasses.replace(delivery, due=self._timing.now() + after * self._timing.scale)
                self._store.update([later])
                self.queue.put(later)
                self.counts["retried"] += 1
            case GiveUp():
                self._end([delivery], step)

    def _end(self, deliveries: Sequence[Delivery], step: GiveUp) -> None:
        """Without a container for dead letters the event is dropped, as on Azure."""
        now = self._timing.now()
        for delivery in deliveries:
            _LOG.warning("event given up", extra={"subscription": delivery.subscription, "reason": step.reason})
            self.counts["given_up"] += 1
            if self.subscription.dead_letter_container is None:
                self._store.forget([delivery])
                self.counts["dropped"] += 1
                continue
            due = now + step.after * self._timing.scale
            dead = dataclasses.replace(delivery, due=due, reason=step.reason, gave_up=now)
            self._store.update([dead])
            self._give_up(self.subscription, dead)
