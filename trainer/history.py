"""What a run remembers besides its variables: finished epochs, the best one, patience. Plain values; part of the digest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """Immutable, so that a snapshot of it is the thing itself."""

    epochs: tuple[Mapping[str, float], ...] = ()
    best_epoch: int = -1
    best_loss: float = float("inf")
    waited: int = 0
    """Epochs since the best one."""
    stopped: bool = False
    """Whether patience ran out."""

    def closed(self, result: Mapping[str, float], patience: int) -> History:
        """With one more epoch; `result` has `test_loss`. A loss that is no number is never the best."""
        better = result["test_loss"] < self.best_loss
        waited = 0 if better else self.waited + 1
        return History(
            (*self.epochs, dict(result)),
            len(self.epochs) if better else self.best_epoch,
            result["test_loss"] if better else self.best_loss,
            waited,
            0 < patience <= waited,
        )

    @property
    def is_at_best(self) -> bool:
        """Whether the last epoch is the best one."""
        return bool(self.epochs) and self.best_epoch == len(self.epochs) - 1

    def as_json(self) -> dict[str, Any]:
        """Plain values; floats survive JSON bit for bit (repr round-trips)."""
        return {
            "epochs": [dict(each) for each in self.epochs],
            "best_epoch": self.best_epoch,
            "best_loss": None if self.best_epoch < 0 else self.best_loss,
            "waited": self.waited,
            "stopped": self.stopped,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> History:
        """The inverse of `as_json`."""
        best = float("inf") if values["best_loss"] is None else values["best_loss"]
        return cls(tuple(values["epochs"]), values["best_epoch"], best, values["waited"], values["stopped"])
