"""Writers of checkpoints that are killed at random moments, and what they left."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
from pathlib import Path

from tests.trainer.children import checkpoint, write_for_ever
from trainer.checkpoint import state_digest
from trainer.drill import CONTEXT
from trainer.places import Folder
from trainer.store import Store


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """After all kills."""

    torn: int = 0
    """Times that the newest checkpoint was not whole, or not the one that was written."""
    lost: int = 0
    """Times that it was older than one that was said to be durable."""
    warnings: tuple[str, ...] = ()


def killed(folder: Path, kills: int, seed: int) -> Left:
    """Each writer goes on where the one before was killed."""
    chance, left = random.Random(seed), Left()  # noqa: S311  # when to kill
    for _ in range(kills):
        durable = _one_life(folder, chance.uniform(0, 0.03))
        warnings: list[str] = []
        newest = Store(Folder(folder), 2, warnings.append).newest()
        whole = newest is not None and (
            state_digest(newest.arrays, 0) == state_digest(checkpoint(newest.step, 20_000).arrays, 0)
        )
        lost = newest is None or newest.step < durable
        left = Left(left.torn + (not whole), left.lost + lost, (*left.warnings, *warnings))
    return left


def _one_life(folder: Path, seconds: float) -> int:
    """The last step that a writer, killed so long after its first one, said to be durable."""
    reader, writer = CONTEXT.Pipe(duplex=False)
    child = CONTEXT.Process(target=write_for_ever, args=(folder, writer))
    child.start()
    writer.close()
    if not reader.poll(60):
        raise RuntimeError("the writer has not begun")
    time.sleep(seconds)
    child.kill()
    child.join()
    durable = 0
    with contextlib.suppress(EOFError):
        while True:
            durable = reader.recv()
    reader.close()
    return durable
