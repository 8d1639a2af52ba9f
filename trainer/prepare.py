"""`python -m trainer.prepare horses_or_humans --to <folder>`: a set of TensorFlow Datasets as folders of images, once.

Training reads the folders; only this step needs TensorFlow Datasets, and a network or the set's archives (`--archives`).
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trainer.datasets import PREPARED

_PARTS = ("train", "test")


class PrepareError(RuntimeError):
    """The set cannot be had here; the message is one line."""


def prepare(name: str, to: Path, archives: Path | None = None) -> Path:
    """The folder `<to>/<name>`, whole or not there. What is downloaded for it is removed afterwards.

    `archives`: a folder with the set's own archives, fetched by hand under their own names; they are not downloaded, and must
    have the checksums that TensorFlow Datasets knows.
    """
    target, cache = to / name, to / f".{name}.downloads"
    if target.is_dir():
        return target
    builder = _builder(name, cache)
    wanted = {url: info.filename for url, info in builder.url_infos.items()}
    missing = unreachable(url for url, file in wanted.items() if archives is None or not (archives / file).is_file())
    if missing:
        raise PrepareError(
            f"{name}: {missing} cannot be reached from here; prepare it where there is a network and copy {target}, or fetch"
            f" {', '.join(wanted)} and name their folder with --archives"
        )
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of every attempt; the last error is told
    try:
        _download(builder, archives)
    except OSError as error:  # requests' errors are among these
        raise PrepareError(f"{name} was not downloaded: {' '.join(str(error).split())[:300]}") from error
    write_folders(builder, target)
    shutil.rmtree(cache, ignore_errors=True)
    return target


def _download(builder: Any, archives: Path | None) -> None:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    by_hand = None if archives is None else str(archives.resolve())
    try:
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=by_hand))
    except NonMatchingChecksumError as error:
        raise PrepareError(f"not the archive of this set: {' '.join(str(error).split())[:300]}") from error


def write_folders(builder: Any, target: Path) -> None:
    """`target/{train,test}/<label>/<number>.png`, every pixel as it was, published by one rename."""
    import tensorflow as tf

    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    names = builder.info.features["label"].names
    for split in _PARTS:
        for name in names:
            (part / split / name).mkdir(parents=True)
        for number, sample in enumerate(builder.as_data_source(split=split)):
            path = part / split / names[int(sample["label"])] / f"{number:06d}.png"
            path.write_bytes(tf.io.encode_png(sample["image"]).numpy())
    part.rename(target)


def unreachable(urls: Iterable[str], resolve: Callable[[str, int], object] = socket.getaddrinfo) -> str:
    """The first host whose name means nothing here; empty: none, or a proxy resolves names."""
    if urllib.request.getproxies().get("https"):
        return ""
    for host in sorted({urlsplit(url).hostname or "" for url in urls}):
        try:
            resolve(host, 443)
        except OSError:
            return host
    return ""


def _builder(name: str, cache: Path) -> Any:
    try:
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        raise PrepareError(
            "TensorFlow Datasets is not installed here: dependency group `tfds` of pyproject.toml"
        ) from error
    try:
        return tfds.builder(name, data_dir=str(cache), file_format="array_record")
    except tfds.core.registered.DatasetNotFoundError as error:
        raise PrepareError(f"TensorFlow Datasets has no set {name!r}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """0: the folder is there. 1: it is not, and why."""
    parser = argparse.ArgumentParser(prog="python -m trainer.prepare", description=__doc__)
    parser.add_argument("name", help="such as horses_or_humans")
    parser.add_argument(
        "--to", type=Path, default=os.environ.get(PREPARED, "data"), help=f"default: {PREPARED}, or data"
    )
    parser.add_argument("--archives", type=Path, help="a folder with the set's archives, instead of downloading them")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(f"{prepare(options.name, Path(options.to), options.archives)}\n")
    except PrepareError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
