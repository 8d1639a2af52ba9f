"""What TensorFlow writes to this machine is copied to the run's place: what changed, and nothing that is half there counts."""

from __future__ import annotations

from pathlib import Path
from typing import override

import pytest

from tests.trainer.places import DiedError
from trainer.mirror import Mirror
from trainer.places import Folder, Parts


class Counted(Folder):
    """Says what was written; dies in the write after the last one that it may do."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: list[str] = []
        self.may_write = 100

    @override
    def write(self, name: str, parts: Parts) -> None:
        if len(self.written) == self.may_write:
            raise DiedError
        self.written.append(name)
        super().write(name, parts)


@pytest.fixture
def place(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "place")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("export/labels.json", "export/manifest.json", "export/model/saved_model.pb", "logs/train/events"):
        path = tmp_path / "scratch" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "scratch"


def test_a_file_is_copied_again_when_it_changed_and_only_then(place: Counted, folder: Path) -> None:
    mirror = Mirror(place, folder)
    mirror.send("logs")
    mirror.send("logs")
    assert place.written == ["logs/train/events"]
    (folder / "logs" / "train" / "events").write_text("more")
    (folder / "logs" / "train" / ".cut").write_text("of a process that was killed")
    mirror.send("logs")
    assert (place.written, place.read("logs/train/events")) == (["logs/train/events"] * 2, b"more")


def test_the_next_machine_has_the_log_of_the_one_before(place: Counted, folder: Path, tmp_path: Path) -> None:
    place.write("logs/events", [b"before"])
    there = Mirror(place, tmp_path / "there")
    there.fetch("logs")
    assert (tmp_path / "there" / "logs" / "events").read_bytes() == b"before"
    there.send("logs")
    assert place.written == ["logs/events"]


def test_an_export_whose_copy_broke_off_has_no_manifest(place: Counted, folder: Path) -> None:
    Mirror(place, folder).send("export")
    assert place.written[-1] == "export/manifest.json"
    (folder / "export" / "manifest.json").write_text("another")
    (folder / "export" / "labels.json").write_text("others")
    place.may_write = len(place.written) + 1
    again = Mirror(place, folder)
    with pytest.raises(DiedError):
        again.send("export")
    with pytest.raises(FileNotFoundError):
        place.read("export/manifest.json")
