"""One image file as upright RGB pixels: what a viewer shows is what is trained on, and what scoring shows the model later."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")


def read(path: Path) -> npt.NDArray[np.uint8]:
    """Orientation applied, transparency on white, the first frame of a film. OSError or ValueError where it is no image."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            upright: Any = ImageOps.exif_transpose(image)
            return np.asarray(_on_white(_eight_bits(upright)))
    except (
        SyntaxError,
        IndexError,
        KeyError,
        TypeError,
        EOFError,
        struct.error,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(f"damaged: {error}") from error


def _eight_bits(image: Any) -> Any:
    """Grey of 16 bits, as PNG has it, scaled; everything else has 8 already."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _on_white(image: Any) -> Any:
    if image.mode not in {"RGBA", "LA", "PA"} and "transparency" not in image.info:
        return image.convert("RGB")
    colours = image.convert("RGBA")
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(colours)
    return page.convert("RGB")
