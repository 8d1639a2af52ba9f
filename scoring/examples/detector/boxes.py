"""From the detector's maps to boxes, and how good boxes are: peaks, overlap, precision and recall. No framework."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

STRIDE = 8
_MOST = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """In pixels of the model's input."""

    label: int
    score: float
    xmin: float
    xmax: float
    ymin: float
    ymax: float


def boxes_of(heat: npt.NDArray[np.float32], geometry: npt.NDArray[np.float32], threshold: float = 0.3) -> list[Box]:
    """`heat` has the probability of a centre for each cell and label, `geometry` offset x, y and log of width, height."""
    peaks = (heat == _neighbourhood_maximum(heat)) & (heat >= threshold)
    rows, columns, labels = np.where(peaks)
    order = np.argsort(-heat[rows, columns, labels])[:_MOST]
    found: list[Box] = []
    for row, column, label in zip(rows[order], columns[order], labels[order], strict=True):
        x, y, width, height = geometry[row, column]
        x, y = (column + x) * STRIDE, (row + y) * STRIDE
        width, height = np.exp(width) * STRIDE, np.exp(height) * STRIDE
        box = Box(
            int(label), float(heat[row, column, label]), x - width / 2, x + width / 2, y - height / 2, y + height / 2
        )
        if all(overlap(box, other) < 0.5 for other in found):
            found.append(box)
    return found


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.xmax, other.xmax) - max(one.xmin, other.xmin)
    height = min(one.ymax, other.ymax) - max(one.ymin, other.ymin)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = [(each.xmax - each.xmin) * (each.ymax - each.ymin) for each in (one, other)]
    return both / (sum(areas) - both)


def precision_and_recall(
    found: Sequence[Sequence[Box]], true: Sequence[Sequence[Box]], least: float = 0.5
) -> tuple[float, float]:
    """A found box is right when it covers a true one of its label that no better one took."""
    right = 0
    for boxes, truths in zip(found, true, strict=True):
        left = list(truths)
        for box in sorted(boxes, key=lambda each: -each.score):
            match = max(left, key=lambda each: overlap(box, each), default=None)
            if match is not None and match.label == box.label and overlap(box, match) >= least:
                left.remove(match)
                right += 1
    return right / max(1, sum(map(len, found))), right / max(1, sum(map(len, true)))


def _neighbourhood_maximum(heat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Of each cell and its eight neighbours, over all labels: one shape has one centre."""
    padded = np.pad(heat.max(axis=2), 1)
    height, width = heat.shape[:2]
    shifted = [padded[row : row + height, column : column + width] for row in range(3) for column in range(3)]
    result: npt.NDArray[np.float32] = np.max(shifted, axis=0)[:, :, None]
    return result
