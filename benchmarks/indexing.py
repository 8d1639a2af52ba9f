"""How long the worker takes from its start until it knows the app's functions, beside an app with one empty function.

This is the app's own share of a cold start. Each round starts fresh processes, as the Functions host does it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Aim, Figure, compared, rounds
from local.app_settings import app_settings
from local.functions_host.messages import Indexed, IndexFailed
from local.functions_host.workerprocess import WorkerProcess

_APPS = {"app": Path(__file__).parents[1], "no-op": Path(__file__).parent / "apps/no_op"}
_AIM = Aim("ratio", "<=", 1.3)


@dataclasses.dataclass(frozen=True, slots=True)
class _Start:
    seconds: float
    """From the start of the process to the list of functions."""
    processor: float
    """Seconds of processor time of the whole process, which the machine's load changes little."""


def measure(*, quick: bool) -> Sequence[Figure]:
    """The first start of each app does not count: it may have to compile."""
    starts: dict[str, list[_Start]] = {name: [] for name in _APPS}
    for name in rounds(tuple(_APPS), 2 if quick else 12):
        starts[name].append(asyncio.run(_start(_APPS[name])))
    app, no_op = ([start.seconds for start in starts[name][1:]] for name in _APPS)
    app_processor, no_op_processor = ([start.processor for start in starts[name][1:]] for name in _APPS)
    return (
        compared("index, median / no-op app", app, no_op, "s", _AIM),
        compared("index, least / no-op app", app, no_op, "s", _AIM, summary=min),
        compared("index, processor time / no-op app", app_processor, no_op_processor, "s"),
    )


async def _start(app: Path) -> _Start:
    environ = {**os.environ, **app_settings("UseDevelopmentStorage=true")}
    used = _children_seconds()
    worker = WorkerProcess(app, environ, lambda _record: None)
    began = time.perf_counter()
    await worker.start()
    index = await worker.index()
    seconds = time.perf_counter() - began
    await worker.stop(0)
    match index:
        case Indexed():
            return _Start(seconds, _children_seconds() - used)
        case IndexFailed(message):
            raise RuntimeError(f"{app}: {message}")


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
