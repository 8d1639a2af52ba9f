"""Virtual time, endpoints that answer as told, storage in memory: Event Grid without network and without waiting."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import selectors
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, override

from local.cloud.event_grid_dead_letters import BlobWriter, StorageUnavailableError
from local.cloud.event_grid_endpoints import Endpoints
from local.cloud.event_grid_events import Event, Schema
from local.cloud.event_grid_messages import Validated, Validation
from local.cloud.event_grid_queue import Timing
from local.cloud.event_grid_schedule import Answer
from local.cloud.event_grid_service import EventGrid
from local.cloud.event_grid_store import Delivery, EventStore
from local.cloud.event_grid_subscriptions import FunctionEndpoint, Subscription, WebhookEndpoint

TOPIC = "/subscriptions/s/resourceGroups/g/providers/Microsoft.EventGrid/topics/outcomes"
EPOCH = 1_764_000_000.0
"""2025-11-24T16:00:00Z: when virtual time begins."""
WEBHOOK = Subscription(
    "to-webhook", TOPIC, WebhookEndpoint("http://127.0.0.1:1/"), dead_letter_container="dead-letters"
)
FUNCTION = dataclasses.replace(WEBHOOK, name="to-function", endpoint=FunctionEndpoint("image_pushed"))

_VECTORS = Path(__file__).with_name("vectors")


def vector(name: str) -> Any:
    """A sample of the documentation."""
    return json.loads((_VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def raw_event(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An event as a publisher writes it."""
    return {
        "id": f"event-{number}",
        "subject": f"training/litter:v{number}",
        "eventType": "Tidegate.ImagePromoted",
        "eventTime": "2026-11-25T10:00:00Z",
        "data": {"number": number},
        "dataVersion": "1.0",
    } | changes


def event(**changes: Any) -> Event:
    """An accepted event in the Event Grid schema."""
    return Event(Schema.EVENT_GRID, raw_event() | {"topic": TOPIC, "metadataVersion": "1"} | changes)


class _SkippingSelector(selectors.DefaultSelector):
    """Instead of waiting for the next timer it moves the loop's clock there; there is no input to wait for."""

    skipped = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits and nothing is going to happen")
        if not ready and timeout:
            self.skipped += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._selector_in_use = _SkippingSelector()
        super().__init__(self._selector_in_use)

    @override
    def time(self) -> float:
        return self._selector_in_use.skipped


def in_virtual_time[T](main: Coroutine[Any, Any, T]) -> T:
    """Run to the end at once, however long it sleeps."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)


def virtual_now() -> float:
    """Epoch seconds in virtual time."""
    return EPOCH + asyncio.get_running_loop().time()


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One delivery request."""

    at: float
    """Seconds since the beginning of virtual time."""
    subscription: str
    ids: tuple[str, ...]
    attempts: int
    """`aeg-delivery-count`."""


class FakeEndpoints(Endpoints):
    """Answers with what `script` gives for the events' ids; remembers every request."""

    def __init__(self, script: Callable[[Call], Answer | float] = lambda _: Answer.of_status(200)) -> None:
        """A number instead of an answer: no answer for so many seconds, then 200."""
        self.calls: list[Call] = []
        self.validations: list[float] = []
        self.consent: list[Validation] = []
        """Answers to handshakes, in order; when it is empty every handshake succeeds."""
        self._script = script

    @override
    async def validate(self, subscription: Subscription, code: str, url: str) -> Validation:
        self.validations.append(virtual_now() - EPOCH)
        return self.consent.pop(0) if self.consent else Validated()

    @override
    async def notify(self, subscription: Subscription, batch: Sequence[Delivery]) -> Answer:
        ids = tuple(str(delivery.event.body["id"]) for delivery in batch)
        call = Call(virtual_now() - EPOCH, subscription.name, ids, max(delivery.attempts for delivery in batch))
        self.calls.append(call)
        answer = self._script(call)
        if isinstance(answer, Answer):
            return answer
        await asyncio.sleep(answer)
        return Answer.of_status(200)


class MemoryBlobs(BlobWriter):
    """A storage account whose first writes may fail."""

    def __init__(self, failures: int = 0) -> None:
        self.blobs: dict[tuple[str, str], Any] = {}
        self.written_at: list[float] = []
        self._failures = failures

    @override
    async def write(self, container: str, name: str, content: bytes) -> None:
        if self._failures:
            self._failures -= 1
            raise StorageUnavailableError("down")
        self.written_at.append(virtual_now() - EPOCH)
        self.blobs[container, name] = json.loads(content)

    def letters(self) -> list[dict[str, Any]]:
        """The events of all dead letters."""
        return [letter for letters in self.blobs.values() for letter in letters]


@contextlib.asynccontextmanager
async def running_grid(
    path: Path,
    endpoints: Endpoints,
    *subscriptions: Subscription,
    blobs: BlobWriter | None = None,
    scale: float = 1.0,
    spread: float = 0.0,
) -> AsyncIterator[EventGrid]:
    """Event Grid in virtual time, on the store at the path."""
    timing = Timing(now=virtual_now, spread=lambda: spread, scale=scale)
    grid = EventGrid(EventStore(path), endpoints, blobs or MemoryBlobs(), timing, lambda name, code: f"{name}?{code}")
    for subscription in subscriptions:
        grid.subscribe(subscription)
    async with grid.running():
        yield grid


async def until(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Poll in real time until something holds; AssertionError when it never does."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def statuses(*codes: int) -> Callable[[Call], Answer]:
    """Answer with each status in turn; the last repeats."""
    remaining: Iterator[int] = iter(codes)
    last = codes[0]

    def answer(_: Call) -> Answer:
        nonlocal last
        last = next(remaining, last)
        return Answer.of_status(last)

    return answer
