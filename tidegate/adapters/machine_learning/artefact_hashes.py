"""The hash of an artefact, read as it lies there, over as many calls as it takes.

One call reads for some seconds; where that is not enough it raises TransientError, and the next one goes on where it stopped.
What was read is remembered by the version (ETag) of each blob, in this process alone: whoever asks elsewhere reads for himself.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from tidegate.adapters.storage.blob_folders import File
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_facts import Artefact

BUDGET = 12.0
"""Seconds that one call reads; adapters answer within 20."""
_REMEMBERED = 20_000
"""Blobs whose hash, or the part of it that was read, is kept."""


class Readable(Protocol):
    """What is needed of a folder in blob storage."""

    @property
    def url(self) -> str: ...

    def files(self) -> Sequence[File]: ...

    def chunks(self, file: File, offset: int = 0) -> Iterator[bytes]: ...


@dataclasses.dataclass(slots=True)
class _Progress:
    """How far one version of a blob was read."""

    digest: Any = dataclasses.field(default_factory=hashlib.sha256)
    offset: int = 0


class ArtefactHashes:
    """May be shared by threads; two that read one blob read it twice."""

    def __init__(self, budget: float = BUDGET, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget = budget
        self._clock = clock
        self._read: collections.OrderedDict[tuple[str, str, str], _Progress] = collections.OrderedDict()
        self._lock = threading.Lock()

    def artefact(self, folder: Readable, max_size: int) -> Artefact:
        """Every file is read; above `max_size` bytes by the listing (0: no limit) none is, and the hash is empty.

        PermanentError: nothing is there. TransientError: not all of it is read yet; ask again.
        """
        until = self._clock() + self._budget
        files = folder.files()
        if not files:
            raise PermanentError(f"{folder.url}: nothing is there")
        size = sum(file.size for file in files)
        if max_size and size > max_size:
            return Artefact("", size, len(files))
        whole, before = hashlib.sha256(), 0
        for file in files:
            progress = self._read_on(folder, file, until)
            before += progress.offset
            if progress.offset < file.size:
                raise TransientError(f"{folder.url}: {before} of {size} bytes are read", retry_after=1)
            whole.update(f"{progress.digest.hexdigest()}  {file.path}\n".encode())
        return Artefact(whole.hexdigest(), size, len(files))

    def _read_on(self, folder: Readable, file: File, until: float) -> _Progress:
        """As far as time goes. A part that was read stays read, whatever becomes of the rest."""
        key = (folder.url, file.blob, file.etag)
        with self._lock:
            progress = self._read.pop(key, None) or _Progress()
        try:
            if progress.offset < file.size and self._clock() < until:
                for chunk in folder.chunks(file, progress.offset):
                    progress.digest.update(chunk)
                    progress.offset += len(chunk)
                    if self._clock() >= until:
                        break
        finally:
            with self._lock:
                self._read[key] = progress
                while len(self._read) > _REMEMBERED:
                    self._read.popitem(last=False)
        return progress
