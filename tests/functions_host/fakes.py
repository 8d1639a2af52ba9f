"""Stand-ins for the host's parts: a runner that records, a queue in memory, a clock that is told the time."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from local.functions_host.executor import Call
from local.functions_host.messages import Binding, Function, Invocation, Outcome, Retry, Succeeded
from local.functions_host.queues import LeaseLost, Message, QueueUnavailable


def function(
    name: str,
    trigger: str,
    *outputs: str,
    retry: Retry | None = None,
    **settings: Any,
) -> Function:
    """A function with one trigger and outputs given as `name:type`."""
    bindings = [Binding("trigger", trigger, "in", settings)]
    bindings += [_output(*each.split(":")) for each in outputs]
    return Function(name, f"id of {name}", tuple(bindings), retry)


def _output(name: str, kind: str) -> Binding:
    return Binding(name, kind, "out", {"queueName": name})


class Runner:
    """Runs nothing; answers each call with what `answer` says."""

    def __init__(self, answer: Callable[[Call], Outcome] = lambda _: Succeeded()) -> None:
        self.calls: list[tuple[str, Call]] = []
        self._answer = answer

    async def run(self, function: Function, call: Call) -> Outcome:
        self.calls.append((function.name, call))
        return self._answer(call)


class Invoker:
    """A worker whose invocations end as `behave` says."""

    def __init__(self, behave: Callable[[Invocation], Awaitable[Outcome]]) -> None:
        self.invocations: list[Invocation] = []
        self.kills = 0
        self._behave = behave

    async def invoke(self, invocation: Invocation) -> Outcome:
        self.invocations.append(invocation)
        return await self._behave(invocation)

    def kill(self) -> None:
        self.kills += 1


class Outputs:
    """Records what is written; fails as told."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.written: list[tuple[str, Succeeded]] = []
        self._failure = failure

    async def write(self, function: Function, succeeded: Succeeded) -> None:
        if self._failure:
            raise self._failure
        self.written.append((function.name, succeeded))


@dataclasses.dataclass
class Stored:
    text: str
    dequeue_count: int = 0
    receipt: int = 0
    visible_in: float = 0
    """Seconds that the last receive or extend asked for."""


class MemoryQueue:
    """A `queues.Queue`: what is received stays leased until it is extended by 0 seconds or deleted."""

    def __init__(self, name: str = "jobs", texts: Sequence[str] = (), dequeue_count: int = 0) -> None:
        self.name = name
        self.messages = {f"m{n}": Stored(text, dequeue_count) for n, text in enumerate(texts)}
        self.extended: list[float] = []
        self.polls = 0
        self.fault: Literal["unavailable", "taken"] | None = None

    async def receive(self, count: int, lease_s: float) -> Sequence[Message]:
        self.polls += 1
        self._check()
        received: list[Message] = []
        for key, stored in self.messages.items():
            if stored.visible_in == 0 and len(received) < count:
                stored.visible_in, stored.dequeue_count = lease_s, stored.dequeue_count + 1
                stored.receipt += 1
                received.append(Message(key, stored.text, str(stored.receipt), stored.dequeue_count))
        return received

    async def extend(self, message: Message, receipt: str, seconds: float) -> str:
        stored = self._held(message, receipt)
        stored.receipt += 1
        stored.visible_in = seconds
        self.extended.append(seconds)
        return str(stored.receipt)

    async def delete(self, message: Message, receipt: str) -> None:
        self._held(message, receipt)
        del self.messages[message.id]

    async def send(self, text: str) -> None:
        self._check()
        self.messages[f"m{len(self.messages)}"] = Stored(text)

    @property
    def texts(self) -> list[str]:
        return [each.text for each in self.messages.values()]

    def _held(self, message: Message, receipt: str) -> Stored:
        self._check()
        stored = self.messages.get(message.id)
        if stored is None or str(stored.receipt) != receipt:
            raise LeaseLost(message.id)
        return stored

    def _check(self) -> None:
        if self.fault == "unavailable":
            raise QueueUnavailable("no answer")
        if self.fault == "taken":
            raise LeaseLost("someone else has it")


class Clock:
    """Time stands still but for `sleep`, which moves it and returns at once."""

    def __init__(self, now: datetime.datetime) -> None:
        self._now = now
        self.slept: list[float] = []

    def now(self) -> datetime.datetime:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += datetime.timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.move(seconds)


async def eventually(condition: Callable[[], object], limit_s: float = 5) -> None:
    """A bounded poll, inside an event loop."""
    for _ in range(round(limit_s / 0.001)):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"not within {limit_s} s")
