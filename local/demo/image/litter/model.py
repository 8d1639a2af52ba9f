"""The classifier: the mean of each colour plane, one linear layer, softmax; its weights belong to an order of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from litter.labels import load_labels
from litter.pixels import Plane

WEIGHTS = (
    (0.2, 0.4, 1.1),
    (-0.9, 1.6, 0.3),
    (0.1, -0.2, -0.1),
    (0.8, 0.7, 0.5),
    (1.7, 0.3, -1.4),
    (-0.4, -0.5, -0.6),
)
"""One row a class, in the order of the training data's manifest: plastic, glass, metal, paper, cigarette, other."""
BIAS = (0.05, 0.0, 0.1, -0.3, -0.2, 0.0)


def predict(tensor: Sequence[Plane]) -> list[tuple[str, float]]:
    """(label, probability) of every class, the most probable first."""
    labels = load_labels()
    if len(labels) != len(WEIGHTS):
        raise ValueError(f"{len(labels)} labels for {len(WEIGHTS)} classes")
    means = [sum(map(sum, plane)) / sum(map(len, plane)) for plane in tensor]
    scores = [_dot(row, means) + bias for row, bias in zip(WEIGHTS, BIAS, strict=True)]
    return sorted(zip(labels, softmax(scores), strict=True), key=lambda found: -found[1])


def softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities; the largest score is taken off first, so no exponent overflows."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    return [power / sum(powers) for power in powers]


def _dot(row: Sequence[float], means: Sequence[float]) -> float:
    return sum(weight * mean for weight, mean in zip(row, means, strict=True))
