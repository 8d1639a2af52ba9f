"""What tests do in processes of their own. Each process imports this module anew, so it imports nothing that is slow."""

from __future__ import annotations

import io
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, override

import numpy as np
import numpy.typing as npt

from trainer.checkpoint import Checkpoint
from trainer.places import Folder
from trainer.run_lock import RunLock
from trainer.store import Store


def checkpoint(step: int, size: int = 1000) -> Checkpoint:
    """A function of the step."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "weights": np.random.default_rng(step).normal(size=(size, 3)).astype(np.float32),
        "count": np.array(step, np.int64),
        "empty": np.zeros((0, 4), np.float16),
    }
    return Checkpoint({"step": step, "history": [0.1 + step]}, arrays)


def write_for_ever(folder: Path, told: Connection) -> None:
    """Says the step of every checkpoint that was published."""
    store = Store(Folder(folder), 2, lambda _: None)
    store.sweep()
    first = store.newest()
    for step in itertools.count(1 if first is None else first.step + 1):
        store.publish(checkpoint(step, 20_000), best=False)
        told.send(step)


def take_and_die(place: Folder) -> None:
    """Leaves a lock behind, as a process that was killed does."""
    RunLock(place, 60.0, 60.0).acquire(lambda _: None)
    os._exit(0)


def command_line(arguments: Sequence[str], environment: Mapping[str, str], told: Connection) -> None:
    """`python -m trainer <arguments>`, where TensorFlow is imported already: its lines are sent, its status is the process's."""
    from trainer.__main__ import main

    class Lines(io.TextIOBase):
        @override
        def write(self, text: str) -> int:
            told.send(text)
            return len(text)

    os.environ.update(environment)
    sys.stdout = Lines()
    sys.exit(main(arguments))
