"""Folders in blob storage: what is in them, their bytes, and the links by which the storage copies between them."""

from __future__ import annotations

import dataclasses
import datetime
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from azure.core import MatchConditions
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential, TokenCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, ContainerClient, generate_blob_sas

from tidegate.adapters.azure_calls import translated
from tidegate.adapters.storage.storage_account import BLOB_BOUNDED
from tidegate.errors import PermanentError

SUFFIXES = ("core.windows.net", "core.usgovcloudapi.net", "core.chinacloudapi.cn")
"""Where storage accounts are; no datastore leads elsewhere."""
MOST_FILES = 10_000
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}\Z")
_CONTAINER = re.compile(r"(\$root|[a-z0-9](?:-?[a-z0-9]){2,62})\Z")
_LINK_LIFE = datetime.timedelta(hours=12)
"""As long as the storage may take to copy from a link."""
_COPY_TIMEOUT = 10
"""Seconds that the storage may take to copy one file while it is waited for."""
_CLOCKS_DIFFER = datetime.timedelta(minutes=5)

type Credential = TokenCredential | AzureNamedKeyCredential | AzureSasCredential


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """One file of a folder, as it is listed."""

    path: str
    """Within the folder."""
    blob: str
    size: int
    etag: str
    copy: Literal["", "pending", "success", "aborted", "failed"]
    metadata: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """A storage account as one identity, with its connections. May be shared by threads."""

    name: str
    suffix: str
    credential: Credential = dataclasses.field(repr=False)
    service: BlobServiceClient = dataclasses.field(repr=False)

    @property
    def url(self) -> str:
        return f"https://{self.name}.blob.{self.suffix}"

    @property
    def is_by_identity(self) -> bool:
        """Whether it is read with tokens, without a secret."""
        return not isinstance(self.credential, AzureSasCredential | AzureNamedKeyCredential)

    def signature(self, container: str, blob: str, now: datetime.datetime) -> str:
        """The query that lets whoever has it read one blob; a secret."""
        if isinstance(self.credential, AzureSasCredential):
            return self.credential.signature.lstrip("?")
        key: dict[str, Any]
        if isinstance(self.credential, AzureNamedKeyCredential):
            key = {"account_key": self.credential.named_key.key}
        else:
            with translated(f"{self.url}: a link"):
                delegated = self.service.get_user_delegation_key(now - _CLOCKS_DIFFER, now + _LINK_LIFE)
            key = {"user_delegation_key": delegated}
        return generate_blob_sas(
            self.name,
            container,
            blob,
            permission=BlobSasPermissions(read=True),
            start=now - _CLOCKS_DIFFER,
            expiry=now + _LINK_LIFE,
            protocol="https",
            **key,
        )


def account(name: str, suffix: str, credential: Credential) -> Account:
    """PermanentError: no name of a storage account, or not where Azure has them."""
    if not _ACCOUNT.match(name) or suffix not in SUFFIXES:
        raise PermanentError(f"{name[:80]!a}.blob.{suffix[:80]!a}: no storage account")
    service = BlobServiceClient(f"https://{name}.blob.{suffix}", credential=credential, **BLOB_BOUNDED)
    return Account(name, suffix, credential, service)


@dataclasses.dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a container, or a single blob of it: what a registered model's address stands for."""

    account: Account
    container: str
    prefix: str
    """Without a slash at its end; empty: the whole container."""

    def __post_init__(self) -> None:
        """PermanentError: no container has such a name."""
        if not _CONTAINER.match(self.container):
            raise PermanentError(f"{self.account.url}/{self.container[:80]!a}: no container")

    @property
    def url(self) -> str:
        """Its address, without any right to read it."""
        place = f"{self.account.url}/{self.container}"
        return f"{place}/{urllib.parse.quote(self.prefix)}" if self.prefix else place

    def within(self, path: str) -> Folder:
        """A folder in it."""
        return dataclasses.replace(self, prefix=self._blob(path)) if path else self

    def files(self) -> list[File]:
        """By path. PermanentError: more than MOST_FILES, or no such container."""
        found: list[File] = []
        with translated(self.url, {404: PermanentError}):
            for blob in self._client.list_blobs(name_starts_with=self.prefix or None, include=["metadata", "copy"]):
                path = self._path(str(blob.name))
                metadata = {str(name).lower(): str(value) for name, value in (blob.metadata or {}).items()}
                if path is None or metadata.get("hdi_isfolder") == "true":  # how a hierarchical account marks folders
                    continue
                if len(found) == MOST_FILES:
                    raise PermanentError(f"{self.url}: more than {MOST_FILES} files")
                copied: Any = blob.copy.status or ""
                found.append(File(path, str(blob.name), int(blob.size), str(blob.etag), copied, metadata))
        return sorted(found, key=lambda each: each.path)

    def chunks(self, file: File, offset: int = 0) -> Iterator[bytes]:
        """Its bytes from `offset` on, as it was listed. TransientError: it changed since then, or reading broke off."""
        if offset >= file.size:
            return
        with translated(f"{self.url}: {file.path} changed, or was not read to its end"):
            stream = self._client.download_blob(
                file.blob,
                offset=offset,
                etag=file.etag,
                match_condition=MatchConditions.IfNotModified,
                max_concurrency=1,
            )
            yield from stream.chunks()

    def read(self, path: str, limit: int) -> bytes | None:
        """One file; None: it is not there. PermanentError: larger than `limit` bytes."""
        with translated(f"{self.url}: {path}"):
            try:
                stream = self._client.download_blob(self._blob(path), offset=0, length=limit + 1, max_concurrency=1)
                content: bytes = stream.readall()
            except ResourceNotFoundError:
                return None
        if len(content) > limit:
            raise PermanentError(f"{path}: more than {limit} bytes")
        return content

    def address(self, file: File) -> str:
        """Of one file, without any right to read it."""
        return self._client.get_blob_client(file.blob).url.partition("?")[0]

    def link(self, file: File, now: datetime.datetime) -> str:
        """An address of one file that carries the right to read it; a secret."""
        return f"{self.address(file)}?{self.account.signature(self.container, file.blob, now)}"

    def copy_here(self, path: str, source: str, metadata: Mapping[str, str], *, at_once: bool) -> None:
        """Have the storage copy what is at `source`. `at_once`: it answers when it is done; else it goes on by itself.

        PermanentError: refused.
        """
        with translated(f"{self.url}: {path}: copy", refusable=True):
            self._client.get_blob_client(self._blob(path)).start_copy_from_url(
                source, metadata=dict(metadata), requires_sync=at_once or None, read_timeout=_COPY_TIMEOUT
            )

    @property
    def _client(self) -> ContainerClient:
        return self.account.service.get_container_client(self.container)

    def _blob(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    def _path(self, blob: str) -> str | None:
        """A blob's path in the folder; None: it is beside the folder, `model-2/x` beside `model`."""
        if not self.prefix:
            return blob
        if blob == self.prefix:
            return blob.rpartition("/")[2]
        return blob.removeprefix(f"{self.prefix}/") if blob.startswith(f"{self.prefix}/") else None
