"""The queue listener: leases, retries and poison queues, by the rules of the WebJobs storage extension."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import dataclasses
import datetime
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from local.functions_host.executor import Call
from local.functions_host.messages import Binary, Input, Json, Outcome, Succeeded, Text
from local.functions_host.settings import QueueSettings

_log = logging.getLogger("Host.Queues")
_FIRST_DELAY_S = 0.1
_POISON = "-poison"
_LONGEST_NAME = 63


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A received message, invisible to others until its lease ends."""

    id: str
    text: str
    """As stored, before base64 is decoded."""
    receipt: str
    dequeue_count: int
    inserted: datetime.datetime | None = None
    expires: datetime.datetime | None = None
    next_visible: datetime.datetime | None = None


class QueueUnavailable(Exception):
    """The storage service did not answer, or not as it should; trying again later may help."""


class LeaseLost(Exception):
    """The message is gone, or someone else has received it since."""


class Queue(Protocol):
    """One storage queue. Every method may raise `QueueUnavailable`."""

    @property
    def name(self) -> str: ...

    async def receive(self, count: int, lease_s: float) -> Sequence[Message]:
        """Up to `count` messages, now invisible for `lease_s`; none when the queue does not exist."""

    async def extend(self, message: Message, receipt: str, seconds: float) -> str:
        """Make the message visible again `seconds` from now; the new receipt. Raises `LeaseLost`."""

    async def delete(self, message: Message, receipt: str) -> None:
        """Raises `LeaseLost`."""

    async def send(self, text: str) -> None:
        """Append a message, as it is to be stored; makes the queue when there is none."""


class QueueListener:
    """Feeds the messages of one queue to one function: at least once, then to the poison queue."""

    def __init__(
        self,
        queue: Queue,
        poison: Queue | None,
        run: Callable[[Call], Awaitable[Outcome]],
        settings: QueueSettings,
        lease_s: float,
        jitter: Callable[[], float],
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        """`jitter` gives 0.8 to 1.2; `ready` returns when functions can run, so no message is spent on a dead worker."""
        self._queue = queue
        self._poison = poison
        self._run = run
        self._settings = settings
        self._lease_s = lease_s
        self._delays = Backoff(settings.max_polling_interval_s, jitter)
        self._ready = ready
        self._running: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._complained = False

    async def listen(self) -> None:
        """Poll until cancelled. Messages that run then are not cancelled: wait for them with `finish`."""
        while True:
            await self._ready()
            while len(self._running) > self._settings.new_batch_threshold:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            messages = await self._receive()
            for message in messages:
                task = asyncio.create_task(self._handle(message))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            if messages:
                self._delays.reset()
            else:
                await self._pause(self._delays.next())

    def wake(self) -> None:
        """Poll now: this host has just put a message into the queue."""
        self._woken.set()

    async def finish(self) -> None:
        """Wait for the messages that run."""
        if self._running:
            await asyncio.wait(self._running)

    async def _receive(self) -> Sequence[Message]:
        try:
            messages = await self._queue.receive(self._settings.batch_size, self._lease_s)
        except QueueUnavailable as error:
            if not self._complained:
                _log.warning("Queue %s cannot be polled: %s", self._queue.name, error)
            self._complained = True
            return ()
        self._complained = False
        return messages

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    async def _handle(self, message: Message) -> None:
        try:
            if message.dequeue_count > self._settings.max_dequeue_count:
                await self._give_up(message, message.receipt)
                return
            data = decode(message.text, base64_encoded=self._settings.base64)
            if data is None:
                _log.error("Message %s of queue %s is not base64.", message.id, self._queue.name)
                await self._give_up(message, message.receipt)
                return
            await self._execute(message, data)
        except LeaseLost:
            _log.info("Message %s of queue %s was taken or deleted meanwhile.", message.id, self._queue.name)
        except QueueUnavailable as error:
            _log.warning("Message %s of queue %s will come again: %s", message.id, self._queue.name, error)

    async def _execute(self, message: Message, data: Input) -> None:
        lease = _Lease(self._queue, message, self._lease_s)
        renewal = asyncio.create_task(lease.renew())
        try:
            outcome = await self._run(call(self._queue.name, message, data))
        finally:
            renewal.cancel()
            await asyncio.wait([renewal])
        if isinstance(outcome, Succeeded):
            await self._queue.delete(message, lease.receipt)
        elif message.dequeue_count >= self._settings.max_dequeue_count:
            await self._give_up(message, lease.receipt)
        else:
            await self._queue.extend(message, lease.receipt, self._settings.visibility_timeout_s)
            if self._settings.visibility_timeout_s == 0:
                self.wake()

    async def _give_up(self, message: Message, receipt: str) -> None:
        """Copy to the poison queue, then delete. Without a poison queue the message stays invisible until its lease ends."""
        if self._poison is None:
            return
        await self._poison.send(message.text)
        _log.error("Message %s of queue %s was moved to %s.", message.id, self._queue.name, self._poison.name)
        await self._queue.delete(message, receipt)


class Backoff:
    """Delay before the next poll of an empty queue: 0.1 s at first, doubling with jitter up to the longest."""

    def __init__(self, longest_s: float, jitter: Callable[[], float]) -> None:
        self._longest_s = longest_s
        self._jitter = jitter
        self._polls = 0

    def next(self) -> float:
        """The delay after one more poll that found nothing."""
        growth = 0.0 if self._polls == 0 else _FIRST_DELAY_S * 2.0 ** (self._polls - 1) * self._jitter()
        delay = _FIRST_DELAY_S + growth
        if delay >= self._longest_s:
            return self._longest_s
        self._polls += 1
        return delay

    def reset(self) -> None:
        """A poll found something."""
        self._polls = 0


def poison_name(queue: str) -> str | None:
    """`<queue>-poison`; none for a poison queue itself and for a name that would be too long (63)."""
    name = queue + _POISON
    return None if queue.endswith(_POISON) or len(name) > _LONGEST_NAME else name


def decode(text: str, *, base64_encoded: bool) -> Input | None:
    """The message's content: text, or bytes that are not UTF-8; None when it should be base64 and is not."""
    if not base64_encoded:
        return Text(text)
    try:
        data = base64.b64decode("".join(text.split()), validate=True)  # .NET ignores white space, and nothing else
    except (binascii.Error, ValueError):
        return None
    try:
        return Text(data.decode())
    except UnicodeDecodeError:
        return Binary(data)


def encode(data: str | bytes, *, base64_encoded: bool) -> str:
    """The inverse of `decode`."""
    raw = data.encode() if isinstance(data, str) else data
    return base64.b64encode(raw).decode() if base64_encoded else raw.decode()


def call(queue: str, message: Message, data: Input) -> Call:
    """Start a function with a message and what the service says of it."""
    metadata: dict[str, Input] = {
        "Id": Text(message.id),
        "PopReceipt": Text(message.receipt),
        "DequeueCount": Json(str(message.dequeue_count)),
    }
    times = {
        "InsertionTime": message.inserted,
        "ExpirationTime": message.expires,
        "NextVisibleTime": message.next_visible,
    }
    metadata |= {name: Json(json.dumps(time.isoformat())) for name, time in times.items() if time}
    return Call(data, f"New queue message detected on '{queue}'.", metadata)


class _Lease:
    """Keeps a message invisible while its function runs: renewed when half of the lease is over."""

    def __init__(self, queue: Queue, message: Message, seconds: float) -> None:
        self._queue = queue
        self._message = message
        self._seconds = seconds
        self.receipt = message.receipt

    async def renew(self) -> None:
        while True:
            await asyncio.sleep(self._seconds / 2)
            try:
                self.receipt = await self._queue.extend(self._message, self.receipt, self._seconds)
            except LeaseLost:
                _log.warning("Message %s of queue %s: the lease is lost.", self._message.id, self._queue.name)
                return
            except QueueUnavailable as error:
                _log.warning("Message %s of queue %s: no renewal: %s", self._message.id, self._queue.name, error)
