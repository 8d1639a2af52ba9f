"""Serves the example detector: every disc, square and triangle in an image, with its box."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from azureml_inference_server_http.api.aml_request import rawhttp

from scoring.examples.detector.boxes import boxes_of
from scoring.images import Picture
from scoring.models import LiteModel, labels_of, model_folder
from scoring.service import Detection, Detector, answer, warm_up

_READY: list[Detector] = []
_GEOMETRY = 4  # the last channels; those before are one for each label


def load() -> Detector:
    """The registered model; the one beside this script where none is given."""
    os.environ.setdefault("AZUREML_MODEL_DIR", str(Path(__file__).parent / "model"))
    folder = model_folder()
    model, labels = LiteModel(folder / "model.tflite"), labels_of(folder)

    def detect(picture: Picture) -> Sequence[Detection]:
        maps = model(picture.rgb)[0][0]
        across, down = picture.width / model.side, picture.height / model.side
        return [
            Detection(
                xmin=round(max(0.0, box.xmin * across), 2),
                xmax=round(min(picture.width, box.xmax * across), 2),
                ymin=round(max(0.0, box.ymin * down), 2),
                ymax=round(min(picture.height, box.ymax * down), 2),
                label=labels[box.label],
                score=round(box.score, 4),
            )
            for box in boxes_of(maps[..., :-_GEOMETRY], maps[..., -_GEOMETRY:])
        ]

    return Detector(model.side, detect)


def init() -> None:
    """The server is ready when this returns."""
    detector = load()
    warm_up(detector)
    _READY[:] = [detector]


@rawhttp
def run(request: Any) -> Any:
    """See scoring.service.answer."""
    return answer(request, _READY[0])
