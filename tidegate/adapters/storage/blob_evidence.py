"""Evidence and dead letters in Azure Blob Storage."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Sequence

from azure.storage.blob import BlobServiceClient

from tidegate.adapters.azure_calls import translated
from tidegate.adapters.storage import write_once
from tidegate.adapters.storage.dead_letters import DeadLetters
from tidegate.errors import PermanentError
from tidegate.flows.alerts.letter_watch import Letters, Mark
from tidegate.ports import Parked, Stored

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")
_MAX_NAME = 1024


class BlobEvidence:
    """The Evidence port over two containers, which are made when they are missing."""

    def __init__(self, service: BlobServiceClient, container: str, dead_letter_container: str) -> None:
        self._container = service.get_container_client(container)
        self._letters = DeadLetters(service.get_container_client(dead_letter_container))

    def put(self, name: str, data: bytes, content_type: str) -> Stored:
        """PermanentError: the name is not path-safe."""
        if not _safe(name):
            raise PermanentError(f"evidence {name[:80]!a}: not a path-safe name")
        sha256 = hashlib.sha256(data).hexdigest()
        blob = self._container.get_blob_client(name)
        with translated(f"evidence {name}"):
            if write_once.create(self._container, name, data, content_type, sha256=sha256):
                return Stored(blob.url, sha256, len(data))
            kept = blob.get_blob_properties()
            return Stored(blob.url, kept.metadata["sha256"], kept.size)

    def get(self, name: str, limit: int) -> bytes | None:
        if not _safe(name):
            return None
        with translated(f"evidence {name}"):
            return write_once.read(self._container, name, limit)

    def park(self, id: str, reason: str, body: str, at: datetime.datetime) -> bool:
        return self._letters.park(id, reason, body, at)

    def parked(self, limit: int, cursor: str | None) -> tuple[Sequence[Parked], str | None]:
        return self._letters.page(limit, cursor)

    def arrived(self, after: Mark, before: datetime.datetime, limit: int) -> Letters:
        return self._letters.arrived(after, before, limit)

    def parked_one(self, id: str) -> Parked | None:
        return self._letters.one(id)

    def unpark(self, id: str) -> None:
        self._letters.remove(id)


def _safe(name: str) -> bool:
    return len(name) <= _MAX_NAME and _NAME.match(name) is not None
