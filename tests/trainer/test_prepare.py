"""A set of TensorFlow Datasets becomes folders: the real builder of horses_or_humans, with archives made here.

Its own archives cannot be fetched where tests run. These have their names, their layout and their kind of images, and lie where
TensorFlow Datasets keeps what it has downloaded; only the pictures are others, and there are fewer of them.
"""

from __future__ import annotations

import dataclasses
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer import prepare
from trainer.config import HORSES_OR_HUMANS
from trainer.datasets import PREPARED, DataError, load_data
from trainer.drill import live
from trainer.prepare import PrepareError

SET = "horses_or_humans"
SIDE = 300
ARCHIVES = {"train": "horse-or-human.zip", "test": "validation-horse-or-human.zip"}


@pytest.fixture(autouse=True)
def _names_are_resolved_by_a_proxy_that_nothing_listens_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def archive(each: int, seed: int) -> bytes:
    """`each` pictures of a label: horses are dark and humans light, so that a network can tell them apart."""
    generator, buffer = np.random.default_rng(seed), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("README.txt", "not a picture")
        for label, level in (("horses", 60), ("humans", 190)):
            for number in range(each):
                pixels = np.clip(generator.normal(level, 20, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
                picture = io.BytesIO()
                Image.fromarray(pixels).save(picture, "png", compress_level=1)
                made.writestr(f"{label}/{label}{seed:02d}-{number}.png", picture.getvalue())
    return buffer.getvalue()


def downloaded_before(to: Path, archives: dict[str, bytes]) -> None:
    """Put archives where TensorFlow Datasets finds what it downloaded: by address and registered checksum."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.resource import get_dl_fname

    cache = to / f".{SET}.downloads"
    builder = tfds.builder(SET, data_dir=str(cache), file_format="array_record")
    for url, info in builder.url_infos.items():
        file = cache / "downloads" / SET / get_dl_fname(url, info.checksum)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(archives[info.filename])
        file.with_suffix(".zip.INFO").write_text("{}")


def test_the_builder_of_the_set_makes_folders_that_its_configuration_trains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded_before(tmp_path, {ARCHIVES["train"]: archive(8, 1), ARCHIVES["test"]: archive(4, 2)})
    assert prepare.main([SET, "--to", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [SET], "what was downloaded is gone"

    monkeypatch.setenv(PREPARED, str(tmp_path))
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # as in the trainer's image
    data = load_data(HORSES_OR_HUMANS.data, SIDE)
    assert (len(data.train), len(data.test), data.label_names) == (16, 8, ("horses", "humans"))
    levels = [data.train.read(number).mean() for number in range(16)]
    assert all((level > 125) == bool(label) for level, label in zip(levels, data.train.labels, strict=True))

    short = dataclasses.replace(HORSES_OR_HUMANS, epochs=2, batch=8, save_every_steps=1, log_every=1, image_size=64)
    killed = live(short, tmp_path / "run", kill_at=(2, 0.0), environment={PREPARED: str(tmp_path)})
    assert killed.result is None
    ended = live(short, tmp_path / "run", environment={PREPARED: str(tmp_path)})
    assert ended.result is not None
    assert ended.resumed_at >= 1
    assert (ended.result["step"], ended.result["exact"]) == (4, "yes")


def test_archives_that_were_fetched_by_hand_must_be_those_of_the_set(tmp_path: Path) -> None:
    by_hand = tmp_path / "archives"
    by_hand.mkdir()
    for name in ARCHIVES.values():
        (by_hand / name).write_bytes(archive(1, 3))
    with pytest.raises(PrepareError, match=r"not the archive of this set: .*wrong checksum") as refused:
        prepare.prepare(SET, tmp_path / "data", by_hand)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "data" / SET).exists()


def test_without_a_network_the_archives_to_fetch_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(prepare.unreachable, "__defaults__", (no_name,))
    assert prepare.main([SET, "--to", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(f"/data/{name}" in said for name in ARCHIVES.values())
    assert "--archives" in said


def no_name(_host: str, _port: int) -> object:
    raise OSError("Name or service not known")


def test_a_set_that_was_not_prepared_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREPARED, str(tmp_path))
    with pytest.raises(DataError, match=rf"run `python -m trainer\.prepare {SET}"):
        load_data(HORSES_OR_HUMANS.data, SIDE)
