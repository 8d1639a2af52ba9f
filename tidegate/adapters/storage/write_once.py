"""Blobs that are written once: the first content of a name stays."""

from __future__ import annotations

import contextlib

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient, ContentSettings


def create(container: ContainerClient, name: str, data: bytes, content_type: str, **metadata: str) -> bool:
    """Write a blob if its name is free (If-None-Match: *); False: it is taken. Makes the container when it is missing."""
    try:
        return _upload(container, name, data, content_type, metadata)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):
            container.create_container()
        return _upload(container, name, data, content_type, metadata)


def read(container: ContainerClient, name: str, limit: int) -> bytes | None:
    """The last `limit` bytes of a blob; None: there is none. The service knows no ranges from the end, so it is asked twice."""
    blob = container.get_blob_client(name)
    try:
        size = blob.get_blob_properties().size
        start = max(size - limit, 0)
        return b"" if start == size else blob.download_blob(offset=start, length=size - start).readall()
    except ResourceNotFoundError:
        return None


def _upload(container: ContainerClient, name: str, data: bytes, content_type: str, metadata: dict[str, str]) -> bool:
    settings = ContentSettings(content_type=content_type)
    try:
        container.upload_blob(name, data, overwrite=False, content_settings=settings, metadata=metadata)
    except ResourceExistsError:
        return False
    return True
