"""Saving beside the training: in order, never for somebody else's run, and never ahead of the log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import override

import pytest

from tests.trainer.children import checkpoint
from trainer.checkpoint import Arrays, Checkpoint
from trainer.places import Folder
from trainer.run_lock import LostError
from trainer.saver import Saver
from trainer.store import Manifest, Store


class Watched(Store):
    """Says when it publishes, and waits until it may."""

    def __init__(self, root: Path, told: list[str]) -> None:
        super().__init__(Folder(root), 5, told.append)
        self.may_publish = threading.Event()
        self.may_publish.set()
        self._told = told

    @override
    def publish(self, checkpoint: Checkpoint, *, best: bool) -> Manifest:
        assert self.may_publish.wait(20)
        self._told.append(f"publish {checkpoint.step}")
        return super().publish(checkpoint, best=best)


def pinned(step: int) -> Callable[[], Callable[[], Arrays]]:
    return lambda: lambda: checkpoint(step).arrays


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, told: list[str]) -> Watched:
    return Watched(tmp_path, told)


def test_before_a_checkpoint_is_published_the_lock_is_looked_at_and_the_log_is_flushed(
    store: Watched, told: list[str]
) -> None:
    saver = Saver(store, lambda: told.append("lock"), lambda: told.append("flush"))
    saver.save({"step": 1}, pinned(1), best=False, wait=True)
    assert told == ["lock", "flush", "publish 1"]
    assert saver.durable_step == 1
    saver.close()


def test_a_run_that_was_taken_over_is_written_no_more_and_training_hears_of_it(store: Watched) -> None:
    def lost() -> None:
        raise LostError("taken over")

    saver = Saver(store, lost, lambda: None)
    saver.save({"step": 1}, pinned(1), best=False, wait=False)
    with pytest.raises(LostError):
        saver.wait()
    with pytest.raises(LostError):
        saver.save({"step": 2}, pinned(2), best=False, wait=False)
    with pytest.raises(LostError):
        saver.close()
    assert (store.manifests(), saver.durable_step) == ([], 0)


def test_a_save_returns_before_it_is_durable_and_the_next_one_waits_for_it(store: Watched, told: list[str]) -> None:
    store.may_publish.clear()
    saver = Saver(store, lambda: None, lambda: None)
    saver.save({"step": 1}, pinned(1), best=False, wait=False)
    assert (saver.durable_step, told) == (0, [])
    second = threading.Thread(target=saver.save, args=({"step": 2}, pinned(2)), kwargs={"best": True, "wait": True})
    second.start()
    second.join(0.1)
    assert second.is_alive(), "two checkpoints would be written at once"
    store.may_publish.set()
    second.join(20)
    assert told == ["publish 1", "publish 2"]
    assert saver.costs.saves == 2
    assert saver.costs.blocked_s >= 0.1
    saver.close()
