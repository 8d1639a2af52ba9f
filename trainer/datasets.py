"""The images a run trains and is tested on: the packaged ones, a folder, or TensorFlow Datasets; random access by number."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer.refusal import RefusedError

type Image = npt.NDArray[np.uint8]

PREPARED = "TRAINER_DATA_DIR"
"""Environment variable: the folder where `trainer.prepare` puts sets of TensorFlow Datasets; default: `data`."""
_PACKAGED = Path(__file__).parent / "data" / "silhouettes.npz"
_IN_MEMORY_BYTES = 2 * 2**30  # of resized images; a bigger folder is decoded image by image, as batches ask for them
_PACKAGED_TEST_SHARE = 5  # every fifth image is for testing


class DataError(RefusedError):
    """Data that cannot be used; the message names what and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Split:
    """Numbered samples: their labels are known, an image is read when it is asked for."""

    labels: npt.NDArray[np.int64]
    read: Callable[[int], Image]
    digest: str
    """SHA-256 over what the split holds: names and contents, or the version of a published set."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True, slots=True)
class Data:
    """What a run sees."""

    train: Split
    test: Split
    label_names: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Changes when an image, a label or the order changes; a run refuses to resume on other data."""
        return _sha256([self.train.digest, self.test.digest, *self.label_names])


def load_data(source: str, image_size: int) -> Data:
    """Open what `Config.data` names. `image_size` is where images that are kept in memory are resized to, once."""
    if source == "silhouettes":
        return _silhouettes(image_size)
    if source.startswith("tfds:"):
        return load_folder(_prepared(source.removeprefix("tfds:")), image_size)
    return load_folder(Path(source), image_size)


def _prepared(name: str) -> Path:
    folder = Path(os.environ.get(PREPARED, "data"), name)
    if not folder.is_dir():
        raise DataError(
            f"tfds:{name}: there is no {folder}; run `python -m trainer.prepare {name} --to {folder.parent}` where there is a"
            f" network, or name its folder with {PREPARED}"
        )
    return folder


def load_folder(root: Path, image_size: int) -> Data:
    """`root/{train,test}/<label>/*`: names sorted, so that no order of a directory listing can matter.

    What is no image by its name's ending is left out; what is one by its name and none by its content is an error.
    """
    for part in ("train", "test"):
        if not (root / part).is_dir():
            raise DataError(f"{root}: there is no folder {part!r} in it")
    names, tested = _labels(root / "train"), _labels(root / "test")
    if len(names) < 2:
        raise DataError(f"{root}/train: at least two folders, one for each label, are needed")
    if unknown := sorted({*tested} - {*names}):
        raise DataError(f"{root}/test: {', '.join(unknown)} is no label in train")
    if empty := [name for name in names if not _images(root / "train" / name)]:
        raise DataError(f"{root}/train: no images of {', '.join(empty)} in it")
    return Data(
        _folder_split(root / "train", names, image_size), _folder_split(root / "test", names, image_size), names
    )


def _labels(folder: Path) -> tuple[str, ...]:
    """Its visible folders: tools keep their own in hidden ones."""
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))


def _folder_split(root: Path, names: tuple[str, ...], image_size: int) -> Split:
    files = [(path, label) for label, name in enumerate(names) for path in _images(root / name)]
    if not files:
        raise DataError(f"{root}: no images in it")
    digest = _sha256(
        line
        for path, label in files
        for line in (str(path.relative_to(root)), str(label), hashlib.sha256(path.read_bytes()).hexdigest())
    )

    def read(number: int) -> Image:
        return _decode(files[number][0], image_size)

    labels = np.array([label for _, label in files])
    if len(files) * image_size**2 * 3 > _IN_MEMORY_BYTES:
        return Split(labels, read, digest)
    return in_memory(np.stack([read(number) for number in range(len(files))]), labels, digest)


def _images(folder: Path) -> list[Path]:
    from trainer.pictures import SUFFIXES

    visible = (path for path in folder.glob("*") if not path.name.startswith("."))
    return sorted(path for path in visible if path.suffix.lower() in SUFFIXES and path.is_file())


def _decode(path: Path, image_size: int) -> Image:
    from trainer.pictures import read

    try:
        return resized(read(path), image_size)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable image") from error


def resized(image: npt.ArrayLike, image_size: int) -> Image:
    """To a square of bytes; bilinear, with the antialiasing that shrinking needs."""
    import tensorflow as tf

    small = tf.image.resize(image, (image_size, image_size), antialias=True)
    result: Image = tf.cast(tf.clip_by_value(tf.round(small), 0, 255), tf.uint8).numpy()
    return result


def _silhouettes(image_size: int) -> Data:
    with np.load(_PACKAGED, allow_pickle=False) as packed:
        images = np.unpackbits(packed["images"], axis=1).reshape(-1, 28, 28, 1) * np.uint8(255)
        labels, names = packed["labels"].astype(np.int64), tuple(str(name) for name in packed["names"])
    if image_size != images.shape[1]:
        images = np.stack([resized(image, image_size) for image in images])
    # Labels alternate, so blocks of whole rounds keep the classes balanced in both parts.
    test = np.arange(len(labels)) // len(names) % _PACKAGED_TEST_SHARE == 0
    digest = hashlib.sha256(_PACKAGED.read_bytes()).hexdigest()
    return Data(
        in_memory(images[~test], labels[~test], f"{digest}:train"),
        in_memory(images[test], labels[test], f"{digest}:test"),
        names,
    )


def in_memory(images: Image, labels: npt.NDArray[np.int64], digest: str) -> Split:
    """A split of images that are all of one size."""
    return Split(labels.astype(np.int64), images.__getitem__, digest)


def _sha256(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
