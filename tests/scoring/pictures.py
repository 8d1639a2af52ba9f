"""Images for tests, made here: whole ones of every kind, and bad ones."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image


def png(image: Image.Image) -> bytes:
    return saved(image, "PNG")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def quadrants(width: int = 40, height: int = 20) -> Image.Image:
    """Red, green over blue, white: every turn and mirroring of it looks different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    pixels[height // 2 :, width // 2 :] = (255, 255, 255)
    return Image.fromarray(pixels)


def bomb(width: int, height: int) -> bytes:
    """A PNG of these dimensions in a few kilobytes: every row is zero."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + width * 3)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bad() -> dict[str, bytes]:
    """What is no usable image."""
    whole = png(Image.effect_noise((64, 64), 50))
    jpeg = saved(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")
    generator = np.random.default_rng(1)
    return {
        "empty": b"",
        "text": b"hello",
        "html": b"<html></html>",
        "random": generator.bytes(5000),
        "png-signature": whole[:8],
        "png-header": whole[:33],
        "png-half": whole[: len(whole) // 2],
        "jpeg-half": jpeg[: len(jpeg) // 2],
        "jpeg-marker": b"\xff\xd8\xff",
        "gif-header": b"GIF89a\x01\x00",
        "webp-header": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
        "bmp-header": b"BM" + bytes(10),
        "tiff": saved(quadrants(), "TIFF"),
        "zero-pixels": whole[:16] + bytes(8) + whole[24:],
        "flipped-bits": whole[:40] + bytes(each ^ 0x55 for each in whole[40:]),
    }


def scans(count: int) -> bytes:
    """A small progressive JPEG of 16 million pixels, whose last scan comes again and again."""
    target = io.BytesIO()
    Image.new("L", (4000, 4000)).save(target, "JPEG", progressive=True)
    whole = target.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * count + whole[-2:]


@functools.cache
def biggest() -> dict[str, bytes]:
    """Of the kinds that are dear to decode, with as many pixels as are taken."""
    size = (4000, 4000)
    noise = Image.effect_noise((500, 500), 60).convert("RGB").resize(size)
    return {
        "progressive": saved(noise, "JPEG", quality=20, progressive=True, subsampling=0),
        "alpha": png(Image.new("RGBA", size)),
        "sixteen-bits": png(Image.fromarray(np.zeros(size, np.uint16))),
        "palette": saved(Image.new("P", size), "PNG", transparency=0),
        "webp": saved(Image.new("RGB", size), "WEBP", quality=1, method=0),
        "grey-alpha": png(Image.new("LA", size)),
    }
