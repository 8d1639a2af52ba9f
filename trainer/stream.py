"""Batches from step g on, for one worker: shuffled and augmented by arithmetic on g, so that no pipeline has a state."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.datasets import Split
from trainer.order import Order
from trainer.refusal import RefusedError

_SHIFT = 0.08  # of a side, either way


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """The part of each global batch that one worker computes: `replicas` slices from `first` on, of `of` in all."""

    first: int = 0
    replicas: int = 1
    of: int = 1


def training_batches(split: Split, order: Order, share: Share, start: int, stop: int, *, augment: bool) -> Any:
    """(images, labels) of this worker's slices of the global steps from `start` to before `stop`, in order.

    An image's augmentation is keyed by (seed, step, place in the global batch): it is the same however many workers share
    the batch, and whether or not the run was interrupted.
    """
    if order.batch % share.of:
        raise RefusedError(f"a batch of {order.batch} does not divide among {share.of} replicas")
    size = order.batch // share.of

    def load(number: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        step, replica = divmod(int(number), share.replicas)
        begin = (share.first + replica) * size
        return _gather(split, order.batch_at(step)[begin : begin + size])

    def prepare(number: Any) -> tuple[Any, Any]:
        images, labels = _loaded(load, number, split, size)
        images = _scaled(images)
        if augment:
            begin = (share.first + number % share.replicas) * size
            images = _augmented(images, (order.seed, number // share.replicas), order.batch, begin, size)
        return images, labels

    numbers = tf.data.Dataset.range(start * share.replicas, stop * share.replicas)
    return numbers.map(_as_written(prepare), num_parallel_calls=2, deterministic=True).prefetch(4)


def test_batches(split: Split, batch: int, share: Share) -> Any:
    """(images, labels, weights) of this worker's slices of the test samples; the last batch is filled up at weight 0."""
    size = batch // share.of
    steps = -(-len(split) // batch)

    def load(
        number: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        step, replica = divmod(int(number), share.replicas)
        places = np.arange(size) + step * batch + (share.first + replica) * size
        images, labels = _gather(split, np.minimum(places, len(split) - 1))
        return images, labels, (places < len(split)).astype(np.float32)

    def prepare(number: Any) -> tuple[Any, Any, Any]:
        images, labels, weights = tf.numpy_function(load, [number], (tf.uint8, tf.int64, tf.float32), stateful=False)
        return (
            _scaled(_shaped(images, split, size)),
            tf.ensure_shape(labels, (size,)),
            tf.ensure_shape(weights, (size,)),
        )

    numbers = tf.data.Dataset.range(steps * share.replicas)
    return numbers.map(_as_written(prepare), num_parallel_calls=2, deterministic=True).prefetch(2)


def _as_written(function: Any) -> Any:
    """Without TensorFlow's rewriting of Python: nothing here branches on a tensor, and rewriting takes longer than tracing."""
    return tf.autograph.experimental.do_not_convert(function)


def _gather(split: Split, ids: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    return np.stack([split.read(int(number)) for number in ids]), split.labels[ids]


def _loaded(load: Any, number: Any, split: Split, size: int) -> tuple[Any, Any]:
    images, labels = tf.numpy_function(load, [number], (tf.uint8, tf.int64), stateful=False)
    return _shaped(images, split, size), tf.ensure_shape(labels, (size,))


def _shaped(images: Any, split: Split, size: int) -> Any:
    return tf.ensure_shape(images, (size, *split.read(0).shape))


def _scaled(images: Any) -> Any:
    """Bytes to floats from 0 to 255, the range that the models take; the file's grey becomes three channels."""
    images = tf.cast(images, tf.float32)
    return images if images.shape[-1] == 3 else tf.repeat(images, 3, axis=-1)


def _augmented(images: Any, key: tuple[int, Any], batch: int, begin: Any, size: int) -> Any:
    """Mirrored half of the time, shifted a little, a little brighter or darker."""
    seed, step = key
    draws = tf.random.stateless_uniform((batch, 4), seed=tf.stack([tf.constant(seed, tf.int64), step]))
    draws = tf.slice(draws, (begin, 0), (size, 4))
    images = tf.where((draws[:, 0] < 0.5)[:, None, None, None], images[:, :, ::-1], images)
    images = _shifted(_shifted(images, draws[:, 1], 1), draws[:, 2], 2)
    return tf.clip_by_value(images * (0.8 + 0.4 * draws[:, 3])[:, None, None, None], 0.0, 255.0)


def _shifted(images: Any, draws: Any, axis: int) -> Any:
    length = images.shape[axis]
    most = max(1, round(length * _SHIFT))
    offsets = tf.cast(draws * (2 * most + 1), tf.int32) - most
    places = tf.clip_by_value(tf.range(length)[None, :] + offsets[:, None], 0, length - 1)
    return tf.gather(images, places, axis=axis, batch_dims=1)
