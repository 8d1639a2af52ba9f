"""Storage queues through Microsoft's SDK, and the translation of its errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.functions_host.queues import LeaseLost, Message, QueueUnavailable
from local.functions_host.settings import Account, Connection, ConnectionString

if TYPE_CHECKING:
    from azure.identity.aio import DefaultAzureCredential

_RETRY: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2, "retry_total": 2}
"""Seconds; the SDK's own first wait is 15 s, too long to be told that the emulator is down."""


class Storage:
    """Queue clients by connection, each connection with one pool of sockets."""

    def __init__(self) -> None:
        self._services: dict[Connection, QueueServiceClient] = {}
        self._credentials: list[DefaultAzureCredential] = []

    def queue(self, connection: Connection, name: str) -> StorageQueue:
        if connection not in self._services:
            self._services[connection] = self._service(connection)
        return StorageQueue(self._services[connection].get_queue_client(name.lower()))

    async def close(self) -> None:
        for service in self._services.values():
            await service.close()
        for credential in self._credentials:
            await credential.close()

    def _service(self, connection: Connection) -> QueueServiceClient:
        match connection:
            case ConnectionString(text):
                return QueueServiceClient.from_connection_string(text, **_RETRY)
            case Account(uri, client_id):
                from azure.identity.aio import DefaultAzureCredential

                credential = DefaultAzureCredential(managed_identity_client_id=client_id)
                self._credentials.append(credential)
                return QueueServiceClient(uri, credential=credential, **_RETRY)


class StorageQueue:
    """A `queues.Queue` of the service."""

    def __init__(self, client: QueueClient) -> None:
        self._client = client

    @property
    def name(self) -> str:
        return str(self._client.queue_name)

    async def receive(self, count: int, lease_s: float) -> Sequence[Message]:
        with _translated():
            try:
                pages = self._client.receive_messages(
                    messages_per_page=count, visibility_timeout=_whole(lease_s)
                ).by_page()
                async for page in pages:
                    return [_message(each) async for each in page]
            except ResourceNotFoundError:
                return ()
        return ()

    async def extend(self, message: Message, receipt: str, seconds: float) -> str:
        with _translated():
            updated = await self._client.update_message(message.id, receipt, visibility_timeout=_whole(seconds))
        return str(updated.pop_receipt)

    async def delete(self, message: Message, receipt: str) -> None:
        with _translated():
            await self._client.delete_message(message.id, receipt)

    async def send(self, text: str) -> None:
        with _translated():
            try:
                await self._client.send_message(text)
            except ResourceNotFoundError:
                with contextlib.suppress(ResourceExistsError):
                    await self._client.create_queue()
                await self._client.send_message(text)


def _whole(seconds: float) -> int:
    """The service counts whole seconds; a lease of less than one would be none."""
    return max(round(seconds), 1 if seconds else 0)


def _message(each: QueueMessage) -> Message:
    return Message(
        id=str(each.id),
        text=str(each.content),
        receipt=str(each.pop_receipt),
        dequeue_count=int(each.dequeue_count or 0),
        inserted=each.inserted_on,
        expires=each.expires_on,
        next_visible=each.next_visible_on,
    )


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ResourceNotFoundError as error:
        raise LeaseLost(error.message) from error
    except HttpResponseError as error:
        if str(getattr(error, "error_code", "")).endswith(("POP_RECEIPT_MISMATCH", "PopReceiptMismatch")):
            raise LeaseLost(error.message) from error
        raise QueueUnavailable(error.message) from error
    except AzureError as error:
        raise QueueUnavailable(error.message) from error
