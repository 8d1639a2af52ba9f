"""Places for tests: ones that die in the middle of a write."""

from __future__ import annotations

from pathlib import Path
from typing import override

from trainer.places import Folder, Parts


class DiedError(Exception):
    """The machine is gone."""


class Share(Folder):
    """A share at its worst: a file shows up under its name at once and is filled in place, and the machine may die in it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.bytes_left: int | None = None
        """How many more bytes reach the medium; None: all."""

    @override
    def write(self, name: str, parts: Parts) -> None:
        content = b"".join(parts)
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.bytes_left is not None and len(content) > self.bytes_left:
            path.write_bytes(content[: self.bytes_left])
            raise DiedError
        if self.bytes_left is not None:
            self.bytes_left -= len(content)
        path.write_bytes(content)
