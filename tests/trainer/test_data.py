"""Data is read in one order whatever the file system says, checked before training, and compared by its digest."""

from __future__ import annotations

import dataclasses
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.trainer.runs import Undisturbed
from trainer import champion, prepare
from trainer.champion import decide
from trainer.check_data import faults
from trainer.config import QUICKTEST
from trainer.datasets import PREPARED, DataError, load_data, load_folder
from trainer.drill import live
from trainer.manifest import verify
from trainer.pictures import read
from trainer.prepare import unreachable, write_folders

SIDE = 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 images to train on and 4 to test on, of two labels that a network can tell apart."""
    generator = np.random.default_rng(1)
    for part, count in (("train", 6), ("test", 2)):
        for label, level in (("dark", 40), ("light", 200)):
            place = tmp_path / "data" / part / label
            place.mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(generator.normal(level, 15, (20, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "data"


def test_a_folder_is_read_in_the_order_of_its_names(folder: Path) -> None:
    data = load_folder(folder, SIDE)
    assert data.label_names == ("dark", "light")
    assert data.train.labels.tolist() == [0] * 6 + [1] * 6
    assert data.train.read(0).shape == (SIDE, SIDE, 3)
    assert faults(data, 4) == []


@pytest.mark.parametrize("change", ["content", "name", "label", "more"])
def test_whatever_changes_in_a_folder_changes_its_digest(folder: Path, change: str) -> None:
    before = load_folder(folder, SIDE).digest
    image = folder / "train" / "dark" / "0.png"
    match change:
        case "content":
            image.write_bytes((folder / "train" / "dark" / "1.png").read_bytes())
        case "name":
            image.rename(image.with_name("9.png"))
        case "label":
            image.rename(folder / "train" / "light" / "00.png")
        case _:
            Image.new("RGB", (20, 20)).save(folder / "test" / "dark" / "7.png")
    assert load_folder(folder, SIDE).digest != before


def test_what_cannot_be_trained_on_is_named(folder: Path) -> None:
    (folder / "test" / "dark" / "0.png").write_bytes((folder / "train" / "dark" / "0.png").read_bytes())
    found = faults(load_folder(folder, SIDE), 100)
    assert any("less than a batch" in each for each in found)
    assert any("1 images are in train and in test" in each for each in found)
    (folder / "test" / "light" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png: not a readable image"):
        load_folder(folder, SIDE)
    with pytest.raises(DataError, match="there is no folder 'train'"):
        load_folder(folder / "train", SIDE)


def test_a_label_without_images_or_unknown_to_training_is_named(folder: Path) -> None:
    (folder / "test" / "grey").mkdir()
    with pytest.raises(DataError, match="test: grey is no label in train"):
        load_folder(folder, SIDE)
    (folder / "train" / "grey").mkdir()
    with pytest.raises(DataError, match="train: no images of grey"):
        load_folder(folder, SIDE)
    (folder / "train" / "grey").rename(folder / "train" / ".grey")
    (folder / "test" / "grey").rename(folder / "test" / ".grey")
    assert load_folder(folder, SIDE).label_names == ("dark", "light")


def test_what_tools_leave_among_images_is_left_out(folder: Path) -> None:
    before = load_folder(folder, SIDE)
    for name in ("._0.png", "Thumbs.db", "notes.txt", ".DS_Store"):
        (folder / "train" / "dark" / name).write_bytes(b"no image")
    (folder / "train" / "dark" / "more.png").mkdir()
    assert load_folder(folder, SIDE).digest == before.digest


def shown(path: Path) -> list[tuple[int, ...]]:
    """Left above, right above, left below, right below."""
    image = read(path)
    assert image.shape[2] == 3
    height, width = image.shape[:2]
    return [tuple(image[y, x].tolist()) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]


_QUADRANTS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def quadrants() -> Image.Image:
    image = Image.new("RGB", (40, 20), "white")
    for box, colour in zip([(0, 0, 20, 10), (20, 0, 40, 10), (0, 10, 20, 20)], _QUADRANTS, strict=False):
        image.paste(colour, box)
    return image


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("x.png", "RGB", {}),
        ("x.png", "RGBA", {}),
        ("x.png", "P", {}),
        ("x.bmp", "RGB", {}),
        ("x.gif", "P", {"save_all": True, "append_images": [Image.new("P", (40, 20))]}),
        ("x.webp", "RGB", {"lossless": True}),
        ("x.webp", "RGBA", {"lossless": True, "save_all": True, "append_images": [Image.new("RGBA", (40, 20))]}),
        ("x.jpg", "CMYK", {"quality": 100, "subsampling": 0}),
        ("x.JPEG", "RGB", {"quality": 100, "subsampling": 0}),
    ],
)
def test_an_image_of_any_kind_is_what_a_viewer_shows(
    name: str, mode: str, options: dict[str, Any], tmp_path: Path
) -> None:
    quadrants().convert(mode).save(tmp_path / name, **options)
    assert np.array(shown(tmp_path / name)) == pytest.approx(np.array(_QUADRANTS), abs=4)


def test_an_image_is_trained_on_upright_and_on_white_as_scoring_shows_it_to_the_model(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    quadrants().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    assert shown(tmp_path / "turned.png") == _QUADRANTS
    clear = quadrants().convert("RGBA")
    clear.paste((9, 9, 9, 0), (20, 10, 40, 20))
    clear.save(tmp_path / "clear.png")
    assert shown(tmp_path / "clear.png") == _QUADRANTS
    Image.fromarray(np.full((4, 4), 77 * 257, np.uint16)).save(tmp_path / "deep.png")
    assert shown(tmp_path / "deep.png") == [(77, 77, 77)] * 4
    Image.new("1", (1, 1), 1).save(tmp_path / "one.png")
    assert read(tmp_path / "one.png").tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.gif", "x.webp", "x.bmp"])
def test_an_image_that_is_cut_off_is_named_and_never_half_read(name: str, folder: Path) -> None:
    noise = Image.effect_noise((64, 64), 50).convert("RGB")
    path = folder / "train" / "dark" / name
    noise.save(path)
    whole = path.read_bytes()
    for end in range(0, len(whole) - 64, max(1, len(whole) // 12)):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=name):
            load_folder(folder, SIDE)


def test_an_image_whose_header_promises_more_than_any_memory_is_named(folder: Path) -> None:
    header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0)
    (folder / "train" / "dark" / "x.bmp").write_bytes(header)
    with pytest.raises(DataError, match=r"x\.bmp"):
        load_folder(folder, SIDE)


def test_the_packaged_images_are_balanced_and_apart() -> None:
    data = load_data("silhouettes", 28)
    assert (len(data.train), len(data.test)) == (1280, 320)
    assert np.bincount(data.train.labels).tolist() == [320] * 4
    assert not [each for each in faults(data, 32) if "in train and in test" not in each]


def test_a_run_on_a_folder_resumes_and_refuses_the_folder_when_it_changed(folder: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(
        QUICKTEST, name="FOLDER", data=str(folder), image_size=SIDE, batch=4, epochs=3, save_every_steps=2
    )
    killed = live(dataclasses.replace(config, log_every=1), tmp_path / "run", (5, 0.0))
    assert killed.result is None
    (folder / "train" / "dark" / "9.png").write_bytes((folder / "train" / "dark" / "1.png").read_bytes())
    refused = live(config, tmp_path / "run")
    assert refused.result is not None
    assert "data changed" in refused.result["message"]
    (folder / "train" / "dark" / "9.png").unlink()
    mounted = folder.rename(tmp_path / "mounted-elsewhere")
    resumed = live(dataclasses.replace(config, data=str(mounted)), tmp_path / "run")
    assert resumed.result is not None
    assert (resumed.resumed_at > 0, resumed.result["exact"]) == (True, "yes")


def test_a_prepared_set_of_tensorflow_datasets_is_read_without_them(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow_datasets as tfds

    class Lights(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc,name-defined,unused-ignore]  # without types
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> object:
            features = {
                "image": tfds.features.Image(shape=(20, 24, 3)),
                "label": tfds.features.ClassLabel(names=["dark", "light"]),
            }
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, _manager: object) -> dict[str, object]:
            return {part: self._generate_examples(folder / part) for part in ("train", "test")}

        def _generate_examples(self, place: Path) -> object:
            for path in sorted(place.rglob("*.png")):
                yield str(path), {"image": str(path), "label": path.parent.name}

    builder = Lights(data_dir=str(tmp_path / "tfds"), file_format="array_record")
    builder.download_and_prepare()
    write_folders(builder, tmp_path / "prepared" / "lights")
    monkeypatch.setenv(PREPARED, str(tmp_path / "prepared"))
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # as in the trainer's image
    data = load_data("tfds:lights", SIDE)
    assert (len(data.train), len(data.test), data.label_names) == (12, 4, ("dark", "light"))
    levels = [data.train.read(number).mean() for number in range(12)]
    assert all((level > 120) == bool(label) for level, label in zip(levels, data.train.labels, strict=True))
    with pytest.raises(DataError, match=r"there is no .*/prepared/horses; run `python -m trainer\.prepare horses"):
        load_data("tfds:horses", SIDE)


def test_a_set_that_cannot_be_downloaded_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, _port: int) -> object:
        if host == "there.example":
            return []
        raise OSError("Name or service not known")

    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    assert unreachable(["https://there.example/a.zip"], resolve) == ""
    assert unreachable(["https://there.example/a.zip", "https://gone.example/b.zip"], resolve) == "gone.example"
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert unreachable(["https://gone.example/b.zip"], resolve) == "", "the proxy resolves names"
    assert prepare.main(["no_such_set", "--to", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "TensorFlow Datasets has no set 'no_such_set'\n"


@pytest.mark.parametrize(
    ("challenger", "best", "gain", "promoted"),
    [
        (0.9, None, 0.1, True),
        (0.9, 0.8, 0.05, True),
        (0.9, 0.9, 0.0, True),
        (0.9, 0.89, 0.05, False),
        (0.8, 0.9, 0.0, False),
    ],
)
def test_a_challenger_is_promoted_when_it_gains_enough(
    challenger: float, best: float | None, gain: float, promoted: bool
) -> None:
    assert decide(challenger, best, gain).promote is promoted


def test_a_champion_is_judged_on_the_challengers_data(undisturbed: Undisturbed, tmp_path: Path) -> None:
    export = undisturbed.workdir / "export"
    assert (
        champion.main([str(export), "--champion", str(export), "--output", str(tmp_path), "--least-gain", "0.01"]) == 0
    )
    text = (tmp_path / "decision.json").read_text()
    assert '"promote": false' in text
    accuracy = champion.accuracy(export, load_data("silhouettes", 28))
    manifest = verify(export)
    assert accuracy == pytest.approx(manifest["metrics"]["test_accuracy"], abs=0.005)
    with pytest.raises(DataError, match="elsewhere"):
        champion.main([str(export), "--data", str(tmp_path / "elsewhere"), "--output", str(tmp_path)])
