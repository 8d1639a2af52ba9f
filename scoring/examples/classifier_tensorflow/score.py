"""Serves what the trainer exported, with TensorFlow: for models that LiteRT cannot run; bigger and slower to start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from azureml_inference_server_http.api.aml_request import rawhttp

from scoring.images import Picture
from scoring.models import labels_of, model_folder, saved_model
from scoring.service import Detection, Detector, answer, warm_up

_READY: list[Detector] = []


def load() -> Detector:
    """The export's SavedModel."""
    folder = model_folder()
    side = int(json.loads((folder / "manifest.json").read_text())["image_size"])
    model, labels = saved_model(folder / "model"), labels_of(folder)

    def detect(picture: Picture) -> Sequence[Detection]:
        probabilities = model(picture.rgb)
        best = int(probabilities.argmax())
        return [Detection(0, picture.width, 0, picture.height, labels[best], round(float(probabilities[best]), 6))]

    return Detector(side, detect)


def init() -> None:
    """The server is ready when this returns."""
    detector = load()
    warm_up(detector)
    _READY[:] = [detector]


@rawhttp
def run(request: Any) -> Any:
    """See scoring.service.answer."""
    return answer(request, _READY[0])
