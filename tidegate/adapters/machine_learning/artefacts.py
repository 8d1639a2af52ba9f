"""Copies of an artefact by the storage itself into another place, asked about until they are there."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tidegate.adapters.storage.blob_folders import File
from tidegate.errors import PermanentError

AT_ONCE = 256 << 20
"""Bytes up to which a file is copied while the storage is waited for, as much as it takes so (Copy Blob From URL); a larger one
goes on by itself and is asked about."""
MOST_STARTED = 32
"""Copies that one call starts."""
BUDGET = 8.0
"""Seconds after which one call starts no more; the last one may take as long again."""
_SOURCE = "tidegate_source"
"""Metadata of a copied blob: the version of the source that it is a copy of."""


class Folder(Protocol):
    """What is needed of a folder in blob storage."""

    @property
    def url(self) -> str: ...

    def files(self) -> Sequence[File]: ...

    def link(self, file: File, now: datetime.datetime) -> str: ...

    def copy_here(self, path: str, source: str, metadata: Mapping[str, str], *, at_once: bool) -> None: ...


def copied(source: Folder, target: Folder, now: datetime.datetime, clock: Callable[[], float] = time.monotonic) -> bool:
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
    until, done = clock() + BUDGET, 0
    for file in [file for file in missing if not _under_way(there.get(file.path), file)][:MOST_STARTED]:
        if clock() >= until:
            break
        marked = {**_without_mark(file), _SOURCE: file.etag.strip('"')}
        target.copy_here(file.path, source.link(file, now), marked, at_once=file.size <= AT_ONCE)
        done += file.size <= AT_ONCE
    return done == len(missing)


def _without_mark(file: File) -> dict[str, str]:
    """Metadata of the source, but where that is a copy itself: a stage takes from the one before it."""
    return {name: value for name, value in file.metadata.items() if name != _SOURCE}


def _is_copy(there: File | None, file: File) -> bool:
    return there is not None and _same(there, file) and there.copy in ("success", "") and there.size == file.size


def _under_way(there: File | None, file: File) -> bool:
    return there is not None and _same(there, file) and there.copy == "pending"


def _same(there: File, file: File) -> bool:
    return there.metadata.get(_SOURCE) == file.etag.strip('"')
