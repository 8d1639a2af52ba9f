"""The networks: images of bytes in, as floats from 0 to 255, one logit a label out."""

from __future__ import annotations

from typing import Any

import keras

from trainer.config import Config

_MOMENTUM = 0.9
"""Of batch statistics. Keras gives MobileNetV3 0.999, for runs of a million steps: after a few hundred the statistics that
testing uses would still be those of the first random weights, and the model that learnt would answer like chance."""


def build_model(config: Config, labels: int) -> Any:
    """A network with all its variables, drawn from the configuration's seed."""
    keras.utils.set_random_seed(config.seed)
    inputs = keras.Input((config.image_size, config.image_size, 3), name="image")
    network = {"small_cnn": _small_cnn, "mobilenet_v3_small": _mobilenet}[config.model]
    outputs = keras.layers.Dense(labels, dtype="float32", name="logits")(network(inputs, config))
    return keras.Model(inputs, outputs, name=config.model)


def _small_cnn(inputs: Any, config: Config) -> Any:
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=_MOMENTUM)(x)
        x = keras.layers.Activation("relu")(x)
        x = keras.layers.AveragePooling2D(2)(x)  # the gradient of max pooling has no deterministic XLA kernel
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    return keras.layers.Dropout(config.dropout, seed=config.seed)(x)


def _mobilenet(inputs: Any, config: Config) -> Any:
    network = keras.applications.MobileNetV3Small(
        input_tensor=inputs, include_top=False, weights=None, pooling="avg", include_preprocessing=True
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = _MOMENTUM
    return keras.layers.Dropout(config.dropout, seed=config.seed)(network.output)


def build_optimizer(config: Config, total_steps: int) -> Any:
    """Adam; the learning rate is a function of the optimizer's own step counter, so it is saved with it."""
    rate: Any = config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps)
    optimizer = keras.optimizers.Adam(rate)
    if config.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
