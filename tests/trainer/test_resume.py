"""A run killed anywhere ends in the same state, bit for bit, as one that was never interrupted."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from tests.trainer.runs import SHORT, Undisturbed
from trainer.drill import drill, live
from trainer.summaries import scalars


@pytest.mark.parametrize("step", [1, 5, 20, 39], ids=["first", "saving", "end-of-epoch", "last-but-one"])
def test_a_run_killed_at_a_step_ends_in_the_same_state(undisturbed: Undisturbed, tmp_path: Path, step: int) -> None:
    killed = live(SHORT, tmp_path, (step, 0.0))
    assert killed.result is None
    assert killed.reached >= step
    resumed = live(SHORT, tmp_path)
    assert killed.reached - resumed.resumed_at <= SHORT.save_every_steps
    assert resumed.result is not None
    assert (resumed.result["digest"], resumed.result["exact"]) == (undisturbed.digest, "yes")


def test_a_run_killed_at_random_moments_again_and_again_ends_in_the_same_state(tmp_path: Path) -> None:
    result = drill(SHORT, 3, random.Random(7), tmp_path)  # noqa: S311  # when to kill
    assert result.same, result
    assert max(result.lost) <= SHORT.save_every_steps
    points = scalars(tmp_path / "disturbed" / "logs")
    for name, curve in points.items():
        assert [step for step, _ in curve] == sorted({step for step, _ in curve}), f"{name} has a step twice"
    assert points == scalars(tmp_path / "undisturbed" / "logs")


def test_another_seed_ends_in_another_state(undisturbed: Undisturbed, tmp_path: Path) -> None:
    other = live(dataclasses.replace(SHORT, seed=2), tmp_path)
    assert other.result is not None
    assert other.result["digest"] != undisturbed.digest
