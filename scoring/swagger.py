"""The API's description, in the two versions that the inference server hands out: /swagger.json?version=2 or 3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_NUMBER = {"type": "number"}
_DETECTION = {
    "type": "object",
    "description": "In pixels of the image as a viewer shows it, EXIF orientation applied.",
    "required": ["xmin", "xmax", "ymin", "ymax", "label"],
    "properties": {"xmin": _NUMBER, "xmax": _NUMBER, "ymin": _NUMBER, "ymax": _NUMBER,
                   "label": {"type": "string"}, "score": _NUMBER},
}  # fmt: skip
_INFO = {"title": "Detections", "version": "1", "description": "POST the bytes of a PNG, JPEG, BMP, GIF or WebP image."}
_REFUSALS = {"400": "No image, or a damaged one", "413": "Too many bytes or pixels"}


def version_3() -> dict[str, Any]:
    """OpenAPI 3: one image as its bytes, or a batch as JSON."""
    detections = {"type": "array", "items": {"$ref": "#/components/schemas/Detection"}}
    batch = {
        "type": "object",
        "required": ["images"],
        "properties": {"images": {"type": "array", "maxItems": 16, "items": {"type": "string", "format": "byte"}}},
    }
    answer = {"oneOf": [detections, {"type": "array", "items": detections}]}
    return {
        "openapi": "3.0.3",
        "info": _INFO,
        "paths": {"/score": {"post": {
            "operationId": "score",
            "requestBody": {"required": True, "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "application/json": {"schema": batch},
            }},
            "responses": {"200": {"description": "Detections", "content": {"application/json": {"schema": answer}}}}
            | {status: {"description": text} for status, text in _REFUSALS.items()},
        }}},
        "components": {"schemas": {"Detection": _DETECTION}},
    }  # fmt: skip


def version_2() -> dict[str, Any]:
    """Swagger 2, which cannot say that one path takes two kinds of body: the single image."""
    detections = {"type": "array", "items": {"$ref": "#/definitions/Detection"}}
    return {
        "swagger": "2.0",
        "info": _INFO,
        "consumes": ["application/octet-stream"],
        "produces": ["application/json"],
        "paths": {"/score": {"post": {
            "operationId": "score",
            "parameters": [{"name": "image", "in": "body", "required": True, "schema": {"type": "string", "format": "binary"}}],
            "responses": {"200": {"description": "Detections", "schema": detections}}
            | {status: {"description": text} for status, text in _REFUSALS.items()},
        }}},
        "definitions": {"Detection": _DETECTION},
    }  # fmt: skip


def write(folder: Path) -> None:
    """Where the server looks for them: beside the scoring script (AML_APP_ROOT)."""
    (folder / "swagger2.json").write_text(json.dumps(version_2(), indent=2) + "\n")
    (folder / "swagger3.json").write_text(json.dumps(version_3(), indent=2) + "\n")


if __name__ == "__main__":
    for place in ("skeleton", "examples/classifier", "examples/classifier_tensorflow", "examples/detector"):
        write(Path(__file__).parent / place)
