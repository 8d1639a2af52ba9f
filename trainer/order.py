"""Which samples step g trains on, as a pure function of g: the position in the data is the step, so nothing of it is saved."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from trainer.refusal import RefusedError

_ROUNDS = 6
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # the constants of SplitMix64's finaliser


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """Every epoch is a permutation of its own; what is left over from whole batches is another few samples each epoch.

    Asking for step 10 or step 10 million costs the same. The permutation is arithmetic on integers written out here, so
    neither a release of NumPy nor one of TensorFlow can change it.
    """

    samples: int
    batch: int
    seed: int

    def __post_init__(self) -> None:
        if not 0 < self.batch <= self.samples:
            raise RefusedError(f"a batch of {self.batch} needs at least as many samples; there are {self.samples}")

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.samples // self.batch

    def epoch_of(self, step: int) -> int:
        """The epoch that a step (both counted from 0) belongs to."""
        return step // self.steps_per_epoch

    def batch_at(self, step: int) -> npt.NDArray[np.int64]:
        """The samples of a step, in order."""
        epoch, position = divmod(step, self.steps_per_epoch)
        places = np.arange(position * self.batch, (position + 1) * self.batch, dtype=np.uint64)
        return permuted(places, self.samples, key(self.seed, epoch))


def key(seed: int, epoch: int) -> np.uint64:
    """One key for each pair; the pair's two halves are mixed one after the other so that neither cancels the other."""
    first = _mix(np.array([seed % 2**64], np.uint64))
    return np.uint64(_mix(first + np.uint64(epoch % 2**64))[0])


def permuted(places: npt.NDArray[np.uint64], size: int, permutation: np.uint64) -> npt.NDArray[np.int64]:
    """Where each place of `range(size)` goes: a Feistel network over the next even power of two, walked until inside."""
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    result = _feistel(places, half, permutation)
    while (outside := result >= size).any():
        result[outside] = _feistel(result[outside], half, permutation)
    return result.astype(np.int64)


def _feistel(values: npt.NDArray[np.uint64], half: int, permutation: np.uint64) -> npt.NDArray[np.uint64]:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for number in range(_ROUNDS):
        left, right = right, left ^ (_mix(right + permutation + np.uint64(number << 32)) & mask)
    return (left << bits) | right


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser: every bit of the input changes about half of the output's; arithmetic is modulo 2**64."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * _MIX[0]
    values = (values ^ (values >> np.uint64(27))) * _MIX[1]
    return values ^ (values >> np.uint64(31))
