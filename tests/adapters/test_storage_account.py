"""`AzureWebJobsStorage`, as a connection string or as an identity's endpoints."""

from __future__ import annotations

import contextlib

import pytest
from azure.core.credentials import AccessToken, TokenCredential

from tidegate.adapters.storage.storage_account import storage
from tidegate.errors import SettingsError


class Identity:
    def __init__(self, client_id: str) -> None:
        self.client_id = client_id

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        raise AssertionError("nobody is called")


def identity(client_id: str) -> TokenCredential:
    return Identity(client_id)


def test_a_connection_string_needs_no_identity() -> None:
    text = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a"
    account = storage({"AzureWebJobsStorage": text}, identity)
    assert account.credential is None
    with contextlib.closing(account.blobs()) as service:
        assert service.url.startswith("http://127.0.0.1:1/a")


def test_an_account_name_means_the_public_cloud_and_the_identity() -> None:
    account = storage({"AzureWebJobsStorage__accountName": "contoso"}, identity, "settings-id")
    assert isinstance(account.credential, Identity)
    assert account.credential.client_id == "settings-id"
    with contextlib.closing(account.blobs()) as blobs, contextlib.closing(account.queues()) as queues:
        assert blobs.url == "https://contoso.blob.core.windows.net/"
        assert queues.url == "https://contoso.queue.core.windows.net/"
    with contextlib.closing(account.tables()) as tables:
        assert tables.url == "https://contoso.table.core.windows.net"


def test_service_uris_and_a_client_id_of_their_own_win() -> None:
    environ = {
        "AzureWebJobsStorage__accountName": "contoso",
        "AzureWebJobsStorage__blobServiceUri": "https://elsewhere.example",
        "AzureWebJobsStorage__clientId": "storage-id",
    }
    account = storage(environ, identity, "settings-id")
    assert account.endpoints["blob"] == "https://elsewhere.example"
    assert account.endpoints["queue"] == "https://contoso.queue.core.windows.net"
    assert isinstance(account.credential, Identity)
    assert account.credential.client_id == "storage-id"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "AzureWebJobsStorage__queueServiceUri"),
        ({"AzureWebJobsStorage__blobServiceUri": "https://x"}, "AzureWebJobsStorage__tableServiceUri"),
        (
            {"AzureWebJobsStorage__accountName": "a", "AzureWebJobsStorage__tableServiceUri": "http://x"},
            "AzureWebJobsStorage__tableServiceUri: must start with https://",
        ),
    ],
)
def test_what_is_missing_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        storage(environ, identity)
