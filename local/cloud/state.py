"""State that survives a restart of the stand-in: one JSON file a subject, replaced as a whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class StateFile:
    """A JSON object on disk. Writes are atomic: a reader, or the next start, sees the old or the new whole."""

    def __init__(self, path: Path, *, private: bool = False) -> None:
        self._path = path
        self._mode = 0o600 if private else 0o644
        self.value: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def save(self) -> None:
        """Write `value`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, self._mode)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self.value, file)
        temporary.replace(self._path)
