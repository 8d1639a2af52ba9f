"""The log of a run: an append blob in the storage account that can be read, by a SAS link, while the run goes on."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobSasPermissions, ContentSettings, generate_blob_sas
from azure.storage.blob.aio import BlobClient, BlobServiceClient

from local.bounded_output import BoundedOutput

CONTAINER = "tasklogs"

_LINK_LIFE = dt.timedelta(hours=1)
_SHOW_EVERY_S = 1.0
_BLOCK_BYTES = 4 * 2**20
"""The longest block that an append blob takes in every API version."""


class LogStore:
    """Logs of all runs, one append blob a run."""

    def __init__(self, connection_string: str) -> None:
        self._service = BlobServiceClient.from_connection_string(
            connection_string, retry_total=3, retry_backoff_factor=0.2
        )

    async def close(self) -> None:
        await self._service.close()

    async def create(self, name: str) -> RunLog:
        """An empty log, in place of one of the same name."""
        with contextlib.suppress(ResourceExistsError):
            await self._service.create_container(CONTAINER)
        blob = self._service.get_blob_client(CONTAINER, name)
        await blob.create_append_blob(content_settings=ContentSettings(content_type="text/plain; charset=utf-8"))
        return RunLog(blob)

    def link(self, name: str) -> str:
        """A link with which anyone can read this one log for an hour."""
        sas = generate_blob_sas(
            account_name=str(self._service.account_name),
            container_name=CONTAINER,
            blob_name=name,
            account_key=self._service.credential.account_key,
            permission=BlobSasPermissions(read=True),
            expiry=dt.datetime.now(dt.UTC) + _LINK_LIFE,
        )
        # At Azure's own host name, which the front leads to the emulator: the product reads logs from there only.
        return f"https://{self._service.account_name}.blob.core.windows.net/{CONTAINER}/{name}?{sas}"


class RunLog:
    """Lines of the agent and output of containers, appended to the blob about once a second."""

    def __init__(self, blob: BlobClient) -> None:
        self._blob = blob
        self._pending = bytearray()
        self._output: BoundedOutput | None = None

    def write(self, text: str) -> None:
        self._pending += text.encode()

    def say(self, line: str) -> None:
        """A line of the agent, with the time as the agent writes it."""
        self.write(f"{dt.datetime.now(dt.UTC):%Y/%m/%d %H:%M:%S} {line}\n")

    @contextlib.contextmanager
    def container_output(self) -> Iterator[Callable[[bytes], None]]:
        """Takes a container's output: the first and the last half MiB become part of the log, the rest is counted."""
        self._output = output = BoundedOutput()
        try:
            yield output.feed
        finally:
            self._output = None
            text = output.take() + output.finish()
            self._pending += text if not text or text.endswith(b"\n") else text + b"\n"

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """While the block lasts, append what there is about once a second."""
        ticker = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)

    async def close(self, *, successful: bool) -> None:
        """Append the rest and mark the log complete, which is what `az acr` waits for when it follows a log."""
        await self._flush()
        await self._blob.set_blob_metadata({"Complete": "successful" if successful else "failed"})

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_SHOW_EVERY_S)
            await self._flush()

    async def _flush(self) -> None:
        if self._output is not None:
            self._pending += self._output.take()
        while self._pending:
            block = bytes(self._pending[:_BLOCK_BYTES])
            await self._blob.append_block(block)
            del self._pending[: len(block)]
