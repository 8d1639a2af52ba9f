"""Scenes of discs, squares and triangles on noise, with their boxes: what the example detector is trained and tested on."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

LABELS = ("disc", "square", "triangle")
SIDE = 96


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """One shape; its box in pixels."""

    label: int
    xmin: float
    xmax: float
    ymin: float
    ymax: float


def scene(generator: np.random.Generator, side: int = SIDE) -> tuple[npt.NDArray[np.uint8], list[Shape]]:
    """One to four shapes that do not touch, in any colour that is not the background's."""
    background = generator.integers(0, 256, 3)
    image = np.clip(background + generator.normal(0, 12, (side, side, 3)), 0, 255)
    shapes: list[Shape] = []
    for _ in range(int(generator.integers(1, 5))):
        radius = generator.uniform(0.08, 0.2) * side
        x, y = generator.uniform(radius, side - radius, 2)
        if any(_near(other, x, y, radius) for other in shapes):
            continue
        colour = (background + generator.integers(70, 186, 3)) % 256
        label = int(generator.integers(len(LABELS)))
        mask = _mask(label, side, x, y, radius)
        image[mask] = np.clip(colour + generator.normal(0, 8, (int(mask.sum()), 3)), 0, 255)
        rows, columns = np.where(mask)
        shapes.append(Shape(label, *map(float, (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1))))
    return image.astype(np.uint8), shapes


def _near(other: Shape, x: float, y: float, radius: float) -> bool:
    apart_x = abs((other.xmin + other.xmax) / 2 - x) - (other.xmax - other.xmin) / 2
    apart_y = abs((other.ymin + other.ymax) / 2 - y) - (other.ymax - other.ymin) / 2
    return max(apart_x, apart_y) < radius + 2


def _mask(label: int, side: int, x: float, y: float, radius: float) -> npt.NDArray[np.bool_]:
    rows, columns = np.mgrid[0:side, 0:side] + 0.5
    match LABELS[label]:
        case "disc":
            inside = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
        case "square":
            inside = (abs(columns - x) <= radius * 0.9) & (abs(rows - y) <= radius * 0.9)
        case _:
            inside = (rows <= y + radius * 0.8) & (abs(columns - x) <= (rows - y + radius) * 0.6)
    result: npt.NDArray[np.bool_] = inside
    return result
