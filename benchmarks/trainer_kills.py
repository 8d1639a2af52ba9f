"""What kills and notices cost: steps, time to resume, checkpoints that are torn or lost."""

from __future__ import annotations

import random
import signal
import statistics
from pathlib import Path

from benchmarks.figures import Aim, Figure
from tests.trainer.writers import killed
from trainer.config import QUICKTEST, Config
from trainer.drill import drill, live


def drill_figures(folder: Path, kills: int, seed: int) -> list[Figure]:
    """Kills at random moments."""
    result = drill(QUICKTEST, kills, random.Random(seed), folder)
    cold = result.undisturbed.to_first_step_s
    warm = statistics.median([life.to_first_step_s for life in result.lives[1:]] or [0.0])
    end = result.lives[-1].result or {}
    return [
        Figure(
            f"runs bit for bit the same after {len(result.lives) - 1} kills",
            float(result.same),
            "of 1",
            None,
            Aim("value", ">=", 1),
        ),
        Figure(
            "most steps lost by a kill / save_every_steps",
            max(result.lost, default=0),
            "steps",
            QUICKTEST.save_every_steps,
            Aim("ratio", "<=", 1),
        ),
        Figure("process start to first step when resumed", warm, "s", cold),
        Figure("what the resume adds", float(end.get("restore_s", 0.0)), "s", None, Aim("value", "<=", 0.5)),
    ]


def notice_figures(config: Config, folder: Path) -> list[Figure]:
    """SIGTERM in the middle of a run, and where the next process goes on; Azure gives 30 seconds."""
    told = live(config, folder, (45, 0.0), kind=signal.SIGTERM).result or {}
    resumed = live(config, folder, (0, 0.0))
    lost = int(told["step"]) - resumed.resumed_at
    durable = float(told["notice_to_durable_s"])
    return [
        Figure("steps lost with a notice", lost, "steps", None, Aim("value", "<=", 0)),
        Figure("notice to durable / Azure's notice", durable, "s", 30.0, Aim("value", "<=", 1.0)),
    ]


def writer_figures(folder: Path, kills: int, seed: int) -> list[Figure]:
    """Writers that do nothing but publish, killed again and again: each kill comes in a write."""
    left = killed(folder, kills, seed)
    return [
        Figure(f"checkpoints torn by {kills} kills while writing", left.torn, "", None, Aim("value", "<=", 0)),
        Figure(f"checkpoints lost by {kills} kills while writing", left.lost, "", None, Aim("value", "<=", 0)),
    ]
