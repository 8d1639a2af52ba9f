"""A work queue in virtual time: at least once, no order promised beyond the time of visibility."""

from __future__ import annotations

import dataclasses
import datetime

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
        self._sent = 0

    @call
    def send(self, message: str, delay: float) -> None:
        if len(message.encode()) > _MAX_BYTES:
            raise PermanentError(f"message of {len(message.encode())} bytes, more than {_MAX_BYTES}")
        self._sent += 1
        visible_at = self._clock.now() + datetime.timedelta(seconds=delay)
        self._messages[self._sent] = _Message(self._sent, message, visible_at)

    def receive(self, visibility: float = 600) -> Delivery | None:
        """Hand over the message visible the longest, and hide it for `visibility` seconds; None: none is visible."""
        now = self._clock.now()
        visible = [each for each in self._messages.values() if each.visible_at <= now]
        if not visible:
            return None
        message = min(visible, key=lambda each: (each.visible_at, each.id))
        message.count += 1
        message.visible_at = now + datetime.timedelta(seconds=visibility)
        return Delivery(message.id, message.text, message.count)

    def visible(self) -> tuple[str, ...]:
        """Texts that could be received now, for drivers that choose the order themselves."""
        return tuple(each.text for each in self._messages.values() if each.visible_at <= self._clock.now())

    def delete(self, delivery: Delivery) -> None:
        """The handler succeeded. Twice: nothing happens."""
        self._messages.pop(delivery.id, None)

    def release(self, delivery: Delivery, delay: float = 0) -> None:
        """The handler failed: visible again after `delay` seconds."""
        if delivery.id in self._messages:
            self._messages[delivery.id].visible_at = self._clock.now() + datetime.timedelta(seconds=delay)

    def duplicate(self, delivery: Delivery) -> None:
        """Make the message visible now although it is being handled, as after an expired visibility."""
        self.release(delivery)

    def next_at(self) -> datetime.datetime | None:
        """When the next message becomes visible; None: the queue is empty."""
        return min((each.visible_at for each in self._messages.values()), default=None)

    def __len__(self) -> int:
        return len(self._messages)
