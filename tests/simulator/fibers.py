"""Invocations that stop before every call of a port and go on when they are told, and how that call is to go."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable

import greenlet  # type: ignore[import-untyped]  # its stubs are a package of their own

from tests.fakes import Crash, Fault
from tidegate.errors import TidegateError

ACK = ("Host", "ack")
"""The invocation is over; its message or event is about to be acknowledged."""
type PortCall = tuple[str, str]


@dataclasses.dataclass(slots=True, eq=False)
class Invocation:
    """One run of a function, on a fiber of its own."""

    name: str
    started: datetime.datetime
    fiber: greenlet.greenlet
    call: PortCall = ("Host", "start")
    """What it is about to do."""
    stalled_until: datetime.datetime | None = None
    error: str = ""
    """Why it failed, as the host sees it; empty: it did not."""
    dead: bool = False
    """Its process died: nobody was told anything."""
    over: bool = False
    calls: int = 0
    leased: bool = False
    """Its last write of a record was made, and left the record leased."""
    asked: PortCall | None = None
    """The call it made before this one."""


class Fibers:
    """Runs invocations call by call. `fault` is the hook of every fake."""

    def __init__(self) -> None:
        self._main = greenlet.getcurrent()

    def fault(self, port: str, method: str) -> Fault:
        """Stop here until the driver says how the call goes; outside of invocations every call is fine."""
        if greenlet.getcurrent() is self._main:
            return Fault.OK
        answer = self._main.switch((port, method))
        assert isinstance(answer, Fault)
        return answer

    def start(self, name: str, body: Callable[[], None], now: datetime.datetime) -> Invocation:
        """Begin an invocation and run it up to its first call."""
        invocation = Invocation(name, now, greenlet.greenlet(self._run))
        self._switch(invocation, invocation, body)
        return invocation

    def step(self, invocation: Invocation, fault: Fault) -> None:
        """Let the call take place as told, and run up to the next one."""
        invocation.calls += 1
        invocation.asked = invocation.call
        self._switch(invocation, fault)

    def _switch(self, invocation: Invocation, *values: object) -> None:
        call = invocation.fiber.switch(*values)
        if not invocation.over:
            invocation.call = call

    def _run(self, invocation: Invocation, body: Callable[[], None]) -> None:
        try:
            body()
            if self.fault(*ACK) is not Fault.OK:
                invocation.dead = True
        except Crash:
            invocation.dead = True
        except TidegateError as error:
            invocation.error = f"{type(error).__name__}: {error}"
        invocation.over = True
