"""The hash of an artefact, read as it lies there, and its copy by the storage itself into another place."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from tidegate.adapters.blob_folders import File
from tidegate.errors import PermanentError
from tidegate.flows.model_facts import Artefact

AT_ONCE = 256 << 20
"""Bytes up to which a file is copied while the storage is waited for, as much as it takes so (Copy Blob From URL); a larger one
goes on by itself and is asked about."""
MOST_STARTED = 32
"""Copies that one call starts."""
_SOURCE = "tidegate_source"
"""Metadata of a copied blob: the version of the source that it is a copy of."""


class Folder(Protocol):
    """What is needed of a folder in blob storage."""

    @property
    def url(self) -> str: ...

    def files(self) -> Sequence[File]: ...

    def chunks(self, file: File) -> Iterator[bytes]: ...

    def link(self, file: File, now: datetime.datetime) -> str: ...

    def copy_here(self, path: str, source: str, metadata: Mapping[str, str], *, at_once: bool) -> None: ...


def artefact(folder: Folder, max_size: int) -> Artefact:
    """Every file is read; above `max_size` bytes by the listing (0: no limit) none is, and the hash is empty.

    PermanentError: nothing is there.
    """
    files = folder.files()
    if not files:
        raise PermanentError(f"{folder.url}: nothing is there")
    size = sum(file.size for file in files)
    if max_size and size > max_size:
        return Artefact("", size, len(files))
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{_hash(folder, file)}  {file.path}\n".encode())
    return Artefact(whole.hexdigest(), size, len(files))


def copied(source: Folder, target: Folder, now: datetime.datetime) -> bool:
    """Whether the target has every file of the source; False: copies are under way, ask again.

    Resumable: each copied blob names the version of the source that it came from, so a file that is there is left, and one that
    changed is copied again. PermanentError: the target has files that the source has not, or a copy was refused.
    """
    wanted, there = source.files(), {file.path: file for file in target.files()}
    if not wanted:
        raise PermanentError(f"{source.url}: nothing is there")
    if strangers := there.keys() - {file.path for file in wanted}:
        raise PermanentError(f"{target.url}: other files are there ({min(strangers)}, ...)")
    missing = [file for file in wanted if not _is_copy(there.get(file.path), file)]
    begin = [file for file in missing if not _under_way(there.get(file.path), file)]
    _start(source, target, begin[:MOST_STARTED], now)
    return not missing or (missing == begin[:MOST_STARTED] and all(file.size <= AT_ONCE for file in missing))


def _start(source: Folder, target: Folder, files: Sequence[File], now: datetime.datetime) -> None:
    for file in files:
        marked = {**_without_mark(file), _SOURCE: file.etag.strip('"')}
        target.copy_here(file.path, source.link(file, now), marked, at_once=file.size <= AT_ONCE)


def _without_mark(file: File) -> dict[str, str]:
    """Metadata of the source, but where that is a copy itself: a stage takes from the one before it."""
    return {name: value for name, value in file.metadata.items() if name != _SOURCE}


def _is_copy(there: File | None, file: File) -> bool:
    return there is not None and _same(there, file) and there.copy in ("success", "") and there.size == file.size


def _under_way(there: File | None, file: File) -> bool:
    return there is not None and _same(there, file) and there.copy == "pending"


def _same(there: File, file: File) -> bool:
    return there.metadata.get(_SOURCE) == file.etag.strip('"')


def _hash(folder: Folder, file: File) -> str:
    digest = hashlib.sha256()
    for chunk in folder.chunks(file):
        digest.update(chunk)
    return digest.hexdigest()
