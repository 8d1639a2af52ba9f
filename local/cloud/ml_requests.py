"""What was asked of deployments, request by request, as long as the stand-in runs: what metrics are made of."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

_KEPT = 200_000
"""Requests of one endpoint, the latest."""


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """One request to one deployment."""

    at: float
    """Unix time of its answer, in seconds."""
    deployment: str
    status: int
    """What the endpoint answered; 0: it was a mirrored copy, and nobody got an answer."""
    model_status: int
    """What the deployment's server answered; 0: nothing."""
    seconds: float

    @property
    def mirrored(self) -> bool:
        return self.status == 0


class Requests:
    """Of all endpoints, by name."""

    def __init__(self) -> None:
        self._asked: dict[str, collections.deque[Asked]] = {}

    def add(self, endpoint: str, asked: Asked) -> None:
        """In the order of the answers."""
        self._asked.setdefault(endpoint.lower(), collections.deque(maxlen=_KEPT)).append(asked)

    def between(self, endpoint: str, start: float, end: float) -> Iterable[Asked]:
        """Those that were answered in `[start, end)`."""
        return [each for each in self._asked.get(endpoint.lower(), ()) if start <= each.at < end]
