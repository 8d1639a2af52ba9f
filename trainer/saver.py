"""Saving beside the training: the step waits only for references to its variables, a thread hashes, writes and publishes."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from trainer.checkpoint import Arrays, Checkpoint
from trainer.store import Store


@dataclasses.dataclass(frozen=True, slots=True)
class _Job:
    meta: dict[str, Any]
    arrays: Callable[[], Arrays]
    best: bool


@dataclasses.dataclass(slots=True)
class Costs:
    """What saving has cost so far."""

    saves: int = 0
    blocked_s: float = 0.0
    """Seconds that training stood still for a checkpoint."""
    written_s: float = 0.0
    """Seconds that the thread was busy beside it."""
    bytes: int = 0
    """Of the last checkpoint."""

    def as_json(self) -> dict[str, float]:
        """Names as in the result of a run."""
        return {"saves": self.saves, "blocked_s": round(self.blocked_s, 4), "written_s": round(self.written_s, 4),
                "checkpoint_bytes": self.bytes}  # fmt: skip


class Saver:
    """One checkpoint is written at a time and in order; a second one waits for the first, so none is ever left out."""

    def __init__(self, store: Store, guard: Callable[[], None], before_publish: Callable[[], None]) -> None:
        """`guard` raises when the run belongs to somebody else by now; `before_publish` makes durable what must not be
        older than the checkpoint (TensorBoard's log)."""
        self.costs = Costs()
        self.durable_step = 0
        """Steps that no kill can take away any more."""
        self.last_written_s = 0.0
        self._store, self._guard, self._before_publish = store, guard, before_publish
        self._jobs: queue.Queue[_Job | None] = queue.Queue(maxsize=1)
        self._failure: BaseException | None = None
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
        self._thread.start()

    def save(
        self, meta: dict[str, Any], snapshot: Callable[[], Callable[[], Arrays]], *, best: bool, wait: bool
    ) -> None:
        """`snapshot` pins the state now and returns what fetches it later. Raises what the thread failed with before."""
        began = time.perf_counter()
        self._raise_failure()
        self._idle.wait()
        self._raise_failure()
        self._idle.clear()
        self._jobs.put(_Job(meta, snapshot(), best))
        if wait:
            self._idle.wait()
        self.costs.saves += 1
        self.costs.blocked_s += time.perf_counter() - began
        if wait:
            self._raise_failure()

    def wait(self) -> None:
        """Until what was saved last is durable; the wait counts as blocked."""
        began = time.perf_counter()
        self._idle.wait()
        self.costs.blocked_s += time.perf_counter() - began
        self._raise_failure()

    def close(self) -> None:
        """Wait for what is being written, and stop the thread."""
        self.stop()
        self._raise_failure()

    def stop(self) -> None:
        """Nothing is written after this, and what failed is not told. Idempotent."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            began = time.perf_counter()
            try:
                self._publish(job)
            except BaseException as error:  # noqa: BLE001  # handed to the training thread, which raises it
                self._failure = error
            self.last_written_s = time.perf_counter() - began
            self.costs.written_s += self.last_written_s
            self._idle.set()

    def _publish(self, job: _Job) -> None:
        if self._failure is not None:
            return
        checkpoint = Checkpoint(job.meta, job.arrays())
        self._guard()
        self._before_publish()
        self.costs.bytes = self._store.publish(checkpoint, best=job.best).bytes
        self.durable_step = checkpoint.step

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
