"""Runs of the trainer in processes of their own, forked from one that imported TensorFlow; the undisturbed run, once."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest

from trainer.config import QUICKTEST, Config
from trainer.drill import Life, live

if importlib.util.find_spec("tensorflow") is None:
    collect_ignore_glob = ["test_*.py"]  # `make test-trainer` runs these in .tools/trainer; .venv has no TensorFlow

SHORT = dataclasses.replace(
    QUICKTEST, name="SHORT", epochs=2, batch=64, save_every_steps=5, save_every_seconds=600.0, log_every=1
)
"""40 steps in about a second, with dropout, batch statistics, augmentation, Adam and cosine decay."""


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    config: Config
    workdir: Path
    life: Life

    @property
    def digest(self) -> str:
        assert self.life.result is not None
        return str(self.life.result["digest"])


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    workdir = tmp_path_factory.mktemp("undisturbed")
    life = live(SHORT, workdir)
    assert life.result is not None, life
    assert "digest" in life.result, life
    return Undisturbed(SHORT, workdir, life)
