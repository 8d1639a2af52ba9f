"""Faults on the way to endpoints, on demand: deliveries duplicated, reordered, lost or late."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal, override

from local.cloud.event_grid_documents import check
from local.cloud.event_grid_endpoints import Endpoints
from local.cloud.event_grid_messages import Validation
from local.cloud.event_grid_schedule import Answer
from local.cloud.event_grid_store import Delivery
from local.cloud.event_grid_subscriptions import Subscription

MOST_HELD = 16
"""Deliveries that can be held back at once: as many as one subscription has in flight."""


@dataclasses.dataclass(frozen=True, slots=True)
class Faults:
    """What happens to deliveries. Seconds are real ones, the time scale does not shorten them."""

    duplicates: int = 0
    """Further copies of each delivery, sent together with it; Event Grid goes by the first one's answer."""
    hold: int = 0
    """Deliveries are held back until there are so many, then arrive one after another in the `order`."""
    hold_seconds: float = 2.0
    """Fewer are released after so long."""
    order: Literal["reverse", "random"] = "reverse"
    seed: int = 0
    drop: float = 0.0
    """Part of the deliveries (0 to 1) that get lost while Event Grid believes them delivered."""
    delay_seconds: float = 0.0

    def described(self) -> dict[str, Any]:
        """In the words of the admin endpoint's request."""
        names = {member: name for name, member in _MEMBERS.items()}
        return {names.get(member, member): value for member, value in dataclasses.asdict(self).items()}


_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "duplicates": {"type": "integer", "minimum": 0, "maximum": 100},
        "hold": {"type": "integer", "minimum": 0, "maximum": MOST_HELD},
        "holdSeconds": {"type": "number", "minimum": 0, "maximum": 60},
        "order": {"enum": ["reverse", "random"]},
        "seed": {"type": "integer"},
        "drop": {"type": "number", "minimum": 0, "maximum": 1},
        "delaySeconds": {"type": "number", "minimum": 0, "maximum": 60},
    },
}
_MEMBERS: Mapping[str, str] = {"holdSeconds": "hold_seconds", "delaySeconds": "delay_seconds"}


def faults(raw: Mapping[str, Any]) -> Faults:
    """Read the admin endpoint's request; an InvalidDocumentError names the field and the fault."""
    check(raw, _SCHEMA, "faults")
    return Faults(**{_MEMBERS.get(name, name): value for name, value in raw.items()})


class FaultyEndpoints(Endpoints):
    """Endpoints behind faults; without faults the same as the endpoints themselves."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._lanes: dict[str, _Lane] = {}
        self.lost: collections.Counter[str] = collections.Counter()
        """Events dropped, by subscription."""
        self.copies: collections.Counter[str] = collections.Counter()
        """Events sent once more, by subscription."""

    def set(self, subscription: str, wanted: Faults) -> None:
        """From now on; what is held back is released."""
        self.clear(subscription)
        self._lanes[subscription] = _Lane(wanted)

    def clear(self, subscription: str) -> None:
        """No faults from now on; what is held back is released."""
        if (lane := self._lanes.pop(subscription, None)) is not None:
            lane.release()

    def of(self, subscription: str) -> Faults:
        """The faults in force."""
        lane = self._lanes.get(subscription)
        return Faults() if lane is None else lane.faults

    @override
    async def validate(self, subscription: Subscription, code: str, url: str) -> Validation:
        return await self._endpoints.validate(subscription, code, url)

    @override
    async def notify(self, subscription: Subscription, batch: Sequence[Delivery]) -> Answer:
        lane = self._lanes.get(subscription.name)
        if lane is None:
            return await self._endpoints.notify(subscription, batch)
        if lane.draw() < lane.faults.drop:
            self.lost[subscription.name] += len(batch)
            return Answer(200, "Delivered", "lost on demand")
        await asyncio.sleep(lane.faults.delay_seconds)
        await lane.turn()
        try:
            return await self._send_copies(subscription, batch, lane.faults.duplicates)
        finally:
            lane.done()

    async def _send_copies(self, subscription: Subscription, batch: Sequence[Delivery], further: int) -> Answer:
        self.copies[subscription.name] += further * len(batch)
        answers = await asyncio.gather(*(self._endpoints.notify(subscription, batch) for _ in range(1 + further)))
        return answers[0]


class _Lane:
    """One subscription's faults and the deliveries it holds back."""

    def __init__(self, wanted: Faults) -> None:
        self.faults = wanted
        self._random = random.Random(wanted.seed)
        self._held: list[asyncio.Future[None]] = []
        self._line: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def draw(self) -> float:
        return self._random.random()

    async def turn(self) -> None:
        """Wait until this delivery may go."""
        if self.faults.hold < 2:
            return
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._held.append(place)
        if len(self._held) >= self.faults.hold:
            self.release()
        elif self._timer is None:
            self._timer = loop.call_later(self.faults.hold_seconds, self.release)
        await place

    def release(self) -> None:
        """Put what is held in line, in the wanted order."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held = self._held, []
        held.reverse()
        if self.faults.order == "random":
            self._random.shuffle(held)
        idle = not self._line
        self._line.extend(held)
        if idle:
            self._next()

    def done(self) -> None:
        """The delivery whose turn it was has arrived: the next one may go."""
        if self._line:
            del self._line[0]
            self._next()

    def _next(self) -> None:
        if self._line and not self._line[0].done():
            self._line[0].set_result(None)
