"""The blobs of the emulated workspaces: datastores as containers of the storage account, links to them, and downloads."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import re
import urllib.parse
from pathlib import Path, PurePosixPath

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from azure.storage.blob.aio import BlobServiceClient

from local.cloud.errors import ArmError
from local.cloud.ml_workspaces import workspace_guid

_DATASTORE = re.compile(
    r"azureml://(?:subscriptions/[^/]+/resourcegroups/[^/]+/(?:providers/[^/]+/)?workspaces/(?P<workspace>[^/]+)/)?"
    r"datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)",
    re.IGNORECASE,
)
DEFAULT_STORES = ("workspaceblobstore", "workspaceartifactstore")


@dataclasses.dataclass(frozen=True, slots=True)
class BlobPath:
    """A folder or a file in a container."""

    container: str
    path: str
    """Without a slash at either end; empty: the whole container."""

    @property
    def name(self) -> str:
        """What it is called where it is put."""
        return PurePosixPath(self.path).name


class MlStorage:
    """Azurite's account. On Azure the workspaces have an account of their own, apart from the state of Tidegate."""

    def __init__(self, connection_string: str) -> None:
        self._service = BlobServiceClient.from_connection_string(
            connection_string, retry_total=3, retry_backoff_factor=0.2
        )
        self._made: set[str] = set()

    async def close(self) -> None:
        await self._service.close()

    @property
    def account(self) -> str:
        return str(self._service.account_name)

    def url(self, blobs: BlobPath) -> str:
        """Azure's own address, which the front leads to the emulator."""
        quoted = urllib.parse.quote(f"{blobs.container}/{blobs.path}".rstrip("/"))
        return f"https://{self.account}.blob.core.windows.net/{quoted}"

    async def ensure(self, container: str) -> None:
        """Twice: the same container."""
        if container not in self._made:
            with contextlib.suppress(ResourceExistsError):
                await self._service.create_container(container)
            self._made.add(container)

    def sas(self, container: str, permissions: str, hours: int = 1) -> str:
        """A signature for one container. Permissions as letters: r read, w write, l list, a add, c create, d delete."""
        return generate_container_sas(
            account_name=self.account,
            container_name=container,
            account_key=self._service.credential.account_key,
            permission=ContainerSasPermissions.from_string(permissions),
            expiry=dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours),
        )

    def locate(self, uri: str, workspace: str) -> BlobPath:
        """What an asset's uri names: `azureml://.../datastores/...` or the address of a blob. ArmError 400: neither."""
        if found := _DATASTORE.fullmatch(uri):
            return BlobPath(container_of(found["workspace"] or workspace, found["datastore"]), found["path"].strip("/"))
        parts = urllib.parse.urlsplit(uri)
        if parts.hostname == f"{self.account}.blob.core.windows.net":
            container, _, path = urllib.parse.unquote(parts.path).strip("/").partition("/")
            return BlobPath(container, path)
        raise ArmError(400, "UserError", f"The uri '{uri}' is in no storage that the local stack has.")

    async def files(self, blobs: BlobPath) -> dict[str, int]:
        """Bytes of every blob there, by its path below; a single file is found by its own name."""
        found = {}
        container = self._service.get_container_client(blobs.container)
        async for each in container.list_blobs(name_starts_with=blobs.path):
            if each.name == blobs.path:
                found[blobs.name] = int(each.size)
            elif not blobs.path or each.name.startswith(f"{blobs.path}/"):
                found[each.name.removeprefix(blobs.path).lstrip("/")] = int(each.size)
        return found

    async def download(self, blobs: BlobPath, folder: Path) -> int:
        """Copy a file into the folder, or a folder with its name below it; gives the bytes.

        FileNotFoundError: nothing is there.
        """
        files = await self.files(blobs)
        if not files:
            raise FileNotFoundError(f"{blobs.container}/{blobs.path}")
        single = list(files) == [blobs.name] and not await self._is_folder(blobs)
        target = folder if single else folder / blobs.name
        for name in files:
            blob = self._service.get_blob_client(blobs.container, blobs.path if single else _join(blobs.path, name))
            place = target / name
            if ".." in place.parts or name.startswith("/"):
                raise ArmError(400, "UserError", f"The blob name '{name}' leads out of its folder.")
            place.parent.mkdir(parents=True, exist_ok=True)
            stream = await blob.download_blob()
            with place.open("wb") as file:
                async for chunk in stream.chunks():
                    file.write(chunk)
        return sum(files.values())

    async def copy(self, source: BlobPath, target: BlobPath) -> None:
        """Copy every blob below the source to the same place below the target. Twice: the same."""
        await self.ensure(target.container)
        for name in await self.files(source):
            single = name == source.name and not await self._is_folder(source)
            origin = source.path if single else _join(source.path, name)
            stream = await self._service.get_blob_client(source.container, origin).download_blob()
            blob = self._service.get_blob_client(target.container, _join(target.path, name))
            chunks = (chunk async for chunk in stream.chunks())
            await blob.upload_blob(chunks, length=stream.size, overwrite=True)

    async def _is_folder(self, blobs: BlobPath) -> bool:
        return not await self._service.get_blob_client(blobs.container, blobs.path or " ").exists()


def container_of(workspace: str, datastore: str) -> str:
    """The container behind a datastore."""
    if datastore.lower() in DEFAULT_STORES:
        return f"azureml-blobstore-{workspace_guid(workspace.lower())}"
    return re.sub(r"[^a-z0-9-]", "-", f"{workspace}-{datastore}".lower())


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
