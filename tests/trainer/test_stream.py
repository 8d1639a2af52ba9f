"""A batch is a function of its step: from wherever a stream begins, and however many workers share it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from trainer import stream as streams
from trainer.datasets import Split, in_memory
from trainer.order import Order
from trainer.stream import Share

type Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]

_BATCH = 4


@pytest.fixture(scope="module")
def split() -> Split:
    """Ten images that no mirror or shift leaves as they are."""
    images = np.random.default_rng(1).integers(60, 190, (10, 16, 16, 3), np.uint8)
    return in_memory(images, np.arange(10), "digest")


def stream(split: Split, start: int = 0, share: Share | None = None, *, augment: bool = True) -> list[Batch]:
    """All batches of two epochs from `start` on."""
    order = Order(len(split), _BATCH, 1)
    batches = streams.training_batches(
        split, order, share or Share(), start, 2 * order.steps_per_epoch, augment=augment
    )
    return [(images.numpy(), labels.numpy()) for images, labels in batches]


def same(one: list[Batch], other: list[Batch]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in pairs)


def test_a_stream_that_begins_later_goes_on_with_the_same_bits(split: Split) -> None:
    whole = stream(split)
    assert len(whole) == 4
    assert all(same(stream(split, start), whole[start:]) for start in (1, 2, 3))


def test_two_workers_see_together_what_one_sees_alone(split: Split) -> None:
    parts = [stream(split, 0, Share(first, 1, 2)) for first in (0, 1)]
    together = [(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]])) for a, b in zip(*parts, strict=True)]
    assert same(together, stream(split))


def test_two_devices_of_one_worker_see_together_what_one_sees_alone(split: Split) -> None:
    slices = stream(split, 1, Share(0, 2, 2))
    together = [
        (np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]))
        for a, b in zip(slices[::2], slices[1::2], strict=True)
    ]
    assert same(together, stream(split, 1))


def test_without_augmentation_images_are_as_they_are_and_with_it_none_is_twice_the_same(split: Split) -> None:
    plain = stream(split, augment=False)
    assert all(
        np.array_equal(images[at], split.read(label)) for images, labels in plain for at, label in enumerate(labels)
    )
    seen = [(int(label), images[at]) for images, labels in stream(split) for at, label in enumerate(labels)]
    assert not any(np.array_equal(image, split.read(label)) for label, image in seen)
    assert len({image.tobytes() for _, image in seen}) == len(seen)
    assert all(image.min() >= 0 and image.max() <= 255 for _, image in seen)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_test_sample_counts_once(split: Split, workers: int) -> None:
    counts = np.zeros(len(split))
    for first in range(workers):
        for images, labels, weights in streams.test_batches(split, _BATCH, Share(first, 1, workers)):
            np.add.at(counts, labels.numpy(), weights.numpy())
            assert images.shape[0] == _BATCH // workers
    assert counts.tolist() == [1.0] * len(split)


def test_a_batch_that_does_not_divide_among_the_replicas_is_refused(split: Split) -> None:
    with pytest.raises(ValueError, match="a batch of 4 does not divide among 3 replicas"):
        stream(split, 0, Share(0, 1, 3))
