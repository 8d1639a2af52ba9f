"""The storage account of the Functions host, by connection string or by identity, as `AzureWebJobsStorage` says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from azure.core.credentials import TokenCredential
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from tidegate.adapters.azure_calls import BOUNDED
from tidegate.errors import SettingsError

NAME = "AzureWebJobsStorage"

# What the short form of local.settings.json stands for: Azurite on its default ports, with its published account and key.
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)

BLOB_BOUNDED = {**BOUNDED, "initial_backoff": 0.2, "increment_base": 0, "random_jitter_range": 0}
"""BOUNDED for blobs and queues, whose retry policy knows other words for it."""


@dataclasses.dataclass(frozen=True, slots=True)
class StorageAccount:
    """Makes clients of one account; each is made once and shared."""

    connection_string: str
    endpoints: Mapping[str, str]
    """`blob`, `queue`, `table` -> endpoint; empty with a connection string."""
    credential: TokenCredential | None

    def blobs(self) -> BlobServiceClient:
        if self.connection_string:
            return BlobServiceClient.from_connection_string(self.connection_string, **BLOB_BOUNDED)
        return BlobServiceClient(self.endpoints["blob"], credential=self.credential, **BLOB_BOUNDED)

    def queues(self) -> QueueServiceClient:
        if self.connection_string:
            return QueueServiceClient.from_connection_string(self.connection_string, **BLOB_BOUNDED)
        return QueueServiceClient(self.endpoints["queue"], credential=self.credential, **BLOB_BOUNDED)

    def tables(self) -> TableServiceClient:
        if self.connection_string:
            return TableServiceClient.from_connection_string(self.connection_string, **BOUNDED)
        return TableServiceClient(endpoint=self.endpoints["table"], credential=self.credential, **BOUNDED)


def storage(
    environ: Mapping[str, str], credential: Callable[[str], TokenCredential], client_id: str = ""
) -> StorageAccount:
    """The account that `AzureWebJobsStorage` names; `credential(client id)` is asked only without a connection string.

    SettingsError: neither a connection string, nor `AzureWebJobsStorage__accountName`, nor all three service URIs.
    """
    connection_string = environ.get(NAME, "").strip()
    if connection_string == "UseDevelopmentStorage=true":
        return StorageAccount(_DEVELOPMENT, {}, None)
    if connection_string:
        return StorageAccount(connection_string, {}, None)
    endpoints = {service: _endpoint(environ, service) for service in ("blob", "queue", "table")}
    missing = [f"{NAME}__{service}ServiceUri" for service, url in endpoints.items() if not url]
    if missing:
        raise SettingsError(f"{NAME}: missing; set {NAME}, or {NAME}__accountName, or {', '.join(missing)}")
    insecure = [f"{NAME}__{service}ServiceUri" for service, url in endpoints.items() if not url.startswith("https://")]
    if insecure:
        raise SettingsError(f"{', '.join(insecure)}: must start with https://")
    return StorageAccount("", endpoints, credential(environ.get(f"{NAME}__clientId", "").strip() or client_id))


def _endpoint(environ: Mapping[str, str], service: str) -> str:
    account = environ.get(f"{NAME}__accountName", "").strip()
    named = environ.get(f"{NAME}__{service}ServiceUri", "").strip()
    return named or (f"https://{account}.{service}.core.windows.net" if account else "")
