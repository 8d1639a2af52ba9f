"""The trained model as others take it: a SavedModel with a signature, a LiteRT file, samples, and a manifest of it all."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from trainer.config import Config
from trainer.datasets import Data
from trainer.manifest import digest_of, sha256_of

_SAMPLES = 4


class Serving(tf.Module):  # type: ignore[misc,unused-ignore]  # TensorFlow has no types
    """Bytes of images of any size in; label probabilities out: the signature `serving_default`.

    Only the variables are attributes. The layers would be saved as objects too, and loading them takes as long as all the rest.
    """

    def __init__(self, model: Any, label_names: tuple[str, ...]) -> None:
        super().__init__()
        self.weights = [each.value for each in model.variables]
        self.labels = tf.constant(label_names)
        side = model.input_shape[1]

        def serve(image: Any) -> dict[str, Any]:
            small = tf.image.resize(tf.cast(image, tf.float32), (side, side), antialias=True)
            return {"probabilities": tf.nn.softmax(model(small, training=False)), "labels": self.labels}

        spec = tf.TensorSpec([None, None, None, 3], tf.uint8, name="image")
        self.serve = tf.function(serve, autograph=False, input_signature=[spec])


def export(model: Any, config: Config, data: Data, facts: Mapping[str, Any], folder: Path) -> Path:
    """Write everything below `folder` and publish it by one rename; an export of an earlier life is replaced.

    `facts` go into the manifest as they are: metrics, state digest, step, exactness.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    serving = Serving(model, data.label_names)
    tf.saved_model.save(serving, str(part / "model"), signatures={"serving_default": serving.serve})
    (part / "model.tflite").write_bytes(_lite(model))
    (part / "labels.json").write_text(json.dumps(data.label_names))
    samples = _samples(serving, data, part / "samples")
    (part / "samples.json").write_text(json.dumps([_request(sample, part) for sample in samples]))
    manifest = {
        "model": config.model, "config": config.as_json(), "data": data.digest, "labels": data.label_names,
        "image_size": config.image_size, "samples": samples, **facts, **_origin(),
        "files": {str(path.relative_to(part)): sha256_of(path) for path in sorted(part.rglob("*")) if path.is_file()},
    }  # fmt: skip
    manifest["digest"] = digest_of(manifest["files"])
    (part / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def _lite(model: Any) -> bytes:
    """Floats from 0 to 255 of one image of the model's own size in, probabilities out; runs without TensorFlow.

    The variables are frozen here: left to itself the converter keeps them as variables that nothing fills.
    """

    def serve_one(image: Any) -> Any:
        return tf.nn.softmax(model(image, training=False))

    spec = tf.TensorSpec([1, *model.input_shape[1:]], tf.float32, name="image")
    function = tf.function(serve_one, autograph=False, input_signature=[spec])
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    converted: bytes = tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
    return converted


def _samples(serving: Serving, data: Data, folder: Path) -> list[dict[str, Any]]:
    """Requests with the answers of this model: whoever deploys it can ask the same."""
    folder.mkdir()
    samples = []
    for number in range(min(_SAMPLES, len(data.test))):
        image = data.test.read(number)
        name = f"samples/{number}.png"
        (folder.parent / name).write_bytes(tf.io.encode_png(image).numpy())
        colour = image if image.shape[-1] == 3 else image.repeat(3, axis=-1)
        probabilities = serving.serve(tf.constant(colour[None]))["probabilities"].numpy()[0]
        samples.append(
            {"request": name, "label": data.label_names[data.test.labels[number]],
             "answer": data.label_names[int(probabilities.argmax())], "score": round(float(probabilities.max()), 6)}
        )  # fmt: skip
    return samples


def _request(sample: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A sample as scoring takes and answers it in JSON: one image, whose only detection is all of it. Whoever delivers the
    model asks this of each new deployment."""
    content = (folder / sample["request"]).read_bytes()
    height, width, _ = tf.io.decode_png(content).shape
    detection = {
        "xmin": 0,
        "xmax": width,
        "ymin": 0,
        "ymax": height,
        "label": sample["answer"],
        "score": sample["score"],
    }
    return {"request": {"images": [base64.b64encode(content).decode()]}, "response": [[detection]]}


def _origin() -> dict[str, str]:
    """Which image and commit trained it; the Dockerfile and the job set these."""
    return {
        "image": os.environ.get("TRAINER_IMAGE", "unknown"),
        "revision": os.environ.get("TRAINER_REVISION", "unknown"),
    }
