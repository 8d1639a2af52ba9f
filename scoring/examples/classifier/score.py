"""Serves what the trainer exported, with LiteRT: one detection, the whole image, with the most probable label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from azureml_inference_server_http.api.aml_request import rawhttp

from scoring.images import Picture
from scoring.models import LiteModel, labels_of, model_folder
from scoring.service import Detection, Detector, answer, warm_up

_READY: list[Detector] = []


def load() -> Detector:
    """The export's model.tflite."""
    folder = model_folder()
    model, labels = LiteModel(folder / "model.tflite"), labels_of(folder)

    def detect(picture: Picture) -> Sequence[Detection]:
        probabilities = model(picture.rgb)[0][0]
        best = int(probabilities.argmax())
        return [Detection(0, picture.width, 0, picture.height, labels[best], round(float(probabilities[best]), 6))]

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
