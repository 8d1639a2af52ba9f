"""Where the files of a registered model lie: what a container instance has to fetch."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

type Files = list[tuple[str, str, int]]
"""Path below the model's folder, address of the blob, bytes."""

_PLACE = re.compile(r"azureml://(?:.+/)?datastores/(?P<datastore>[^/]+)/paths/(?P<prefix>.+)")
_MOST = 200
"""Their addresses are a variable of the container."""


class PlaceError(ValueError):
    """A model whose files cannot be fetched by a container instance; the message says why."""


def files_of(model: str, client: Any, container_of: Callable[[str, str], Any] | None = None) -> Files:
    """Of `<name>:<version>`, asked as whoever calls. `client` is azure-ai-ml's; `container_of` opens an account's container."""
    name, _, version = model.removeprefix("azureml:").partition(":")
    path = str(client.models.get(name, version).path)
    place = _PLACE.fullmatch(path)
    if place is None:
        raise PlaceError(f"model {model} lies at {path}, which is no path of a datastore: register it from one")
    store = client.datastores.get(place["datastore"])
    account = f"https://{store.account_name}.blob.{store.endpoint or 'core.windows.net'}"
    container = (container_of or _container)(account, store.container_name)
    prefix = place["prefix"].rstrip("/") + "/"
    found = [(blob.name.removeprefix(prefix), blob.size) for blob in container.list_blobs(name_starts_with=prefix)]
    if not 0 < len(found) <= _MOST:
        raise PlaceError(f"model {model} has {len(found)} files at {path}; from 1 to {_MOST} can be fetched")
    start = f"{account}/{store.container_name}/{urllib.parse.quote(prefix)}"
    return [(path, start + urllib.parse.quote(path), size) for path, size in found]


def _container(account: str, name: str) -> Any:
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import BlobServiceClient

    return BlobServiceClient(account, credential=DefaultAzureCredential()).get_container_client(name)
