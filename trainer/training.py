"""A run from its start or its last checkpoint to its end, its export, or its eviction."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from typing import Any

from trainer.checkpoint import Checkpoint, state_digest
from trainer.config import Config
from trainer.datasets import Data
from trainer.engine import Engine
from trainer.fingerprint import Fingerprint, differences
from trainer.history import History
from trainer.notices import Notice
from trainer.progress import Progress
from trainer.refusal import RefusedError
from trainer.saver import Saver
from trainer.store import Store
from trainer.summaries import Summaries
from trainer.workdir import Workdir


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended."""

    finished: bool
    """False: evicted; the same command resumes it."""
    step: int
    digest: str
    """SHA-256 over all variables, optimizer slots, seeds and metrics."""
    history: History
    exact: bool
    facts: dict[str, Any]
    """Measured, of this process: seconds, steps, what saving cost."""


class Training:
    """One process's part of a run. Everything that decides the numbers is in the engine's variables, `step` and `history`."""

    def __init__(
        self, engine: Engine, store: Store, where: Workdir | None, progress: Progress, notice: Notice, here: Fingerprint,
        guard: Callable[[], None],
    ) -> None:  # fmt: skip
        """`where` the logs lie; None for workers that only compute: they write nothing."""
        self.engine, self.config = engine, engine.config
        self._store, self._progress, self._notice, self._here = store, progress, notice, here
        self.step = 0
        self.history = History()
        self._inexact: list[str] = []
        self._restore_s = 0.0
        self._restore(store.newest())
        self._started_at = self.step
        self._where = where
        self._summaries = Summaries(where.folder / "logs", self.step) if where else None
        self._saver = Saver(store, guard, self._flush) if where else None
        if self._saver is not None:
            self._saver.durable_step = self.step
        self._step_s = 0.0
        self._save_step, self._save_time = self.step, time.monotonic()
        self._saved_state = (self.step, len(self.history.epochs))
        if not engine.agreed(self.step):
            raise RefusedError(
                "the workers found different checkpoints; the work directory must be the same for all of them"
            )

    # -- Begin

    def _restore(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is None:
            self._progress.tell("started", config=self.config.name, total_steps=self.engine.total_steps)
            return
        began = time.perf_counter()
        refuse_another_run(checkpoint, self.config, self.engine.data)
        self.engine.restore(checkpoint.arrays)
        self.step = checkpoint.step
        self.history = History.from_json(checkpoint.meta["history"])
        changed = differences(checkpoint.meta["fingerprint"], self._here)
        self._inexact = [
            *checkpoint.meta["inexact"],
            *([f"at step {self.step}: {'; '.join(changed)}"] if changed else []),
        ]
        self._restore_s = time.perf_counter() - began
        self._progress.tell("resumed", step=self.step, exact="no" if changed else "yes", why="; ".join(changed))

    # -- Run

    def run(self) -> Outcome:
        """Train until the end, the end of patience, or a notice; saved durably in each case."""
        try:
            return self._run()
        finally:  # after a failure too: nothing is written any more when the lock is given up
            if self._saver is not None:
                self._saver.stop()
            if self._summaries is not None:
                self._summaries.close()

    def _run(self) -> Outcome:
        began, stepping = time.perf_counter(), 0.0
        first_step_s = 0.0
        batches = self.engine.batches(self.step)
        done = self._close_epoch()  # the notice may have come between an epoch's last step and its evaluation
        leaving = self._leaves() and self.engine.workers == 1
        while not done and not leaving:
            at = time.perf_counter()
            leaving = self.engine.step(next(batches), leaving=self._leaves())
            self.step += 1
            self._step_s = time.perf_counter() - at
            stepping += self._step_s
            first_step_s = first_step_s or time.perf_counter() - began
            self._report(began)
            done = self._close_epoch()
            self._save_when_due()
            leaving = leaving or (self._leaves() and self.engine.workers == 1)
        self._save(wait=True)
        return self._end(time.perf_counter() - began, stepping, first_step_s, finished=done)

    def _leaves(self) -> bool:
        return bool(self._notice)

    def _close_epoch(self) -> bool:
        """After an epoch's last step: evaluate, remember, save the best. True when the run is over."""
        closed = len(self.history.epochs)
        if self.step < (closed + 1) * self.engine.order.steps_per_epoch or self._is_over():
            return self._is_over()
        alone = self.engine.workers == 1  # several workers evaluate together or not at all
        tested = self.engine.evaluate(self._leaves if alone else lambda: False)
        if tested is None:
            return False  # the evaluation is repeated when the run resumes
        trained = self.engine.totals(reset=True)
        result = {**trained} | {f"test_{name}": value for name, value in tested.items()}
        if not math.isfinite(result["loss"]):
            raise RefusedError(f"the loss of epoch {closed} is {result['loss']}: lower the learning rate")
        self.history = self.history.closed(result, self.config.patience)
        self._progress.tell("epoch", epoch=closed, step=self.step, **result)
        self._log("train", {f"epoch_{name}": value for name, value in trained.items()})
        self._log("test", {f"epoch_{name}": value for name, value in tested.items()})
        if self.history.is_at_best:
            self._save(best=True)
        return self._is_over()

    def _is_over(self) -> bool:
        return self.history.stopped or len(self.history.epochs) >= self.config.epochs

    def _report(self, began: float) -> None:
        if self.step % self.config.log_every:
            return
        totals = self.engine.totals()
        self._log("train", totals)
        seconds = time.perf_counter() - began
        images = (self.step - self._started_at) * self.config.batch / seconds
        self._progress.interval(
            {"step": self.step, "of": self.engine.total_steps, "epoch": self.engine.order.epoch_of(self.step - 1), **totals,
             "images_per_second": round(images, 1), "blocked_share": round(self._blocked() / seconds, 5)}
        )  # fmt: skip

    # -- Save

    def best(self) -> Checkpoint | None:
        """Of all epochs; None, with a warning, when it is damaged or missing: then the last state is the best there is."""
        found = self._store.best()
        if found is None:
            self._progress.warn("the best checkpoint is damaged or missing; the last state is exported instead")
        return found

    def _save_when_due(self) -> None:
        """Early enough that the checkpoint is durable before another `save_every_steps` are at stake; if not, wait for it."""
        if self._saver is None:
            return
        most = self.config.save_every_steps
        lead = min(most // 2, math.ceil(2 * self._saver.last_written_s / max(self._step_s, 1e-6)))
        seconds = time.monotonic() - self._save_time
        if self.step - self._save_step >= most - lead or seconds >= self.config.save_every_seconds:
            self._save()
        if self.step - self._saver.durable_step >= most:
            self._saver.wait()

    def _save(self, *, best: bool = False, wait: bool = False) -> None:
        state = (self.step, len(self.history.epochs))
        if self._saver is not None and state != self._saved_state:
            self._saver.save(self._meta(), self.engine.snapshot, best=best, wait=wait)
        self._saved_state = state
        self._save_step, self._save_time = self.step, time.monotonic()

    def _meta(self) -> dict[str, Any]:
        return self._metrics() | {
            "config": self.config.decides(),
            "data": self.engine.data.digest,
            "fingerprint": dict(self._here),
            "inexact": list(self._inexact),
        }

    def _metrics(self) -> dict[str, Any]:
        return {"step": self.step, "seed": self.config.seed, "history": self.history.as_json()}

    def _flush(self) -> None:
        if self._summaries is not None and self._where is not None:
            self._summaries.flush()
            self._where.send("logs")

    def _log(self, part: str, values: Any) -> None:
        if self._summaries is not None:
            self._summaries.write(part, self.step, values)

    def _blocked(self) -> float:
        return self._saver.costs.blocked_s if self._saver is not None else 0.0

    # -- End

    def _end(self, seconds: float, stepping: float, first_step_s: float, *, finished: bool) -> Outcome:
        if self._saver is not None:
            self._saver.close()
        steps = self.step - self._started_at
        facts: dict[str, Any] = {
            "steps": steps, "from_step": self._started_at, "seconds": round(seconds, 3), "step_seconds": round(stepping, 3),
            "first_step_s": round(first_step_s, 3), "restore_s": round(self._restore_s, 3),
            "images_per_second": round(steps * self.config.batch / seconds, 1),
        }  # fmt: skip
        if self._saver is not None:
            facts |= self._saver.costs.as_json() | {"blocked_share": round(self._blocked() / seconds, 5)}
        if self._notice:
            facts["notice_to_durable_s"] = round(time.monotonic() - self._notice.at, 3)
        digest = state_digest(self.engine.snapshot()(), self._metrics())
        return Outcome(finished, self.step, digest, self.history, not self._inexact, facts)


def refuse_another_run(checkpoint: Checkpoint, config: Config, data: Data) -> None:
    """A checkpoint is resumed with the data and the configuration that it was made with, or not at all."""
    if checkpoint.meta["data"] != data.digest:
        raise RefusedError("the data changed since this run began; start a new run in another work directory")
    before, now = checkpoint.meta["config"], json.loads(json.dumps(config.decides()))
    changed = [f"{name}: {before.get(name)} -> {now[name]}" for name in now if before.get(name) != now[name]]
    if changed:
        raise RefusedError(
            f"the configuration changed since this run began ({'; '.join(changed)}); use another work directory"
        )
