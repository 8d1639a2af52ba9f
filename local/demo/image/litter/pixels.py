"""From an image's pixels to the model's input: a centred square, scaled, normalized, channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Pixel = Sequence[int]
Plane = tuple[tuple[float, ...], ...]
Rows = Sequence[Sequence[Any]]

SIZE = 8
"""Edge of the model's input in pixels."""
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


def to_tensor(rows: Sequence[Sequence[Pixel]]) -> tuple[Plane, ...]:
    """Rows of (red, green, blue) from 0 to 255 -> three planes of SIZE x SIZE floats."""
    square = resize(centre_square(_checked(rows)), SIZE)
    return tuple(
        tuple(tuple((pixel[channel] / 255 - mean) / deviation for pixel in row) for row in square)
        for channel, (mean, deviation) in enumerate(zip(MEAN, DEVIATION, strict=True))
    )


def centre_square(rows: Rows) -> list[Sequence[Any]]:
    """The largest square around the middle; an odd rest is cut below and on the right."""
    height, width = len(rows), len(rows[0])
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    return [row[left : left + edge] for row in rows[top : top + edge]]


def resize(rows: Rows, edge: int) -> list[list[Any]]:
    """Nearest neighbour, sampled in the middle of each target pixel."""
    source = len(rows)
    picks = [min(source - 1, int((index + 0.5) * source / edge)) for index in range(edge)]
    return [[rows[y][x] for x in picks] for y in picks]


def _checked(rows: Sequence[Sequence[Pixel]]) -> Sequence[Sequence[Pixel]]:
    if not rows or not rows[0]:
        raise ValueError("it has no pixels")
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("its rows differ in length")
    if any(len(pixel) != 3 or not all(0 <= value <= 255 for value in pixel) for row in rows for pixel in row):
        raise ValueError("a pixel is not red, green and blue from 0 to 255")
    return rows
