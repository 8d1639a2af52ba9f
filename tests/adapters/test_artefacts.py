"""The hash of an artefact, and copies that are asked about until they are there, over a folder in memory."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Iterator, Mapping

import pytest

from tidegate.adapters.artefacts import AT_ONCE, MOST_STARTED, artefact, copied
from tidegate.adapters.blob_folders import File
from tidegate.errors import PermanentError

NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)


def file(path: str, size: int = 1, etag: str = '"1"', **more: object) -> File:
    plain = File(path, f"folder/{path}", size, etag, "", {})
    return dataclasses.replace(plain, **more)  # type: ignore[arg-type]  # fields of a File


@dataclasses.dataclass(slots=True)
class FolderInMemory:
    """Files by their listing alone; what was read and copied is kept."""

    listing: list[File]
    url: str = "https://account.blob.core.windows.net/c/folder"
    read: list[str] = dataclasses.field(default_factory=list)
    copies: list[tuple[str, str, dict[str, str], bool]] = dataclasses.field(default_factory=list)

    def files(self) -> list[File]:
        return self.listing

    def chunks(self, each: File) -> Iterator[bytes]:
        self.read.append(each.path)
        yield from (b"x" for _ in range(each.size))

    def link(self, each: File, now: datetime.datetime) -> str:
        return f"https://source/{each.path}?sig=1"

    def copy_here(self, path: str, source: str, metadata: Mapping[str, str], *, at_once: bool) -> None:
        self.copies.append((path, source, dict(metadata), at_once))


def test_the_hash_is_what_sha256sum_prints_hashed() -> None:
    """printf xx >a; printf x >b; sha256sum a b | sha256sum"""
    found = artefact(FolderInMemory([file("a", 2), file("b", 1)]), 0)
    lines = f"{hashlib.sha256(b'xx').hexdigest()}  a\n{hashlib.sha256(b'x').hexdigest()}  b\n"
    assert found.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert (found.size, found.files) == (3, 2)


def test_one_byte_more_than_allowed_and_nothing_is_read() -> None:
    folder = FolderInMemory([file("a", 2), file("b", 1)])
    assert (artefact(folder, 2).sha256, artefact(folder, 2).size) == ("", 3)
    assert folder.read == []
    assert artefact(folder, 3).sha256
    assert folder.read == ["a", "b"]


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
