"""Where the artefact of a registered model is: from the address that the model has to a folder in blob storage."""

from __future__ import annotations

import re
import threading
import time
import urllib.parse
from collections.abc import Callable

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential, TokenCredential

from tidegate.adapters.machine_learning.workspaces import Workspaces
from tidegate.adapters.storage.blob_folders import Account, Folder, account
from tidegate.errors import PermanentError

DEFAULT_DATASTORE = "workspaceblobstore"
"""Every workspace has it."""
_RUN_DATASTORE = "workspaceartifactstore"
_RUN_FOLDER = "ExperimentRun/dcid.{run}"
"""Where runs keep what they logged (azure-ai-ml reads it there when it downloads a job)."""
_KEPT = 600.0
"""Seconds that a datastore's own credential is used before it is asked for again; the shortest one lives for an hour."""

_DATASTORE = re.compile(
    r"azureml://(?:subscriptions/(?P<subscription>[^/]+)/resource[gG]roups/(?P<group>[^/]+)"
    r"(?:/providers/Microsoft\.MachineLearningServices)?/workspaces/(?P<workspace>[^/]+)/)?"
    r"datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)\Z"
)
_RUN = re.compile(r"azureml://jobs/(?P<run>[^/]+)/outputs/(?P<output>[^/]+)(?:/paths/(?P<path>.*))?\Z")
_BLOB = re.compile(r"https://(?P<account>[a-z0-9]+)\.blob\.(?P<suffix>[a-z.]+)/(?P<container>[^/?]+)/(?P<path>[^?]*)\Z")


class ArtefactPlaces:
    """Finds folders; keeps one pool of connections for each account and identity. May be shared by threads."""

    def __init__(
        self, workspaces: Workspaces, credential: TokenCredential, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workspaces = workspaces
        self._credential = credential
        self._clock = clock
        self._accounts: dict[str, tuple[float, Account]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connections back."""
        for _, each in self._accounts.values():
            each.service.close()

    def folder(self, workspace_id: str, uri: str) -> Folder:
        """What `uri` means in a workspace. PermanentError: it is none of the forms that models are registered with."""
        if found := _DATASTORE.match(uri):
            owner = workspace_id
            if found["workspace"]:
                group = f"/subscriptions/{found['subscription']}/resourceGroups/{found['group']}"
                owner = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{found['workspace']}"
            return self.in_datastore(owner, found["datastore"], found["path"])
        if found := _RUN.match(uri):
            return self._of_run(workspace_id, found["run"], found["output"], found["path"] or "")
        if found := _BLOB.match(uri):
            storage = self._by_identity(found["account"], found["suffix"])
            return Folder(storage, found["container"], _plain(urllib.parse.unquote(found["path"])))
        raise PermanentError(f"{uri[:120]!a}: no address of an artefact that can be read")

    def in_datastore(self, workspace_id: str, name: str, path: str) -> Folder:
        """A folder of a datastore. PermanentError: there is no such datastore, or it is no blob storage."""
        known = self._workspaces.datastore(workspace_id, name)
        if known.get("datastoreType") not in ("AzureBlob", "AzureDataLakeGen2"):
            raise PermanentError(f"datastore {name}: {known.get('datastoreType')} is no blob storage")
        container = str(known.get("containerName") or known.get("filesystem") or "")
        where = (str(known.get("accountName") or ""), str(known.get("endpoint") or "core.windows.net"))
        kind = str((known.get("credentials") or {}).get("credentialsType") or "None")
        if kind in ("AccountKey", "Sas"):
            return Folder(self._by_secret(workspace_id, name, where), container, _plain(path))
        return Folder(self._by_identity(*where), container, _plain(path))

    def _of_run(self, workspace_id: str, run: str, output: str, path: str) -> Folder:
        if output == "artifacts":
            return self.in_datastore(workspace_id, _RUN_DATASTORE, f"{_RUN_FOLDER.format(run=run)}/{path}")
        outputs = self._workspaces.job(workspace_id, run).get("outputs") or {}
        uri = str((outputs.get(output) or {}).get("uri") or "")
        # A named output without an address of its own goes where the service puts those (azure-docs: how-to-read-write-data-v2).
        uri = uri or f"azureml://datastores/{DEFAULT_DATASTORE}/paths/azureml/{run}/{output}/"
        if not _DATASTORE.match(uri):
            raise PermanentError(f"run {run}: output {output} is at {uri[:120]!a}, which cannot be read")
        return self.folder(workspace_id, f"{uri.rstrip('/')}/{path}")

    def _by_identity(self, name: str, suffix: str) -> Account:
        return self._kept(f"{name}.{suffix}", None, lambda: account(name, suffix, self._credential))

    def _by_secret(self, workspace_id: str, datastore: str, where: tuple[str, str]) -> Account:
        def made() -> Account:
            secrets = self._workspaces.secrets(workspace_id, datastore)
            if key := secrets.get("key"):
                return account(*where, AzureNamedKeyCredential(where[0], str(key)))
            if token := secrets.get("sasToken"):
                return account(*where, AzureSasCredential(str(token).lstrip("?")))
            raise PermanentError(f"datastore {datastore}: its secret is neither a key nor a SAS")

        return self._kept(f"{workspace_id}/{datastore}".lower(), _KEPT, made)

    def _kept(self, key: str, seconds: float | None, make: Callable[[], Account]) -> Account:
        with self._lock:
            since, known = self._accounts.get(key, (0.0, None))
            if known is not None and (seconds is None or self._clock() - since < seconds):
                return known
            made = make()
            self._accounts[key] = self._clock(), made
            return made


def _plain(path: str) -> str:
    """A path without the slash at its end. PermanentError: it leads out of where it begins."""
    plain = path.strip("/")
    if any(part in ("", ".", "..") for part in plain.split("/")) and plain:
        raise PermanentError(f"{path[:120]!a}: no path of a folder")
    return plain
