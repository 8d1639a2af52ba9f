"""Runs of the trainer that several tests look at, in processes forked from one that imported TensorFlow."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import shutil
import tempfile
from pathlib import Path

from trainer.config import QUICKTEST, Config
from trainer.drill import Life, live

SHORT = dataclasses.replace(
    QUICKTEST, name="SHORT", epochs=2, batch=64, save_every_steps=5, save_every_seconds=600.0, log_every=1
)
"""40 steps in about a second, with dropout, batch statistics, augmentation, Adam and cosine decay."""


ORIGIN = {
    "TRAINER_IMAGE": f"tidegatehealthy.azurecr.io/training/trainer@sha256:{7:064x}", "TRAINER_REVISION": f"{7:040x}",
}  # fmt: skip
"""What the image and the job say of themselves."""


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    config: Config
    workdir: Path
    life: Life

    @property
    def digest(self) -> str:
        assert self.life.result is not None
        return str(self.life.result["digest"])


@functools.cache
def undisturbed_run() -> Undisturbed:
    """SHORT from its start to its export; once in a test session."""
    workdir = Path(tempfile.mkdtemp(prefix="undisturbed-"))
    atexit.register(shutil.rmtree, workdir, ignore_errors=True)
    life = live(SHORT, workdir, exports=True, environment=ORIGIN)
    assert life.result is not None, life
    assert "digest" in life.result, life
    return Undisturbed(SHORT, workdir, life)
