"""What the host and its worker say to each other: plain data that crosses a process boundary, with neither side's libraries."""

from __future__ import annotations

import copyreg
import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclasses.dataclass(frozen=True, slots=True)
class Json:
    value: str
    """JSON text, not yet parsed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Binary:
    value: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as the worker wants it: lower-case header names, repeated query values joined with a comma."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    route: Mapping[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    headers: tuple[tuple[str, str], ...]
    """In order; `set-cookie` may be repeated."""
    body: bytes


type Input = Text | Json | Binary | HttpRequest
type Output = Text | Json | Binary | HttpResponse


@dataclasses.dataclass(frozen=True, slots=True)
class Binding:
    name: str
    type: str
    """As in function.json: `httpTrigger`, `queue`, ..."""
    direction: Literal["in", "out"]
    settings: Mapping[str, Any]
    """The rest of the raw binding: `route`, `queueName`, `connection`, `schedule`, ..."""


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """A function's own retry policy; all delays in seconds."""

    max_retries: int
    """-1 is for ever."""
    strategy: Literal["fixed_delay", "exponential_backoff"]
    delay_s: float = 0
    minimum_s: float = 0
    maximum_s: float = 2147483647


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    name: str
    id: str
    bindings: tuple[Binding, ...]
    retry: Retry | None = None

    @property
    def trigger(self) -> Binding:
        """The one binding that starts the function; the worker refuses to index a function that has none."""
        return next(each for each in self.bindings if each.type.lower().endswith("trigger"))

    @property
    def outputs(self) -> tuple[Binding, ...]:
        return tuple(each for each in self.bindings if each.direction == "out")


@dataclasses.dataclass(frozen=True, slots=True)
class Invocation:
    """One attempt to run one function."""

    id: str
    function_id: str
    trigger: str
    """Name of the parameter that `data` is for."""
    data: Input
    metadata: Mapping[str, Input]
    traceparent: str = ""
    tracestate: str = ""
    attempt: int = 0
    """0 for the first run, n for the nth retry of the function's own policy."""
    max_retries: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Succeeded:
    returned: Output | None = None
    outputs: tuple[tuple[str, Output], ...] = ()
    """Values of the output parameters that the function set, by binding name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    message: str
    traceback: str = ""


type Outcome = Succeeded | Failed


@dataclasses.dataclass(frozen=True, slots=True)
class Indexed:
    functions: tuple[Function, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class IndexFailed:
    """`function_app.py` could not be imported, or what it declares is refused by the worker library."""

    message: str
    traceback: str = ""


type Index = Indexed | IndexFailed


@dataclasses.dataclass(frozen=True, slots=True)
class Completed:
    invocation_id: str
    outcome: Outcome


@dataclasses.dataclass(frozen=True, slots=True)
class Logged:
    """A log record of the app, written while `invocation_id` ran (None outside any invocation)."""

    invocation_id: str | None
    level: int
    logger: str
    message: str
    exception: str | None


type FromWorker = Indexed | IndexFailed | Completed | Logged
type ToWorker = Invocation


def _by_constructor(message: Any) -> tuple[type, tuple[Any, ...]]:
    return type(message), tuple(getattr(message, name) for name in message.__match_args__)


# Two of these cross the process boundary for every event; a frozen dataclass's own pickling takes three times as long.
for _message in (Text, Json, Binary, HttpRequest, HttpResponse, Invocation, Succeeded, Failed, Completed, Logged):
    copyreg.pickle(_message, _by_constructor)
