"""Where a run's files lie: a folder of a local disk or of a mounted share. Blob storage is in `blob_place`."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

type Parts = Sequence[bytes | memoryview]


class Place(Protocol):
    """Named bytes. Nothing here promises that a cut-off `write` leaves no trace: checkpoints carry hashes for that."""

    def write(self, name: str, parts: Parts) -> None:
        """Durable when it returns. A name is written once; writing it again replaces it."""

    def read(self, name: str) -> bytes:
        """All of it; FileNotFoundError when there is none."""

    def names(self, prefix: str) -> list[str]:
        """The names below a prefix, in no particular order; nothing for a prefix that nothing has."""

    def remove(self, name: str) -> None:
        """Idempotent."""

    def create(self, name: str, data: bytes) -> bool:
        """Exclusive: of several that create one name, one gets True."""

    def swap(self, name: str, expected: bytes, data: bytes) -> bool:
        """Replace `expected` by `data`; False when something else is there. Atomic on Blob storage; in a folder two that
        swap within the same moment may both be told True, so the winner is who is still there a moment later."""


class Folder:
    """Files of one folder, on a local disk or on a mounted share.

    Written under a temporary name, flushed to the medium, then renamed. A share may lose the rename's atomicity when the
    machine dies in it (SMB promises none); nothing relies on it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, parts: Parts) -> None:
        """See Place.write."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with temporary.open("wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)

    def read(self, name: str) -> bytes:
        """See Place.read."""
        return (self.root / name).read_bytes()

    def names(self, prefix: str) -> list[str]:
        """See Place.names. Temporary files are not among them."""
        base = self.root / prefix
        return [f"{prefix}/{path.name}" for path in _entries(base) if not path.name.startswith(".")]

    def leftovers(self, prefix: str) -> list[str]:
        """Temporary files that a killed process left behind."""
        return [f"{prefix}/{path.name}" for path in _entries(self.root / prefix) if path.name.endswith(".part")]

    def remove(self, name: str) -> None:
        """See Place.remove."""
        (self.root / name).unlink(missing_ok=True)

    def create(self, name: str, data: bytes) -> bool:
        """See Place.create; O_EXCL is exclusive on SMB too."""
        try:
            descriptor = os.open(self.root / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            self.remove(name)
            raise
        return True

    def swap(self, name: str, expected: bytes, data: bytes) -> bool:
        """See Place.swap."""
        try:
            if self.read(name) != expected:
                return False
        except FileNotFoundError:
            return False
        self.write(name, [data])
        return self.read(name) == data


def _entries(base: Path) -> Iterable[Path]:
    try:
        return list(base.iterdir())
    except FileNotFoundError:
        return []


def _sync_folder(folder: Path) -> None:
    """The rename reaches the medium too; a share that cannot sync a folder has nothing to add."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
