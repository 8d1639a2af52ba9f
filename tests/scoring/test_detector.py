"""The example detector finds shapes that it never saw, and gives their boxes in pixels of the original image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scoring.examples.detector.boxes import Box, boxes_of, overlap, precision_and_recall
from scoring.examples.detector.shapes import LABELS, SIDE, scene
from scoring.local_service import LocalService
from scoring.models import LiteModel
from tests.scoring import pictures

_FOLDER = Path(__file__).parents[2] / "scoring" / "examples" / "detector"


def test_precision_and_recall_of_the_model_that_is_shipped() -> None:
    model = LiteModel(_FOLDER / "model" / "model.tflite")
    generator = np.random.default_rng(12345)
    found, true = [], []
    for _ in range(150):
        image, shapes = scene(generator)
        maps = model(image)[0][0]
        found.append(boxes_of(maps[..., :-4], maps[..., -4:]))
        true.append([Box(each.label, 1.0, each.xmin, each.xmax, each.ymin, each.ymax) for each in shapes])
    precision, recall = precision_and_recall(found, true)
    assert precision >= 0.8
    assert recall >= 0.8


@pytest.fixture(scope="module")
def service() -> Iterator[LocalService]:
    with LocalService(_FOLDER / "score.py", _FOLDER / "model") as running:
        yield running


@pytest.mark.parametrize("stretch", [(1, 1), (4, 2)])
def test_boxes_are_in_pixels_of_the_original_image(service: LocalService, stretch: tuple[int, int]) -> None:
    generator = np.random.default_rng(4)
    found = wanted = 0
    for _ in range(10):
        image, shapes = scene(generator)
        big = Image.fromarray(image).resize((SIDE * stretch[0], SIDE * stretch[1]), Image.Resampling.NEAREST)
        answers = json.loads(service.score(pictures.png(big)))
        boxes = [
            Box(LABELS.index(each["label"]), 1, each["xmin"], each["xmax"], each["ymin"], each["ymax"])
            for each in answers
        ]
        for shape in shapes:
            wanted += 1
            xs, ys = (
                (shape.xmin * stretch[0], shape.xmax * stretch[0]),
                (shape.ymin * stretch[1], shape.ymax * stretch[1]),
            )
            true = Box(shape.label, 1, *xs, *ys)
            found += any(box.label == true.label and overlap(box, true) > 0.5 for box in boxes)
    assert found / wanted >= 0.75
    assert json.loads(service.score(pictures.png(Image.new("RGB", (300, 200), "grey")))) == []


def test_overlap_is_intersection_over_union() -> None:
    one = Box(0, 1, 0, 10, 0, 10)
    assert overlap(one, one) == 1
    assert overlap(one, Box(0, 1, 5, 15, 0, 10)) == pytest.approx(1 / 3)
    assert overlap(one, Box(0, 1, 10, 20, 0, 10)) == 0


def test_a_wrong_label_and_a_second_box_of_one_shape_are_no_hits() -> None:
    true = [[Box(0, 1, 0, 10, 0, 10)]]
    assert precision_and_recall([[Box(1, 1, 0, 10, 0, 10)]], true) == (0, 0)
    assert precision_and_recall([[Box(0, 0.9, 0, 10, 0, 10), Box(0, 0.8, 0, 10, 0, 10)]], true) == (0.5, 1)


def test_training_lowers_the_loss_and_exports_what_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from scoring.examples.detector.train import export, train

    model = train(51, seed=3)
    said = capsys.readouterr().out.splitlines()
    first, last = (float(line.split()[-1]) for line in said)
    assert last < first / 2
    export(model, tmp_path, {"steps": 51})
    image, _ = scene(np.random.default_rng(1))
    logits, geometry = model(image[None].astype(np.float32), training=False)
    served = LiteModel(tmp_path / "model.tflite")(image)[0][0]
    assert served[..., -4:] == pytest.approx(geometry[0].numpy(), abs=1e-3)
    assert served[..., :-4] == pytest.approx(1 / (1 + np.exp(-logits[0].numpy())), abs=1e-4)
