"""Dead letters: events no endpoint accepted, written into the storage account with the reason."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import json
import logging
import uuid
from typing import Any, Protocol

from local.cloud.event_grid_events import Schema
from local.cloud.event_grid_queue import DueQueue, Timing
from local.cloud.event_grid_schedule import DEAD_LETTER_PATIENCE
from local.cloud.event_grid_store import Delivery, EventStore
from local.cloud.event_grid_subscriptions import Subscription

_RETRY = 10.0
"""Seconds until storage that failed is tried again; Azure's interval is not published."""
_NAMESPACE = uuid.UUID("b3f5d1d4-6f0e-4c2e-9d55-5a5c7d1b7a10")
_LOG = logging.getLogger(__name__)


class StorageUnavailableError(Exception):
    """The storage account did not take a blob; trying again may help."""


class BlobWriter(Protocol):
    """The storage account."""

    async def write(self, container: str, name: str, content: bytes) -> None:
        """Write a blob, in a container that is made when it is absent; twice writes the same blob again.

        StorageUnavailableError when it could not be written."""
        ...


def blob_name(delivery: Delivery) -> str:
    """`<SUBSCRIPTION>/<Y>/<M>/<D>/<H>/<guid>.json`, UTC, numbers without leading zeros.

    Source: "Dead letter and retry policies". The hour is that of giving up, and the guid is made from the delivery: a
    dead letter that is written twice is one blob.
    """
    at = datetime.datetime.fromtimestamp(delivery.gave_up or delivery.published, datetime.UTC)
    guid = uuid.uuid5(_NAMESPACE, f"{delivery.subscription}/{delivery.id}/{delivery.published}")
    return f"{delivery.subscription.upper()}/{at.year}/{at.month}/{at.day}/{at.hour}/{guid}.json"


def content(delivery: Delivery, schema: Schema) -> bytes:
    """The event in the subscription's delivery schema with why and when it was given up, in an array of one.

    Source: "Event Grid message delivery and retry", samples of both schemas; CloudEvents has the names in lower case.
    """
    facts: dict[str, Any] = {
        "deadLetterReason": delivery.reason,
        "deliveryAttempts": delivery.attempts,
        "lastDeliveryOutcome": delivery.outcome or None,
        "publishTime": _time(delivery.published),
        "lastDeliveryAttemptTime": _time(delivery.last_attempt),
    }
    if schema is Schema.CLOUD_EVENTS:
        facts = {name.lower(): value for name, value in facts.items()}
    known = {name: value for name, value in facts.items() if value is not None}
    return json.dumps([delivery.event.rendered(schema) | known], ensure_ascii=False).encode()


class DeadLetters:
    """Writes what was given up when it falls due; storage that fails is tried again for four (scaled) hours."""

    def __init__(self, store: EventStore, blobs: BlobWriter, timing: Timing) -> None:
        self.written: collections.Counter[str] = collections.Counter()
        """Dead letters in storage, by subscription."""
        self.dropped: collections.Counter[str] = collections.Counter()
        """Dead letters that no storage took in time, by subscription."""
        self._store = store
        self._blobs = blobs
        self._timing = timing
        self._queue = DueQueue(timing.now)
        self._subscriptions: dict[str, Subscription] = {}

    def put(self, subscription: Subscription, delivery: Delivery) -> None:
        """Take over a delivery that was given up and stored as such."""
        self._subscriptions[subscription.name] = subscription
        self._queue.put(delivery)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            for delivery in await self._queue.take():
                await self._write(self._subscriptions[delivery.subscription], delivery)

    async def _write(self, subscription: Subscription, delivery: Delivery) -> None:
        container = subscription.dead_letter_container or ""
        try:
            await self._blobs.write(container, blob_name(delivery), content(delivery, subscription.schema))
        except StorageUnavailableError as error:
            self._postpone(delivery, str(error))
            return
        self._store.forget([delivery])
        self.written[subscription.name] += 1

    def _postpone(self, delivery: Delivery, reason: str) -> None:
        now = self._timing.now()
        if now - (delivery.gave_up or now) > DEAD_LETTER_PATIENCE * self._timing.scale:
            _LOG.error("dead letter dropped", extra={"subscription": delivery.subscription, "reason": reason})
            self._store.forget([delivery])
            self.dropped[delivery.subscription] += 1
            return
        _LOG.warning("dead letter not written yet", extra={"subscription": delivery.subscription, "reason": reason})
        later = dataclasses.replace(delivery, due=now + _RETRY * self._timing.scale)
        self._store.update([later])
        self._queue.put(later)


def _time(epoch: float | None) -> str | None:
    return None if epoch is None else datetime.datetime.fromtimestamp(epoch, datetime.UTC).isoformat()
