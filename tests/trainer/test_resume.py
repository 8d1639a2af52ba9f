"""A run killed anywhere ends in the same state, bit for bit, as one that was never interrupted."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.trainer.runs import SHORT, Undisturbed
from trainer.drill import drill, live
from trainer.history import History
from trainer.manifest import verify
from trainer.places import Folder
from trainer.store import Store
from trainer.summaries import scalars


def test_a_run_killed_at_the_steps_that_matter_ends_in_the_same_state(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Before the first checkpoint, while one is written, between an epoch's last step and the next, before the last step."""
    reached = 0
    for step in (1, 5, 20, 39):
        killed = live(SHORT, tmp_path, (step, 0.0))
        assert killed.result is None, (step, killed)
        assert killed.reached >= step
        assert reached - killed.resumed_at <= SHORT.save_every_steps, step
        reached = killed.reached
    resumed = live(SHORT, tmp_path)
    assert reached - resumed.resumed_at <= SHORT.save_every_steps
    assert resumed.result is not None
    assert (resumed.result["digest"], resumed.result["exact"]) == (undisturbed.digest, "yes")


def test_a_run_killed_at_random_moments_again_and_again_ends_in_the_same_state(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    result = drill(SHORT, 3, random.Random(7), tmp_path, undisturbed.life)  # noqa: S311  # when to kill
    assert result.same, result
    assert max(result.lost) <= SHORT.save_every_steps
    points = scalars(tmp_path / "disturbed" / "logs")
    for name, curve in points.items():
        assert [step for step, _ in curve] == sorted({step for step, _ in curve}), f"{name} has a step twice"
    assert points == scalars(undisturbed.workdir / "logs")


def test_patience_that_was_half_spent_when_the_run_was_killed_ends_it_at_the_same_epoch(tmp_path: Path) -> None:
    config = dataclasses.replace(
        SHORT, name="PATIENT", epochs=8, patience=2, learning_rate=0.05, schedule="constant"
    )  # too fast to get better in every epoch
    undisturbed = live(config, tmp_path / "undisturbed")
    history = history_in(tmp_path / "undisturbed")
    assert (history.stopped, history.waited) == (True, 2)
    assert len(history.epochs) < config.epochs
    assert undisturbed.reached == len(history.epochs) * STEPS_PER_EPOCH

    in_the_last_epoch = undisturbed.reached - STEPS_PER_EPOCH + 2 * SHORT.save_every_steps  # its beginning is durable
    killed = live(config, tmp_path / "killed", (in_the_last_epoch, 0.0))
    assert killed.result is None
    assert history_in(tmp_path / "killed").waited == 1
    resumed = live(config, tmp_path / "killed", exports=True)
    assert history_in(tmp_path / "killed") == history
    assert resumed.result is not None
    assert undisturbed.result is not None
    assert resumed.result["digest"] == undisturbed.result["digest"]
    export = tmp_path / "killed" / "export"
    assert verify(export)["step"] == (history.best_epoch + 1) * STEPS_PER_EPOCH
    best = Store(Folder(tmp_path / "killed"), 3, print).best()
    assert best is not None
    weights = [best.arrays[name] for name in sorted(best.arrays) if name.startswith("model/")]
    exported = tf.saved_model.load(str(export / "model")).weights
    assert all(np.array_equal(one.numpy(), other) for one, other in zip(exported, weights, strict=True))


def test_a_checkpoint_is_due_by_the_clock_too(tmp_path: Path) -> None:
    config = dataclasses.replace(SHORT, epochs=1, save_every_steps=10_000, save_every_seconds=0.01)
    killed = live(config, tmp_path, (12, 0.0))
    assert killed.result is None
    assert 0 < live(config, tmp_path).resumed_at <= killed.reached


STEPS_PER_EPOCH = 1280 // SHORT.batch


def history_in(workdir: Path) -> History:
    checkpoint = Store(Folder(workdir), 3, print).newest()
    assert checkpoint is not None
    return History.from_json(checkpoint.meta["history"])


def test_another_seed_ends_in_another_state(undisturbed: Undisturbed, tmp_path: Path) -> None:
    other = live(dataclasses.replace(SHORT, seed=2), tmp_path)
    assert other.result is not None
    assert other.result["digest"] != undisturbed.digest
