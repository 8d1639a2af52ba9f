"""Time as Event Grid sees it, and deliveries in the order they fall due, taken in batches."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import heapq
import time
from collections.abc import Callable

from local.cloud.event_grid_store import Delivery


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """Time as Event Grid sees it; a test passes its own."""

    now: Callable[[], float] = time.time
    """Epoch seconds."""
    spread: Callable[[], float] = lambda: 0.0
    """The random part of a delay, 0 to 1."""
    scale: float = 1.0
    """Factor on every delay and time to live: 0.01 makes a day of retries a quarter of an hour."""


class DueQueue:
    """A heap of deliveries by due time. One taker; any number of putters in the same event loop.

    Batching as in "Event Grid message delivery and retry": never more than `max_events`; the preferred size is passed
    only by a single event that is larger; nothing waits for a batch to fill.
    """

    def __init__(self, now: Callable[[], float], max_events: int = 1, preferred_bytes: int = 64 * 1024) -> None:
        self._now = now
        self._max_events = max_events
        self._preferred_bytes = preferred_bytes
        self._heap: list[tuple[float, int, Delivery]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> float | None:
        """Epoch seconds of the earliest delivery."""
        return self._heap[0][0] if self._heap else None

    def put(self, delivery: Delivery) -> None:
        """Add a delivery; a taker that waits looks again."""
        heapq.heappush(self._heap, (delivery.due, delivery.id, delivery))
        self._changed.set()

    async def take(self) -> list[Delivery]:
        """Wait until something is due, then take as much of it as makes one batch."""
        while (due := self.next_due) is None or due > self._now():
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else due - self._now()):
                    await self._changed.wait()
        batch = [heapq.heappop(self._heap)[2]]
        size = batch[0].size
        while self._fits(len(batch), size):
            batch.append(heapq.heappop(self._heap)[2])
            size += batch[-1].size
        return batch

    def _fits(self, count: int, size: int) -> bool:
        if not self._heap or count >= self._max_events:
            return False
        due, _, candidate = self._heap[0]
        return due <= self._now() and size + candidate.size <= self._preferred_bytes
