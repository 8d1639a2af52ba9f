"""What a person or a machine reads while a run goes on: one line that rewrites itself, or one JSON object a line."""

from __future__ import annotations

import json
import math
import sys
from typing import IO, Any


class Progress:
    """Writes to a terminal for people, otherwise JSON lines: `{"event": ..., ...}`."""

    def __init__(self, stream: IO[str] | None = None, *, terminal: bool | None = None) -> None:
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty() if terminal is None else terminal
        self._open_line = False

    def interval(self, values: dict[str, Any]) -> None:
        """Where the run is; on a terminal it replaces the line before."""
        if self._terminal:
            self._stream.write(f"\r\x1b[K{_words(values)}")
            self._stream.flush()
            self._open_line = True
        else:
            self.tell("progress", **values)

    def tell(self, event: str, **values: Any) -> None:
        """Something that happened once: started, resumed, epoch, saved, evicted, done."""
        if self._terminal:
            self._stream.write(f"{'\n' if self._open_line else ''}{event}: {_words(values)}\n")
            self._open_line = False
        else:
            self._stream.write(json.dumps({"event": event, **_finite(values)}, allow_nan=False) + "\n")
        self._stream.flush()

    def warn(self, message: str) -> None:
        """Somebody may have to look."""
        self.tell("warning", message=message)


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no word for a loss that is no number: it becomes the text `nan` or `inf`."""
    return {
        name: str(each) if isinstance(each, float) and not math.isfinite(each) else each
        for name, each in values.items()
    }


def _words(values: dict[str, Any]) -> str:
    return "  ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
