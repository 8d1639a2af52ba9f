"""The fault palette: what can go wrong around one call of a port, injected through one hook."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import ClassVar, Concatenate

from tidegate.errors import PermanentError, TransientError


class Fault(enum.Enum):
    """How a call of a port goes."""

    OK = "ok"
    PERMANENT = "permanent"
    """Refused; nothing happened."""
    TRANSIENT = "transient"
    """'Not now', with a time to wait; nothing happened."""
    FAIL_BEFORE = "fail-before"
    """No answer, and nothing happened."""
    FAIL_AFTER = "fail-after"
    """No answer, but the effect took place: the fault that finds most bugs."""
    CRASH_BEFORE = "crash-before"
    """The process dies before the effect."""
    CRASH_AFTER = "crash-after"
    """The process dies after the effect, before anybody learns of it."""


class Crash(BaseException):
    """The process is gone: nothing below the test catches this."""


type FaultHook = Callable[[str, str], Fault]
"""`hook(port, method)`, asked once for every call before it does anything: `hook("StateStore", "save")`."""


def healthy(port: str, method: str) -> Fault:
    """No faults."""
    return Fault.OK


class FakePort:
    """What every fake has: its port's name, the hook, and the calls it got, in order, failed ones too."""

    port: ClassVar[str]

    def __init__(self, fault: FaultHook = healthy) -> None:
        self.fault = fault
        self.calls: list[tuple[str, tuple[object, ...]]] = []

    def called(self, method: str) -> int:
        """How often a method was called."""
        return sum(name == method for name, _ in self.calls)


def call[Fake: FakePort, **P, R](method: Callable[Concatenate[Fake, P], R]) -> Callable[Concatenate[Fake, P], R]:
    """Make a method of a fake a port call: recorded, and subject to the hook."""
    name = method.__name__

    def faulty(self: Fake, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self.calls.append((name, (*args, *kwargs.values())))
        fault = self.fault(self.port, name)
        _raise_if(fault, f"{self.port}.{name}", before=True)
        result = method(self, *args, **kwargs)
        _raise_if(fault, f"{self.port}.{name}", before=False)
        return result

    return faulty


def _raise_if(fault: Fault, where: str, *, before: bool) -> None:
    match fault:
        case Fault.PERMANENT if before:
            raise PermanentError(f"{where}: refused (injected)")
        case Fault.TRANSIENT if before:
            raise TransientError(f"{where}: not now (injected)", retry_after=5)
        case Fault.FAIL_BEFORE if before:
            raise TransientError(f"{where}: no answer, no effect (injected)")
        case Fault.FAIL_AFTER if not before:
            raise TransientError(f"{where}: no answer after the effect (injected)")
        case Fault.CRASH_BEFORE if before:
            raise Crash(where)
        case Fault.CRASH_AFTER if not before:
            raise Crash(where)
        case _:
            return
