"""The Event Grid stand-in itself: what is published goes to the disk, then to the couriers of the subscriptions."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from local.cloud.event_grid_dead_letters import BlobWriter, DeadLetters
from local.cloud.event_grid_delivery import Courier
from local.cloud.event_grid_endpoints import Endpoints
from local.cloud.event_grid_events import Event, accept_event_grid
from local.cloud.event_grid_faults import FaultyEndpoints
from local.cloud.event_grid_queue import Timing
from local.cloud.event_grid_store import EventStore
from local.cloud.event_grid_subscriptions import Subscription

_LOG = logging.getLogger(__name__)


class EventGrid:
    """Topics and subscriptions of one event loop. Events are delivered while `running`; they can be published before."""

    def __init__(
        self,
        store: EventStore,
        endpoints: Endpoints,
        blobs: BlobWriter,
        timing: Timing,
        validation_url: Callable[[str, str], str],
    ) -> None:
        """`validation_url` makes the address a webhook's owner may open, of (subscription name, code)."""
        self.store = store
        self.endpoints = FaultyEndpoints(endpoints)
        self.dead_letters = DeadLetters(store, blobs, timing)
        self._timing = timing
        self._validation_url = validation_url
        self._couriers: dict[str, Courier] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running = False

    async def publish(self, topic_id: str, events: list[dict[str, Any]]) -> None:
        """Accept events in the Event Grid schema (id, subject, eventType, eventTime, data, dataVersion; no topic).

        When it returns they are on the disk and will be delivered at least once to each subscription that wants them,
        whatever happens to this process. Publishing twice delivers twice. A malformed event is a RejectedError (a
        ValueError) and none of the events is accepted.
        """
        self.accept(topic_id, accept_event_grid(events, topic_id))

    def accept(self, topic_id: str, events: Sequence[Event]) -> None:
        """`publish` for events that were checked."""
        targets = [
            (courier.subscription.name, event)
            for event in events
            for courier in self._couriers.values()
            if courier.subscription.wants(topic_id) and courier.subscription.filter.matches(event)
        ]
        for delivery in self.store.accept(topic_id, events, targets, self._timing.now()):
            courier = self._couriers[delivery.subscription.casefold()]
            courier.counts["matched"] += 1
            courier.queue.put(delivery)

    def subscribe(self, subscription: Subscription) -> None:
        """Add or replace a subscription (names are compared without case); its undelivered events go on."""
        key = subscription.name.casefold()
        known = key in self._couriers
        self._cancel(key)
        courier = Courier(
            subscription, self.endpoints, self.store, self.dead_letters.put, self._timing, self._validation_url
        )
        self._couriers[key] = courier
        for delivery in self.store.in_progress(subscription.name):
            if delivery.reason is None:
                courier.queue.put(delivery)
            elif not known:
                self.dead_letters.put(subscription, delivery)
        if self._running:
            self._start(key)

    def unsubscribe(self, name: str) -> bool:
        """Remove a subscription and its undelivered events; False when there is none."""
        key = name.casefold()
        self._cancel(key)
        courier = self._couriers.pop(key, None)
        if courier is not None:
            self.endpoints.clear(courier.subscription.name)
            self.store.forget_subscription(courier.subscription.name)
        return courier is not None

    def couriers(self) -> list[Courier]:
        """One for each subscription."""
        return list(self._couriers.values())

    def courier(self, name: str) -> Courier | None:
        """The courier of a subscription, found without case."""
        return self._couriers.get(name.casefold())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver inside the block. Events of subscriptions that no longer exist are forgotten first."""
        for orphan in sorted(name for name in self.store.receivers() if name.casefold() not in self._couriers):
            _LOG.warning("undelivered events of a removed subscription dropped", extra={"subscription": orphan})
            self.store.forget_subscription(orphan)
        self._running = True
        for key in self._couriers:
            self._start(key)
        self._tasks[""] = self._watched(self.dead_letters.run(), lambda: None)
        try:
            yield
        finally:
            self._running = False
            tasks = [self._tasks.pop(key) for key in list(self._tasks)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.store.close()

    def _start(self, key: str) -> None:
        courier = self._couriers[key]
        self._tasks[key] = self._watched(courier.run(), courier.failed)

    def _cancel(self, key: str) -> None:
        if (task := self._tasks.pop(key, None)) is not None:
            task.cancel()

    def _watched(self, work: Coroutine[Any, Any, None], failed: Callable[[], None]) -> asyncio.Task[None]:
        """A task whose crash is an error in the log and shows in the subscription's state."""
        task = asyncio.create_task(work)
        task.add_done_callback(functools.partial(_report, failed))
        return task


def _report(failed: Callable[[], None], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        failed()
        _LOG.error("Event Grid stopped delivering", exc_info=error)
