"""What keeping a run safe costs: checkpoints beside Keras's, steps lost, time to resume, images a second beside a bound.

`make bench-trainer` prints a table and writes build/bench-trainer.json. Everything is measured in one process after another
on one machine; wall-clock figures of a busy machine are worth little, ratios more.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figures import Aim, Figure, compared, rounds, table, write
from benchmarks.trainer_kills import drill_figures, notice_figures, writer_figures
from trainer.config import QUICKTEST, Config
from trainer.drill import live

MOBILE = Config(name="MOBILE", data="silhouettes", image_size=96, epochs=8, batch=32)
"""MobileNetV3Small and Adam: 501 variables, 18 MB; the model that checkpoints are measured with."""
_STEPS = 20
"""Of a block: a save every so many steps, ten times as often as by default."""
_ROUNDS = 6
_SAVES = 5


def checkpoint_figures(folder: Path) -> list[Figure]:
    """The cost of one checkpoint beside Keras's ways, and of all of them at the default interval, in one process."""
    from trainer.datasets import load_data
    from trainer.engine import Engine, choose_strategy, prepare_process
    from trainer.places import Folder
    from trainer.saver import Saver
    from trainer.store import Store

    prepare_process(MOBILE)
    engine = Engine(MOBILE, load_data(MOBILE.data, MOBILE.image_size), choose_strategy())
    batches = engine.batches(0)
    for _ in range(5):  # tracing
        engine.step(next(batches))
    saver = Saver(Store(Folder(folder / "own"), 3, lambda _: None), lambda: None, lambda: None)
    saved, plain = _blocks(engine, batches, saver)
    step_s = statistics.median(plain) / _STEPS
    engine.model.compile(
        engine.optimizer
    )  # so that Keras writes the optimizer's variables too, as BackupAndRestore does
    blocked: list[float] = []
    durable: list[float] = []
    weights: list[float] = []
    whole: list[float] = []
    for number in range(_SAVES):
        began = time.perf_counter()
        saver.save({"step": number}, engine.snapshot, best=False, wait=False)
        blocked.append(1000 * (time.perf_counter() - began))
        saver.wait()
        durable.append(1000 * (time.perf_counter() - began))
        weights.append(1000 * _timed(lambda: engine.model.save_weights(folder / "keras.weights.h5"), 1))
        whole.append(1000 * _timed(lambda: engine.model.save(folder / "keras.keras"), 1))
    saver.close()
    synthetic = next(batches)
    bound = _timed(lambda: [engine.step(synthetic) for _ in range(_STEPS)], 4) / _STEPS
    return [
        Figure("blocked by one checkpoint", statistics.median(blocked), "ms"),
        compared(
            f"{_STEPS} steps with a save / without, {_ROUNDS} blocks of each by turns",
            saved,
            plain,
            "s",
            Aim("ratio", "<=", 1.035),
        ),
        compared("one durable checkpoint / Keras save_weights", durable, weights, "ms", Aim("ratio", "<=", 0.2)),
        compared("one durable checkpoint / Keras save", durable, whole, "ms"),
        Figure(
            "restore, verified",
            1000 * _timed(lambda: _restore(engine, folder / "own"), 3),
            "ms",
            None,
            Aim("value", "<=", 500),
        ),
        Figure(
            "images per second / the same batch again and again", MOBILE.batch / step_s, "1/s", MOBILE.batch / bound
        ),
    ]


def run_figures(folder: Path) -> list[Figure]:
    """A whole run as anybody starts it, and what it says of itself at its end."""
    result = live(MOBILE, folder).result or {}
    share = 100 * float(result["blocked_share"])
    name = f"training blocked at the default interval, in a run with {result['saves']} checkpoints"
    return [Figure(name, share, "%", None, Aim("value", "<=", 1.0))]


def overhead_figures(folder: Path) -> list[Figure]:
    """Time inside saving, over all of training, in the trainer and in Keras's two ways: one model, one save every 20 steps."""
    from trainer.datasets import load_data
    from trainer.engine import Engine, choose_strategy

    config = dataclasses.replace(QUICKTEST, save_every_steps=20)
    data = load_data(config.data, config.image_size)
    shares = {}
    for name in ("BackupAndRestore", "a file an epoch, as in the tutorial"):
        engine = Engine(config, data, choose_strategy())
        shares[name] = _fit_share(engine, name, folder / name[:6])
    own = _own_share(config, folder / "share")
    return [
        Figure(f"time in saving every 20 steps of {config.model} / Keras {name}", 100 * own, "%", 100 * share)
        for name, share in shares.items()
    ]


def _blocks(engine: Any, batches: Any, saver: Any) -> tuple[list[float], list[float]]:
    """Seconds of blocks of steps by turns: with a checkpoint saved in the first step, and without. The block that saves is
    charged with whatever of the write is not done when it ends."""
    taken: dict[str, list[float]] = {"saved": [], "plain": []}
    for way in rounds(("saved", "plain"), _ROUNDS):
        began = time.perf_counter()
        for number in range(_STEPS):
            engine.step(next(batches))
            if way == "saved" and number == 0:
                saver.save({"step": 0}, engine.snapshot, best=False, wait=False)
        saver.wait()
        taken[way].append(time.perf_counter() - began)
    return taken["saved"], taken["plain"]


def _restore(engine: Any, folder: Path) -> None:
    from trainer.places import Folder
    from trainer.store import Store

    checkpoint = Store(Folder(folder), 3, lambda _: None).newest()
    if checkpoint is not None:
        engine.restore(checkpoint.arrays)


def _own_share(config: Config, folder: Path) -> float:
    from trainer.run import train_and_evaluate

    outcome = train_and_evaluate(config, str(folder), exports=False)
    return float(outcome.facts["blocked_s"]) / float(outcome.facts["seconds"])


def _fit_share(engine: Any, name: str, folder: Path) -> float:
    """`model.fit` over as many steps, with Keras's callback; the seconds inside the callback are its own."""
    import keras

    folder.mkdir()
    if name == "BackupAndRestore":
        callback = keras.callbacks.BackupAndRestore(folder, save_freq=20, delete_checkpoint=False)
    else:
        callback = keras.callbacks.ModelCheckpoint(folder / "Models.{epoch}-{val_loss:.2f}.keras")
    spent = [0.0]
    for hook in ("on_train_batch_end", "on_epoch_end"):
        setattr(callback, hook, _measured(getattr(callback, hook), spent))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    engine.model.compile(engine.optimizer, loss)
    images, labels = _arrays(engine.data.train)
    test = _arrays(engine.data.test)
    began = time.perf_counter()
    engine.model.fit(
        images,
        labels,
        batch_size=engine.config.batch,
        epochs=engine.config.epochs,
        validation_data=test,
        callbacks=[callback],
        verbose=0,
    )
    return spent[0] / (time.perf_counter() - began)


def _arrays(split: Any) -> tuple[Any, Any]:
    import numpy as np

    images = np.stack([split.read(number) for number in range(len(split))]).astype(np.float32)
    return images.repeat(3 // images.shape[-1], axis=-1), split.labels


def _measured(call: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def measured(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        result = call(*arguments, **named)
        spent[0] += time.perf_counter() - began
        return result

    return measured


def _timed(call: Callable[[], Any], times: int) -> float:
    """Median seconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> int:
    """0 whatever the figures are: a busy machine misses aims."""
    os.environ["TRAINER_METADATA_URL"] = "off"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    folder = Path(tempfile.mkdtemp(prefix="bench-trainer-"))
    try:
        figures = drill_figures(folder / "drill", int(os.environ.get("BENCH_KILLS", "5")), seed=1)
        figures += notice_figures(MOBILE, folder / "notice")
        figures += writer_figures(_made(folder / "writers"), int(os.environ.get("BENCH_WRITER_KILLS", "20")), seed=1)
        figures += run_figures(folder / "run")
        figures += checkpoint_figures(_made(folder / "checkpoints"))
        figures += overhead_figures(_made(folder / "overhead"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(figures))
    conditions = (
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, checkpoints on {tempfile.gettempdir()}"
    )
    write(Path("build/bench-trainer.json"), conditions, figures)
    return 0


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
