"""Trains the example detector: `python -m scoring.examples.detector.train --to <folder>`; minutes on two cores.

A centre-point network: for every cell of 8 x 8 pixels the probability that a shape of each label has its centre there, and
the shape's box. 2000 steps reach the precision and recall in model/manifest.json at an overlap of 0.5.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from scoring.examples.detector.boxes import STRIDE, Box, boxes_of, precision_and_recall
from scoring.examples.detector.shapes import LABELS, SIDE, Shape, scene

_BATCH = 16
_CELLS = SIDE // STRIDE


def build() -> Any:
    """60 thousand parameters; bytes as floats in, heat and geometry out."""
    inputs = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation("relu")(x)
    for dilation in (1, 2, 1):
        y = keras.layers.SeparableConv2D(64, 3, padding="same", dilation_rate=dilation, use_bias=False)(x)
        y = keras.layers.BatchNormalization(momentum=0.9)(y)
        x = keras.layers.Activation("relu")(x + y)
    heat = keras.layers.Conv2D(len(LABELS), 1, bias_initializer=keras.initializers.Constant(-3.0), name="heat")(x)
    geometry = keras.layers.Conv2D(4, 1, name="geometry")(x)
    return keras.Model(inputs, [heat, geometry], name="detector")


def targets(shapes: Sequence[Shape]) -> tuple[Any, Any]:
    """One hot at centres, less around them; geometry and a weight where a centre is."""
    heat = np.zeros((_CELLS, _CELLS, len(LABELS)), np.float32)
    geometry = np.zeros((_CELLS, _CELLS, 5), np.float32)
    rows, columns = np.mgrid[0:_CELLS, 0:_CELLS]
    for shape in shapes:
        x, y = (shape.xmin + shape.xmax) / 2 / STRIDE, (shape.ymin + shape.ymax) / 2 / STRIDE
        column, row = min(int(x), _CELLS - 1), min(int(y), _CELLS - 1)
        around = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 1.0)
        heat[:, :, shape.label] = np.maximum(heat[:, :, shape.label], around)
        size = [np.log((shape.xmax - shape.xmin) / STRIDE), np.log((shape.ymax - shape.ymin) / STRIDE)]
        geometry[row, column] = [x - column, y - row, *size, 1.0]
    return heat, geometry


def train(steps: int, seed: int) -> Any:
    """A trained model; the same seed sees the same scenes."""
    keras.utils.set_random_seed(seed)
    model = build()
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, steps))
    optimizer.build(model.trainable_variables)

    @tf.function  # type: ignore[untyped-decorator,unused-ignore]  # TensorFlow has no types
    def step(images: Any, heat: Any, geometry: Any) -> Any:
        with tf.GradientTape() as tape:
            logits, boxes = model(images, training=True)
            loss = _loss(logits, boxes, heat, geometry)
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    generator = np.random.default_rng(seed)
    for number in range(steps):
        scenes = [scene(generator) for _ in range(_BATCH)]
        wanted = [targets(shapes) for _, shapes in scenes]
        images = np.stack([image for image, _ in scenes]).astype(np.float32)
        loss = step(images, np.stack([heat for heat, _ in wanted]), np.stack([geometry for _, geometry in wanted]))
        if number % 50 == 0:
            sys.stdout.write(f"step {number} loss {float(loss):.4f}\n")
    return model


def _loss(logits: Any, boxes: Any, heat: Any, geometry: Any) -> Any:
    """Focal loss of the centres (CenterNet), and the absolute error of the boxes where there is one."""
    probability = tf.clip_by_value(tf.sigmoid(logits), 1e-4, 1 - 1e-4)
    hit = tf.cast(heat >= 0.999, tf.float32)
    positive = hit * (1 - probability) ** 2 * tf.math.log(probability)
    negative = (1 - hit) * (1 - heat) ** 4 * probability**2 * tf.math.log(1 - probability)
    count = tf.maximum(1.0, tf.reduce_sum(hit))
    apart = tf.reduce_sum(tf.abs(boxes - geometry[..., :4]), axis=-1) * geometry[..., 4]
    return (-tf.reduce_sum(positive + negative) + tf.reduce_sum(apart)) / count


def evaluate(detect: Any, scenes: int, seed: int) -> tuple[float, float]:
    """Precision and recall on scenes that training did not see; `detect` maps an image to boxes."""
    generator = np.random.default_rng(seed)
    found, true = [], []
    for _ in range(scenes):
        image, shapes = scene(generator)
        found.append(detect(image))
        true.append([Box(each.label, 1.0, each.xmin, each.xmax, each.ymin, each.ymax) for each in shapes])
    return precision_and_recall(found, true)


def detect_with(model: Any) -> Any:
    """The Keras model as a function from an image to boxes."""

    def detect(image: Any) -> list[Box]:
        logits, geometry = model(image[None].astype(np.float32), training=False)
        return boxes_of(tf.sigmoid(logits)[0].numpy(), geometry[0].numpy())

    return detect


def export(model: Any, folder: Path, facts: dict[str, Any]) -> None:
    """model.tflite with heat as probabilities, labels.json and manifest.json."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def serve(image: Any) -> Any:
        logits, geometry = model(image, training=False)
        return tf.concat([tf.sigmoid(logits), geometry], axis=-1)

    spec = tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, name="image")
    frozen = convert_variables_to_constants_v2(tf.function(serve, input_signature=[spec]).get_concrete_function())
    folder.mkdir(parents=True, exist_ok=True)
    content = tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
    (folder / "model.tflite").write_bytes(content)
    (folder / "labels.json").write_text(json.dumps(LABELS))
    manifest = facts | {"sha256": hashlib.sha256(content).hexdigest(), "image_size": SIDE}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints precision and recall on 300 scenes of another seed."""
    parser = argparse.ArgumentParser(prog="python -m scoring.examples.detector.train", description=__doc__)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "model")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    model = train(options.steps, options.seed)
    precision, recall = evaluate(detect_with(model), 300, options.seed + 1)
    facts = {"steps": options.steps, "seed": options.seed, "precision": round(precision, 4), "recall": round(recall, 4)}
    export(model, options.to, facts)
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
