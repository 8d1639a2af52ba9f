"""`train_and_evaluate(config, workdir)`: one run in one work directory, under its lock, from wherever it was left."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from trainer.config import Config
from trainer.notices import Notice, ScheduledEvents, signals, urls_from_environment
from trainer.progress import Progress
from trainer.run_lock import STALE_AFTER, RunLock
from trainer.tracking import report
from trainer.workdir import Workdir, opened
from trainer.workers import is_chief

if TYPE_CHECKING:
    from trainer.training import Outcome, Training

_RESULT = "result.json"


def train_and_evaluate(
    config: Config,
    workdir: str,
    *,
    progress: Progress | None = None,
    stale_after: float = STALE_AFTER,
    exports: bool = True,
) -> Outcome:
    """Begin or resume the run in `workdir` (a folder, or the URL of a prefix in a blob container).

    Returns when the run is finished and exported to `<workdir>/export`, or saved because the machine goes away. The lock is
    taken before anything is read. Raises LockedError or RefusedError; the state on disk is then as before.
    """
    progress = progress or Progress()
    notice = Notice()
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals(notice))
        events = stack.enter_context(_scheduled_events(notice))
        where = stack.enter_context(opened(workdir))
        lock = RunLock(where.place, stale_after) if is_chief() else None
        if lock is not None:
            lock.acquire(progress.warn)
            stack.callback(lock.release)
        outcome, training = _train(config, where, progress, notice, lock)
        if outcome.finished and lock is not None:
            _finish(training, where, outcome, lock, exports=exports)
        progress.tell("done" if outcome.finished else "evicted", **_result(outcome), reason=notice.reason)
        if not outcome.finished and events is not None:
            events.acknowledge()
        return outcome


def _train(
    config: Config, where: Workdir, progress: Progress, notice: Notice, lock: RunLock | None
) -> tuple[Outcome, Training]:
    """`lock` is None in workers that only compute."""
    from trainer.datasets import load_data
    from trainer.engine import Engine, choose_strategy, prepare_process
    from trainer.fingerprint import fingerprint
    from trainer.store import Store
    from trainer.training import Training

    prepare_process(config)
    strategy = choose_strategy()
    notice.listen()
    engine = Engine(config, load_data(config.data, config.image_size), strategy)
    store = Store(where.place, config.keep, progress.warn)
    here = fingerprint(config.threads, strategy.num_replicas_in_sync)
    if lock is not None:
        store.sweep()
        where.fetch("logs")
    writes_at, guard = (None, _nobody) if lock is None else (where, lock.check)
    training = Training(engine, store, writes_at, progress, notice, here, guard)
    return training.run(), training


def _nobody() -> None:
    """Where nothing is published, nobody guards it."""


def _finish(training: Training, where: Workdir, outcome: Outcome, lock: RunLock, *, exports: bool) -> None:
    """What others look for comes last: the result is there when all the rest is."""
    lock.check()
    if exports:
        _export_best(training, where, outcome)
        lock.check()
        where.send("export")
    report(outcome.history, os.environ)
    where.place.write(_RESULT, [json.dumps(_result(outcome), indent=2).encode()])


def _export_best(training: Training, where: Workdir, outcome: Outcome) -> None:
    from trainer.export import export

    best = training.best()
    if best is not None:
        training.engine.restore(best.arrays)
    epoch = outcome.history.epochs[outcome.history.best_epoch if best is not None else -1]
    facts = {"metrics": dict(epoch), "state": outcome.digest, "step": best.step if best is not None else outcome.step,
             "exact": outcome.exact}  # fmt: skip
    export(training.engine.model, training.config, training.engine.data, facts, where.folder / "export")


def _result(outcome: Outcome) -> dict[str, object]:
    return {"step": outcome.step, "digest": outcome.digest, "exact": "yes" if outcome.exact else "no", **outcome.facts}


@contextlib.contextmanager
def _scheduled_events(notice: Notice) -> Iterator[ScheduledEvents | None]:
    urls = urls_from_environment()
    if urls is None:
        yield None
        return
    events = ScheduledEvents(notice, *urls)
    events.start()
    try:
        yield events
    finally:
        events.stop()
