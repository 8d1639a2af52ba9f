"""A run's work directory: a folder of this machine or of a mounted share, or a prefix of a blob container."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trainer.mirror import Mirror
from trainer.places import Folder, Place
from trainer.refusal import RefusedError


@dataclasses.dataclass(frozen=True, slots=True)
class Workdir:
    """Where the parts of a run lie."""

    place: Place
    """Checkpoints and the lock."""
    folder: Path
    """Logs and export, as TensorFlow writes them: the same folder, or one of this machine's own beside a container."""
    mirror: Mirror | None = None

    def fetch(self, prefix: str) -> None:
        """Have in `folder` what the place has; nothing to do where they are the same."""
        if self.mirror is not None:
            self.mirror.fetch(prefix)

    def send(self, prefix: str) -> None:
        """Have in the place what `folder` has."""
        if self.mirror is not None:
            self.mirror.send(prefix)


@contextlib.contextmanager
def opened(workdir: str) -> Iterator[Workdir]:
    """Refuses what is neither a folder that can be written nor an address of a blob container."""
    scheme, separator, _ = workdir.partition("://")
    if not separator:
        folder = _folder(Path(workdir))
        yield Workdir(Folder(folder), folder)
        return
    if scheme not in {"https", "http"}:
        raise RefusedError(
            f"{workdir}: a work directory is a folder or https://<account>.blob.core.windows.net/<container>/..."
        )
    from trainer.blob_place import BlobPlace

    with tempfile.TemporaryDirectory(prefix="trainer-") as name:
        place, scratch = BlobPlace.from_url(workdir, os.environ), Path(name)
        yield Workdir(place, scratch, Mirror(place, scratch))


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError(f"{path} cannot be the work directory: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise RefusedError(f"{path} cannot be the work directory: it cannot be written here")
    return path
