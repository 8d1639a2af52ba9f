"""The hash of an artefact, and copies that are asked about until they are there, over a folder in memory."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Iterator, Mapping

import pytest

from tidegate.adapters.machine_learning.artefact_hashes import ArtefactHashes
from tidegate.adapters.machine_learning.artefacts import AT_ONCE, BUDGET, MOST_STARTED, copied
from tidegate.adapters.storage.blob_folders import File
from tidegate.errors import PermanentError, TransientError

NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)


def file(path: str, size: int = 1, etag: str = '"1"', **more: object) -> File:
    plain = File(path, f"folder/{path}", size, etag, "", {})
    return dataclasses.replace(plain, **more)  # type: ignore[arg-type]  # fields of a File


@dataclasses.dataclass(slots=True)
class FolderInMemory:
    """Files by their listing alone; what was read and copied is kept."""

    listing: list[File]
    url: str = "https://account.blob.core.windows.net/c/folder"
    broken: bool = False
    read: list[str] = dataclasses.field(default_factory=list)
    copies: list[tuple[str, str, dict[str, str], bool]] = dataclasses.field(default_factory=list)

    def files(self) -> list[File]:
        return self.listing

    def chunks(self, each: File, offset: int = 0) -> Iterator[bytes]:
        self.read.append(f"{each.path} from {offset}" if offset else each.path)
        for _ in range(offset, each.size):
            if self.broken:
                raise TransientError("the storage is gone")
            yield b"x"

    def link(self, each: File, now: datetime.datetime) -> str:
        return f"https://source/{each.path}?sig=1"

    def copy_here(self, path: str, source: str, metadata: Mapping[str, str], *, at_once: bool) -> None:
        self.copies.append((path, source, dict(metadata), at_once))


def test_the_hash_is_what_sha256sum_prints_hashed() -> None:
    """printf xx >a; printf x >b; sha256sum a b | sha256sum"""
    found = ArtefactHashes().artefact(FolderInMemory([file("a", 2), file("b", 1)]), 0)
    lines = f"{hashlib.sha256(b'xx').hexdigest()}  a\n{hashlib.sha256(b'x').hexdigest()}  b\n"
    assert found.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert (found.size, found.files) == (3, 2)


def test_one_byte_more_than_allowed_and_nothing_is_read() -> None:
    folder = FolderInMemory([file("a", 2), file("b", 1)])
    hashes = ArtefactHashes()
    assert (hashes.artefact(folder, 2).sha256, hashes.artefact(folder, 2).size) == ("", 3)
    assert folder.read == []
    assert hashes.artefact(folder, 3).sha256
    assert folder.read == ["a", "b"]


class Ticks:
    """A clock that goes on by one second each time it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_an_artefact_that_takes_long_is_read_on_where_the_last_call_stopped() -> None:
    folder = FolderInMemory([file("a", 4), file("b", 30), file("c", 0)])
    hashes = ArtefactHashes(budget=10, clock=Ticks())
    for _ in range(3):
        with pytest.raises(TransientError, match=r"\d+ of 34 bytes are read") as caught:
            hashes.artefact(folder, 0)
        assert caught.value.retry_after == 1
    found = hashes.artefact(folder, 0)
    assert folder.read == ["a", "b", "b from 4", "b from 13", "b from 22"]
    assert found == ArtefactHashes().artefact(folder, 0)


def test_what_was_read_is_remembered_by_its_version() -> None:
    hashes, folder = ArtefactHashes(), FolderInMemory([file("a", 2), file("b", 3)])
    first = hashes.artefact(folder, 0)
    assert hashes.artefact(folder, 0) == first
    assert folder.read == ["a", "b"]
    folder.listing[1] = file("b", 4, '"2"')
    assert hashes.artefact(folder, 0) != first
    assert folder.read == ["a", "b", "b"]


def test_reading_that_breaks_off_goes_on_where_it_broke() -> None:
    hashes, folder = ArtefactHashes(), FolderInMemory([file("a", 2), file("b", 3)], broken=True)
    with pytest.raises(TransientError, match="the storage is gone"):
        hashes.artefact(folder, 0)
    folder.broken = False
    assert hashes.artefact(folder, 0) == ArtefactHashes().artefact(folder, 0)


def test_small_files_are_copied_at_once_and_large_ones_are_asked_about() -> None:
    source = FolderInMemory([file("large", AT_ONCE + 1), file("small", AT_ONCE)])
    target = FolderInMemory([])
    assert not copied(source, target, NOW)
    assert [(path, link, at_once) for path, link, _, at_once in target.copies] == [
        ("large", "https://source/large?sig=1", False),
        ("small", "https://source/small?sig=1", True),
    ]
    marked = {path: metadata for path, _, metadata, _ in target.copies}
    target.listing = [
        file("large", AT_ONCE + 1, '"9"', copy="pending", metadata=marked["large"]),
        file("small", AT_ONCE, '"9"', copy="success", metadata=marked["small"]),
    ]
    target.copies.clear()
    assert not copied(source, target, NOW)
    assert target.copies == []
    target.listing[0] = dataclasses.replace(target.listing[0], copy="success")
    assert copied(source, target, NOW)
    assert target.copies == []


@pytest.mark.parametrize("state", ["aborted", "failed"])
def test_a_copy_that_the_storage_gave_up_is_begun_again(state: str) -> None:
    source = FolderInMemory([file("large", AT_ONCE + 1)])
    target = FolderInMemory([file("large", 0, '"9"', copy=state, metadata={"tidegate_source": "1"})])
    assert not copied(source, target, NOW)
    assert [path for path, *_ in target.copies] == ["large"]


def test_one_call_begins_so_many_copies_and_no_more() -> None:
    source = FolderInMemory([file(f"f{number:03}") for number in range(MOST_STARTED + 1)])
    target = FolderInMemory([])
    assert not copied(source, target, NOW)
    assert len(target.copies) == MOST_STARTED


def test_a_call_that_takes_long_begins_no_more_copies() -> None:
    source = FolderInMemory([file(f"f{number:02}") for number in range(20)])
    target = FolderInMemory([])
    assert not copied(source, target, NOW, Ticks())
    assert len(target.copies) == BUDGET - 1


def test_what_was_a_copy_itself_is_marked_with_its_own_source() -> None:
    source = FolderInMemory([file("a", 1, '"5"', metadata={"tidegate_source": "old", "kind": "weights"})])
    target = FolderInMemory([])
    assert copied(source, target, NOW)
    assert target.copies[0][2] == {"tidegate_source": "5", "kind": "weights"}


def test_a_source_without_files_and_a_target_with_others_are_refused() -> None:
    with pytest.raises(PermanentError, match="nothing is there"):
        copied(FolderInMemory([]), FolderInMemory([]), NOW)
    with pytest.raises(PermanentError, match="other files are there"):
        copied(FolderInMemory([file("a")]), FolderInMemory([file("b")]), NOW)
