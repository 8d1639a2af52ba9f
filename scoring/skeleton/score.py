"""A scoring script to start from: replace `load` and `detect`. The Azure ML inference server calls `init` and `run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from azureml_inference_server_http.api.aml_request import rawhttp

from scoring.images import Picture
from scoring.service import Detection, Detector, answer, warm_up

_READY: list[Detector] = []


def load() -> Detector:
    """Called once a process. Load the model from `scoring.models.model_folder()` here; 64 is the side of its input."""
    return Detector(side=64, detect=detect)


def detect(picture: Picture) -> Sequence[Detection]:
    """`picture.rgb` is what the model takes; answer in pixels of the original, `picture.width` x `picture.height`."""
    brightness = float(picture.rgb.mean()) / 255
    label = "bright" if brightness >= 0.5 else "dark"
    return [Detection(0, picture.width, 0, picture.height, label)]


def init() -> None:
    """The server is ready when this returns."""
    detector = load()
    warm_up(detector)
    _READY[:] = [detector]


@rawhttp
def run(request: Any) -> Any:
    """The request's body is an image, or a batch of them as JSON."""
    return answer(request, _READY[0])
