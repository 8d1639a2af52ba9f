"""Answers that are asked for again and again in a storm, kept for a moment: a hundred failed runs ask who ran last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import cast

_MOST = 256
"""Answers of one kind that are kept at once."""


class KeptAnswers:
    """Answers by what was asked; each is forgotten when its time is over. Safe to use from several threads."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._answers: dict[Hashable, tuple[float, object]] = {}
        self._lock = threading.Lock()

    def get[T](self, asked: Hashable, ask: Callable[[], T]) -> T:
        """The kept answer, or a new one. Two threads may ask at once; what raises is not kept."""
        with self._lock:
            until, answer = self._answers.get(asked, (0.0, None))
        if self._clock() < until:
            return cast("T", answer)
        new = ask()
        with self._lock:
            if len(self._answers) >= _MOST:
                self._answers.clear()
            self._answers[asked] = (self._clock() + self._seconds, new)
        return new
