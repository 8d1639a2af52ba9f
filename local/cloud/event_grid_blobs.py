"""Dead letters' way into the storage account: the Azure SDK against Azurite."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, override

from local.cloud.event_grid_dead_letters import BlobWriter, StorageUnavailableError

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobServiceClient


class StorageAccount(BlobWriter):
    """Blobs of the account that a connection string names; connects at the first write."""

    def __init__(self, connection_string: str) -> None:
        self._connection_string = connection_string
        self._client: BlobServiceClient | None = None

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    @override
    async def write(self, container: str, name: str, content: bytes) -> None:
        from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

        target = self._connected().get_container_client(container)
        try:
            try:
                await target.upload_blob(name, content, overwrite=True)
            except ResourceNotFoundError:
                with contextlib.suppress(ResourceExistsError):
                    await target.create_container()
                await target.upload_blob(name, content, overwrite=True)
        except AzureError as error:
            raise StorageUnavailableError(str(error)) from error

    def _connected(self) -> BlobServiceClient:
        from azure.storage.blob.aio import BlobServiceClient

        if self._client is None:
            # Its own retries are off: DeadLetters tries again, on Event Grid's terms.
            self._client = BlobServiceClient.from_connection_string(
                self._connection_string, retry_total=0, connection_timeout=5, read_timeout=20
            )
        return self._client


class NoStorage(BlobWriter):
    """A stand-in started without a storage account: dead letters wait, then are dropped."""

    @override
    async def write(self, container: str, name: str, content: bytes) -> None:
        raise StorageUnavailableError("this stand-in was started without a storage account")
