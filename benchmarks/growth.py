"""What it costs when little is stored, and when much is: a new push up to its durable record, one step of work, and the timer's
look for work that nobody does.

Two stacks run side by side, one with few image records and one with many, and are measured in turn.
"""

from __future__ import annotations

import collections
import datetime
import hashlib
import re
import time
import uuid
from collections.abc import Sequence

from benchmarks.figures import Aim, Figure, compared, rounds
from benchmarks.records import fill, opened
from benchmarks.stage import fresh, push_event, staged
from local.site import Site
from tidegate.adapters.storage.table_state import TableState

_AIM = Aim("ratio", "<=", 1.1)
_STEP = re.compile(rb"Executed 'Functions\.deferred_event' \((\w+), Id=[^,]*, Duration=(\d+)ms\)")
_STEP_LIMIT_S = 30
_REPOSITORY = "tested/growth"


def measure(*, quick: bool) -> Sequence[Figure]:
    """The first round of each does not count: tokens are fetched and tables made."""
    few, many, count, events = (10, 100, 2, 2) if quick else (10, 10_000, 9, 10)
    pushes: dict[int, list[float]] = {few: [], many: []}
    steps: dict[int, list[float]] = {few: [], many: []}
    looks: dict[int, list[float]] = {few: [], many: []}
    with staged() as small, fresh() as large:
        sites = {few: small, many: large}
        for stored, site in sites.items():
            fill(site.stack.storage_connection, stored)
        worked = {stored: _Worked(site) for stored, site in sites.items()}
        stores = {stored: opened(site.stack.storage_connection) for stored, site in sites.items()}
        for number, stored in enumerate(rounds((few, many), count)):
            for _ in range(events):
                push = _push(sites[stored])
                step = worked[stored].next()
                look = _look(stores[stored])
                if number >= len(sites):
                    pushes[stored].append(push)
                    steps[stored].append(step)
                    looks[stored].append(look)
    suffix = f"{many} records / {few} records"
    return (
        compared(f"new push, at {suffix}", pushes[many], pushes[few], "ms", _AIM),
        compared(f"work step, at {suffix}", steps[many], steps[few], "ms", _AIM),
        compared(f"look for stalled work, at {suffix}", looks[many], looks[few], "ms", _AIM),
    )


def _push(site: Site) -> float:
    """Milliseconds until a push that nobody has heard of is answered, which is when its record is durable.

    There is no such image, so the work is one step: the registry is asked, and the image is rejected.
    """
    identity = str(uuid.uuid4())
    digest = f"sha256:{hashlib.sha256(identity.encode()).hexdigest()}"
    event = push_event(_REPOSITORY, identity, digest, identity, datetime.datetime.now(datetime.UTC).isoformat())
    began = time.perf_counter()
    answer = site.deliver(event)
    took = time.perf_counter() - began
    if answer.status != 202:
        raise RuntimeError(f"the event was answered with {answer.status} {answer.body.decode(errors='replace')[:300]}")
    return took * 1000


def _look(store: TableState) -> float:
    """Milliseconds until every record that may have something to do is named."""
    began = time.perf_counter()
    collections.deque(store.watched(datetime.datetime.now(datetime.UTC)), maxlen=0)
    return (time.perf_counter() - began) * 1000


class _Worked:
    """Reads the Functions host's log for the steps of work that ended."""

    def __init__(self, site: Site) -> None:
        self._log = site.stack.state / "logs/functions.log"
        self._read = self._log.stat().st_size

    def next(self) -> float:
        """Milliseconds of the next step, as the host measured them; waits for its end."""
        ends = time.monotonic() + _STEP_LIMIT_S
        while time.monotonic() < ends:
            with self._log.open("rb") as log:
                log.seek(self._read)
                fresh = log.read()
            if found := _STEP.search(fresh):
                self._read += found.end()
                if found[1] != b"Succeeded":
                    raise RuntimeError(fresh.decode(errors="replace")[-1000:])
                return float(found[2])
            time.sleep(0.02)
        raise RuntimeError(f"no step of work within {_STEP_LIMIT_S} s")
