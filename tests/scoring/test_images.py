"""Untrusted bytes become upright RGB pixels, or a refusal."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scoring.images import ImageError, Limits, decode
from tests.scoring import pictures

_UPRIGHT_TO_STORED = {  # how a camera that is held so stores the upright picture
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


@pytest.mark.parametrize("orientation", _UPRIGHT_TO_STORED)
def test_an_image_is_seen_the_way_a_viewer_shows_it(orientation: int) -> None:
    upright = pictures.quadrants()
    turn = _UPRIGHT_TO_STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(pictures.saved(stored, "PNG", exif=exif), 20, Limits())
    assert (picture.width, picture.height) == upright.size
    corners = [tuple(picture.rgb[y, x]) for y in (2, 17) for x in (2, 17)]
    assert corners == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def _transparent() -> Image.Image:
    image = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 5, 10))
    return image


@pytest.mark.parametrize(
    ("image", "left", "right"),
    [
        pytest.param(_transparent(), (0, 0, 255), (255, 255, 255), id="alpha-lies-on-white"),
        pytest.param(Image.new("L", (10, 10), 77), (77, 77, 77), (77, 77, 77), id="grey"),
        pytest.param(Image.new("LA", (10, 10), (77, 255)), (77, 77, 77), (77, 77, 77), id="grey-alpha"),
        pytest.param(Image.new("1", (10, 10), 1), (255, 255, 255), (255, 255, 255), id="one-bit"),
        pytest.param(_transparent().quantize(), (0, 0, 255), (255, 255, 255), id="palette-with-transparency"),
        pytest.param(
            Image.fromarray(np.full((10, 10), 65535, np.uint16)), (255, 255, 255), (255, 255, 255), id="sixteen-bits"
        ),
        pytest.param(
            Image.fromarray(np.full((10, 10), 77 * 257, np.uint16)), (77, 77, 77), (77, 77, 77), id="sixteen-bits-dark"
        ),
    ],
)
def test_every_kind_of_image_becomes_rgb(
    image: Image.Image, left: tuple[int, int, int], right: tuple[int, int, int]
) -> None:
    picture = decode(pictures.png(image), 10, Limits())
    assert tuple(picture.rgb[5, 1]) == left
    assert tuple(picture.rgb[5, 8]) == right


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "GIF", "WEBP", "PNG"])
def test_every_usual_format_is_read(kind: str) -> None:
    picture = decode(pictures.saved(pictures.quadrants(400, 300), kind), 32, Limits())
    assert (picture.rgb.shape, picture.width, picture.height) == ((32, 32, 3), 400, 300)
    assert picture.rgb[4, 4].astype(int) == pytest.approx([255, 0, 0], abs=12)


@pytest.mark.parametrize("name", pictures.bad())
def test_what_is_no_image_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(ImageError) as refusal:
        decode(pictures.bad()[name], 32, Limits())
    assert refusal.value.status == 400
    assert str(refusal.value)


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    data = pictures.bomb(20_000, 10_000)
    assert len(data) < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(ImageError) as refusal:
            decode(data, 32, Limits())
        assert refusal.value.status == 413
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_jpeg_that_makes_decoding_last_for_hours_is_refused_at_once() -> None:
    with pytest.raises(ImageError, match="scans") as refusal:
        decode(pictures.scans(80), 32, Limits())
    assert refusal.value.status == 413
    usual = pictures.saved(pictures.quadrants(400, 300), "JPEG", progressive=True)
    assert usual.count(b"\xff\xda") > 5
    assert decode(usual, 32, Limits()).width == 400


@pytest.mark.parametrize("size", [(8_000_000, 1), (1, 8_000_000), (40_000, 200)])
def test_a_picture_of_any_shape_costs_a_few_bytes_a_pixel(size: tuple[int, int]) -> None:
    data = pictures.bomb(*size)
    before, _ = peak()
    assert decode(data, 32, Limits()).rgb.shape == (32, 32, 3)
    assert peak()[1] - before < 100_000_000


@pytest.mark.parametrize("name", pictures.biggest())
def test_decoding_holds_at_most_sixteen_bytes_a_pixel(name: str) -> None:
    data = pictures.biggest()[name]
    before, _ = peak()
    assert decode(data, 32, Limits()).width == 4000
    assert peak()[1] - before < 16 * 4000 * 4000 + 10_000_000


def peak() -> tuple[int, int]:
    """Bytes that this process has in memory now, and the most that it had since the last call."""
    status = Path("/proc/self/status").read_text()
    now, most = (int(status.split(f"{name}:")[1].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return now, most


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(ImageError) as refusal:
        decode(bytes(1001), 32, Limits(bytes=1000))
    assert refusal.value.status == 413


def test_every_cut_of_an_image_is_refused_or_read_and_nothing_else() -> None:
    whole = io.BytesIO(pictures.png(pictures.quadrants())).getvalue()
    for end in range(len(whole)):
        with contextlib.suppress(ImageError):
            decode(whole[:end], 8, Limits())
