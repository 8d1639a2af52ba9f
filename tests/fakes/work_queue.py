"""A work queue in virtual time: at least once, no order promised beyond the time of visibility."""

from __future__ import annotations

import dataclasses
import datetime
import heapq

from tests.fakes.clock import FakeClock
from tests.fakes.faults import FakePort, FaultHook, call, healthy
from tidegate.errors import PermanentError

_MAX_BYTES = 48 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """One handing-over of a message."""

    id: int
    text: str
    count: int
    """How often it was handed over, this time included."""


@dataclasses.dataclass(slots=True)
class _Message:
    id: int
    text: str
    visible_at: datetime.datetime
    count: int = 0


class FakeQueue(FakePort):
    """`send` is the port; the rest is what the platform does with the queue."""

    port = "WorkQueue"

    def __init__(self, clock: FakeClock, fault: FaultHook = healthy) -> None:
        super().__init__(fault)
        self._clock = clock
        self._messages: dict[int, _Message] = {}
        self._order: list[tuple[datetime.datetime, int]] = []
        """When messages become visible, the first first; entries that are no longer so are passed over."""
        self._sent = 0

    @call
    def send(self, message: str, delay: float) -> None:
        if len(message.encode()) > _MAX_BYTES:
            raise PermanentError(f"message of {len(message.encode())} bytes, more than {_MAX_BYTES}")
        self._sent += 1
        self._messages[self._sent] = _Message(self._sent, message, self._clock.now())
        self._hide(self._messages[self._sent], delay)

    def receive(self, visibility: float = 600) -> Delivery | None:
        """Hand over the message visible the longest, and hide it for `visibility` seconds; None: none is visible."""
        message = self._next()
        if message is None or message.visible_at > self._clock.now():
            return None
        return self._handed_over(message, visibility)

    def visible(self) -> tuple[str, ...]:
        """Texts that could be received now, for drivers that choose the order themselves."""
        return tuple(each.text for each in self._messages.values() if each.visible_at <= self._clock.now())

    def delete(self, delivery: Delivery) -> None:
        """The handler succeeded. Twice: nothing happens."""
        self._messages.pop(delivery.id, None)

    def release(self, delivery: Delivery, delay: float = 0) -> None:
        """The handler failed: visible again after `delay` seconds."""
        if delivery.id in self._messages:
            self._hide(self._messages[delivery.id], delay)

    def duplicate(self, delivery: Delivery) -> None:
        """Make the message visible now although it is being handled, as after an expired visibility."""
        self.release(delivery)

    def next_at(self) -> datetime.datetime | None:
        """When the next message becomes visible; None: the queue is empty."""
        message = self._next()
        return message.visible_at if message else None

    def _handed_over(self, message: _Message, visibility: float) -> Delivery:
        message.count += 1
        self._hide(message, visibility)
        return Delivery(message.id, message.text, message.count)

    def _hide(self, message: _Message, seconds: float) -> None:
        message.visible_at = self._clock.now() + datetime.timedelta(seconds=seconds)
        heapq.heappush(self._order, (message.visible_at, message.id))

    def _next(self) -> _Message | None:
        """The message that is visible first, of several the one sent first."""
        while self._order:
            at, identity = self._order[0]
            message = self._messages.get(identity)
            if message is not None and message.visible_at == at:
                return message
            heapq.heappop(self._order)
        return None

    def __len__(self) -> int:
        return len(self._messages)
