"""A network answers in testing as it learnt to in training, within the few hundred steps that a small data set has."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from trainer.config import QUICKTEST
from trainer.models import build_model


@pytest.mark.parametrize("name", ["small_cnn", "mobilenet_v3_small"])
def test_the_statistics_that_testing_uses_are_those_of_the_batches_after_some_epochs(name: Any) -> None:
    config = dataclasses.replace(QUICKTEST, model=name, image_size=32, dropout=0.0)
    model = build_model(config, 4)
    images = np.random.default_rng(1).uniform(0, 255, (32, 32, 32, 3)).astype(np.float32)
    learn = tf.function(lambda: model(images, training=True), autograph=False)
    trained = learn()
    for _ in range(120):
        learn()
    tested = model(images, training=False)
    assert np.abs(trained - tested).mean() < 0.1 * np.abs(trained).mean()
