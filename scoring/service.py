"""What every score.py shares: from an HTTP request to detections as JSON, and to a clear 4xx for what is no image."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from azureml_inference_server_http.api.aml_response import AMLResponse

from scoring.images import ImageError, Limits, Picture, decode

_MOST_IN_A_BATCH = 16
_PART = 2**16  # bytes
_DROPPED = 8  # times the limit


@dataclasses.dataclass(frozen=True, slots=True)
class Detection:
    """One thing that was seen, in pixels of the original image as a viewer shows it (EXIF orientation applied)."""

    xmin: float
    xmax: float
    ymin: float
    ymax: float
    label: str
    score: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Without `score` when there is none."""
        values = dataclasses.asdict(self)
        return values if self.score is not None else {name: value for name, value in values.items() if name != "score"}


@dataclasses.dataclass(frozen=True, slots=True)
class Detector:
    """What a score.py brings: the side of its model's square input, and the model."""

    side: int
    detect: Callable[[Picture], Sequence[Detection]]
    limits: Limits = dataclasses.field(default_factory=Limits)


def answer(request: Any, detector: Detector) -> Any:
    """POST the bytes of one image: a list of detections. POST `{"images": [<base64>, ...]}` as JSON: a list of such lists."""
    if request.method != "POST":
        return _refusal(405, "POST the bytes of an image")
    try:
        body = _body(request, detector.limits)
        if request.mimetype == "application/json":
            images = _batch(body)
            return _json([detections(image, detector) for image in images])
        return _json(detections(body, detector))
    except ImageError as error:
        return _refusal(error.status, str(error))


def warm_up(detector: Detector) -> None:
    """One detection on a blank image, so that the first request does not pay for it."""
    import numpy as np

    detector.detect(Picture(np.zeros((detector.side, detector.side, 3), np.uint8), detector.side, detector.side))


def _body(request: Any, limits: Limits) -> bytes:
    """All of it, in no more memory than the limit; a batch may be as big as its images in base64.

    What is beyond the limit is read and dropped, up to a bound: a client that is still sending would not see the answer.
    """
    most = limits.bytes if request.mimetype != "application/json" else limits.bytes * 2
    stream, kept, size = request.environ["wsgi.input"], bytearray(), 0
    try:
        while size <= _DROPPED * most and (part := stream.read(_PART)):
            size += len(part)
            if size <= most:
                kept += part
    except (OSError, ValueError) as error:  # gunicorn's errors of a broken body are among these
        raise ImageError(400, "the request's body is broken off or malformed") from error
    if size > most:
        raise ImageError(413, f"the request has more than {most} bytes")
    if request.content_length is not None and size < request.content_length:
        raise ImageError(400, "the request ended before its body was complete")
    return bytes(kept)


def _batch(body: bytes) -> list[bytes]:
    try:
        images = json.loads(body)["images"]
        if not isinstance(images, list) or not 0 < len(images) <= _MOST_IN_A_BATCH:
            raise ImageError(400, f"`images` must be a list of 1 to {_MOST_IN_A_BATCH} images in base64")
        return [base64.b64decode(image, validate=True) for image in images]
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, RecursionError) as error:
        raise ImageError(400, 'JSON must be {"images": [<base64>, ...]}; send a single image as its bytes') from error
    except (binascii.Error, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(400, "an image in `images` is not base64") from error


def detections(data: bytes, detector: Detector) -> list[dict[str, Any]]:
    """What one image is answered with."""
    return [each.as_json() for each in detector.detect(decode(data, detector.side, detector.limits))]


def _json(values: object) -> Any:
    return AMLResponse(values, 200, json_str=True)


def _refusal(status: int, message: str) -> Any:
    return AMLResponse({"error": {"code": status, "message": message}}, status, json_str=True)
