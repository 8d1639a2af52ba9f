"""A run's files below a prefix of a blob container: one upload is all or nothing, and ETags make `swap` atomic."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient

from trainer.places import Parts
from trainer.refusal import RefusedError

_CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"


class BlobPlace:
    """See `places.Place`. A blob shows up when its upload is complete; big ones are committed block list at once."""

    def __init__(self, container: ContainerClient, prefix: str) -> None:
        self._container, self._prefix = container, prefix.strip("/")

    @classmethod
    def from_url(cls, url: str, environment: Mapping[str, str]) -> BlobPlace:
        """`https://<account>.blob.core.windows.net/<container>/<prefix>`, as the identity of the machine; with
        AZURE_STORAGE_CONNECTION_STRING set, as that says."""
        if connection := environment.get(_CONNECTION_STRING):
            service = BlobServiceClient.from_connection_string(connection)
            account = service.url.rstrip("/") + "/"
            if not url.startswith(account):
                raise RefusedError(f"{url}: {_CONNECTION_STRING} is of another account, {account}")
            path = url.removeprefix(account)
        else:
            from azure.identity import DefaultAzureCredential

            parts = urlsplit(url)
            service = BlobServiceClient(f"{parts.scheme}://{parts.netloc}", credential=DefaultAzureCredential())
            path = parts.path
        container, _, prefix = unquote(path).strip("/").partition("/")
        if not container:
            raise RefusedError(f"{url}: names no container")
        return cls(service.get_container_client(container), prefix)

    def write(self, name: str, parts: Parts) -> None:
        """See Place.write."""
        with _os_errors():
            self._container.upload_blob(self._path(name), b"".join(parts), overwrite=True)

    def read(self, name: str) -> bytes:
        """See Place.read."""
        with _os_errors():
            content: bytes = self._container.download_blob(self._path(name)).readall()
            return content

    def names(self, prefix: str) -> list[str]:
        """See Place.names."""
        with _os_errors():
            found = list(self._container.list_blob_names(name_starts_with=self._path(prefix) + "/"))
        start = len(self._path(""))
        return [name[start:] for name in found]

    def remove(self, name: str) -> None:
        """See Place.remove."""
        try:
            with _os_errors():
                self._container.delete_blob(self._path(name))
        except FileNotFoundError:
            return

    def create(self, name: str, data: bytes) -> bool:
        """See Place.create."""
        try:
            with _os_errors():
                self._container.upload_blob(self._path(name), data, overwrite=False)
        except FileExistsError:
            return False
        return True

    def swap(self, name: str, expected: bytes, data: bytes) -> bool:
        """See Place.swap."""
        try:
            with _os_errors():
                blob = self._container.download_blob(self._path(name))
                if blob.readall() != expected:
                    return False
                self._container.upload_blob(
                    self._path(name),
                    data,
                    overwrite=True,
                    etag=blob.properties.etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (FileExistsError, FileNotFoundError):
            return False
        return True

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name


class _os_errors:  # noqa: N801  # a context manager that reads like one
    """The trainer knows the errors of files; the SDK's end here."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case ResourceNotFoundError():
                raise FileNotFoundError(str(error)) from error
            case ResourceExistsError() | ResourceModifiedError():
                raise FileExistsError(str(error)) from error
            case AzureError():
                raise OSError(f"Blob storage: {error}") from error
            case _:
                return
