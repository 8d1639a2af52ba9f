"""From untrusted bytes to upright RGB pixels, with every bound checked before memory is spent."""

from __future__ import annotations

import dataclasses
import io
import struct
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
_ORIENTATION = 0x0112  # EXIF's tag
_START_OF_SCAN = b"\xff\xda"  # a JPEG's marker; in pixels 0xff is always followed by another byte
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What one image may cost."""

    bytes: int = 8 * 2**20
    pixels: int = 16_000_000
    """A phone's photograph has 12 million. Decoding holds up to 16 bytes of each (WebP; others 4 to 12), for a moment."""
    scans: int = 64
    """Of a progressive JPEG; usual ones have ten. Each goes over all pixels again, in a few bytes of the file."""


class ImageError(ValueError):
    """Bytes that are no usable image; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """An image the way a viewer shows it."""

    rgb: npt.NDArray[np.uint8]
    """side x side x 3, squeezed to the model's input."""
    width: int
    height: int
    """Of the original, upright."""


def decode(data: bytes, side: int, limits: Limits) -> Picture:
    """Orientation applied, transparency laid on white, grey and palettes turned to RGB, only the first frame of a film.

    The number of pixels is read from the header and refused before anything is decompressed.
    """
    if not data:
        raise ImageError(400, "the request is empty; send the bytes of an image")
    if len(data) > limits.bytes:
        raise ImageError(413, f"{len(data)} bytes; at most {limits.bytes} are taken")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _read(data, side, limits)
    except UnidentifiedImageError as error:
        raise ImageError(400, f"this is no image of a known format ({', '.join(_FORMATS)})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise ImageError(413, "the image is too big to be decoded") from error
    except (OSError, SyntaxError, ValueError, struct.error, IndexError, KeyError, EOFError, TypeError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(400, f"the image is truncated or damaged: {error}") from error


def _read(data: bytes, side: int, limits: Limits) -> Picture:
    image: Any = Image.open(io.BytesIO(data), formats=_FORMATS)
    width, height = image.size
    if width * height > limits.pixels:
        raise ImageError(413, f"{width} x {height} pixels; at most {limits.pixels} are taken")
    if image.format == "JPEG" and data.count(_START_OF_SCAN) > limits.scans:
        raise ImageError(413, f"a JPEG of more than {limits.scans} scans")
    turn = _UPRIGHT.get(_orientation(image))
    image.draft("RGB", (2 * side, 2 * side))  # JPEG decodes to a smaller size at once
    image.load()
    image = _flat(_smaller(_with_channels(image), side))
    if turn is not None:
        image = image.transpose(turn)
        width, height = (height, width) if turn in _SIDEWAYS else (width, height)
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    return Picture(pixels, width, height)


_SIDEWAYS = {_UPRIGHT[number] for number in (5, 6, 7, 8)}


def _orientation(image: Any) -> int:
    """From the header; what cannot be read counts as upright, as viewers do."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1


def _with_channels(image: Any) -> Any:
    """A mode that can be shrunk: RGBA where there is transparency, RGB or grey otherwise; 16 bits scaled to 8."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # of 65535, as PNG has it
    if image.mode == "RGBA":
        return image
    if image.mode in {"LA", "PA"} or "transparency" in image.info:
        return image.convert("RGBA")
    return image if image.mode in {"RGB", "L"} else image.convert("RGB")


def _smaller(image: Any, side: int) -> Any:
    """Averaged down by whole numbers, as long as each side stays at least twice the model's: cheap, and little memory."""
    factors = tuple(max(1, length // (2 * side)) for length in image.size)
    return image.reduce(factors) if max(factors) > 1 else image


def _flat(image: Any) -> Any:
    """Without transparency, on white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image)
    return page.convert("RGB")
