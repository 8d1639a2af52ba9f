"""Data sets of TensorFlow Datasets, read from where `trainer.prepare` put them: any sample by its number."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from trainer.datasets import Data, DataError, Image, Split, in_memory, resized


def load_tfds(name: str, image_size: int) -> Data:
    """The splits `train` and `test` of a classification set. Nothing is downloaded here; TFDS_DATA_DIR says where it lies.

    The set's name and version stand for its content: TensorFlow Datasets checks the hashes of what it downloads.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"), file_format="array_record")
    if not builder.is_prepared():
        raise DataError(f"tfds:{name} is not in {builder.data_dir}: run `python -m trainer.prepare {name}` first")
    return from_builder(builder, image_size)


def from_builder(builder: Any, image_size: int) -> Data:
    """Data of any builder that gives random access and has `image` and `label`."""
    splits = {part: _split(builder, part, image_size) for part in ("train", "test")}
    return Data(splits["train"], splits["test"], tuple(builder.info.features["label"].names))


def _split(builder: Any, part: str, image_size: int) -> Split:
    source = builder.as_data_source(split=part)
    samples = [source[number] for number in range(len(source))]
    images: Image = np.stack([resized(sample["image"], image_size) for sample in samples])
    labels = np.array([int(sample["label"]) for sample in samples], np.int64)
    return in_memory(images, labels, f"{builder.info.full_name}:{part}:{len(source)}")
