"""`train_and_evaluate(config, workdir)`: one run in one work directory, under its lock, from wherever it was left."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import Config
from trainer.notices import Notice, ScheduledEvents, signals, urls_from_environment
from trainer.places import Folder, Place
from trainer.progress import Progress
from trainer.run_lock import STALE_AFTER, RunLock
from trainer.tracking import report

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
    taken before anything is read. Raises LockedError, RefusedError, DataError; the state on disk is then as before.
    """
    progress = progress or Progress()
    notice = Notice()
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals(notice))
        events = stack.enter_context(_scheduled_events(notice))
        place, scratch = stack.enter_context(open_place(workdir))
        from trainer.engine import is_chief

        chief = is_chief()
        lock = RunLock(place, stale_after)
        if chief:
            lock.acquire(progress.warn)
            stack.callback(lock.release)
        outcome, training = _train(config, place, scratch, progress, notice, lock.check if chief else None)
        if outcome.finished and chief:
            if exports:
                _export_best(training, place, outcome, scratch, progress)
            lock.check()
            report(outcome.history, os.environ)
            place.write(_RESULT, [json.dumps(_result(outcome), indent=2).encode()])
        _mirror(place, scratch)
        progress.tell("done" if outcome.finished else "evicted", **_result(outcome), reason=notice.reason)
        if not outcome.finished and events is not None:
            events.acknowledge()
        return outcome


def _train(
    config: Config, place: Place, scratch: Path, progress: Progress, notice: Notice, guard: Callable[[], None] | None
) -> tuple[Outcome, Training]:
    from trainer.datasets import load_data
    from trainer.engine import Engine, choose_strategy, prepare_process
    from trainer.fingerprint import fingerprint
    from trainer.store import Store
    from trainer.training import Training

    prepare_process(config)
    strategy = choose_strategy()
    engine = Engine(config, load_data(config.data, config.image_size), strategy)
    store = Store(place, config.keep, progress.warn)
    if guard is not None:
        store.sweep()
    here = fingerprint(config.threads, strategy.num_replicas_in_sync)
    summaries_at = scratch / "logs" if guard is not None else None
    training = Training(engine, store, summaries_at, progress, notice, here, guard or (lambda: None))
    return training.run(), training


def _export_best(training: Training, place: Place, outcome: Outcome, scratch: Path, progress: Progress) -> None:
    from trainer.export import export
    from trainer.store import Store

    best = Store(place, training.config.keep, progress.warn).best()
    if best is None:
        progress.warn("the best checkpoint is damaged or missing; the last state is exported instead")
    else:
        training.engine.restore(best.arrays)
    epoch = outcome.history.epochs[outcome.history.best_epoch if best is not None else -1]
    facts = {"metrics": dict(epoch), "state": outcome.digest, "step": best.step if best is not None else outcome.step,
             "exact": outcome.exact}  # fmt: skip
    export(training.engine.model, training.config, training.engine.data, facts, scratch / "export")


def _result(outcome: Outcome) -> dict[str, object]:
    return {"step": outcome.step, "digest": outcome.digest, "exact": "yes" if outcome.exact else "no", **outcome.facts}


@contextlib.contextmanager
def open_place(workdir: str) -> Iterator[tuple[Place, Path]]:
    """The place of checkpoints and lock, and a folder for logs and export: the same folder, or scratch beside a container."""
    if not workdir.startswith(("https://", "http://")):
        yield Folder(Path(workdir)), Path(workdir)
        return
    from trainer.blob_place import BlobPlace

    with tempfile.TemporaryDirectory(prefix="trainer-") as scratch:
        yield BlobPlace.from_url(workdir, os.environ), Path(scratch)


def _mirror(place: Place, scratch: Path) -> None:
    """Logs and export of a run in Blob storage go there too; event files of different lives have different names."""
    if isinstance(place, Folder):
        return
    for path in sorted(scratch.rglob("*")):
        if path.is_file():
            place.write(str(path.relative_to(scratch)), [path.read_bytes()])


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
