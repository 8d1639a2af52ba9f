"""Azure ML registries, through which models move between workspaces: share a version, see it there, read its bytes.

The requests are those of azure-ai-ml's `models.share`, which waits until the copy is over; here it is started, and asked about.
A registry answers at an address of its own region, which the discovery names and which is checked before it gets a token.
"""

from __future__ import annotations

import contextlib
import threading
import urllib.parse
from collections.abc import Mapping
from typing import Any

from azure.core.credentials import AzureSasCredential

from tidegate.adapters.arm import Arm
from tidegate.adapters.storage.blob_folders import Folder, account
from tidegate.errors import PermanentError, StateConflict
from tidegate.references import ModelRef

_DISCOVERY = "https://eastus.api.azureml.ms/registrymanagement/v1.0/registries"
"""Knows the registries of every region (azure-ai-ml asks there)."""
_API = "2021-10-01-dataplanepreview"
_PREFIX = "mferp/managementfrontend"


class MlRegistries:
    """Registries by name. May be shared by threads."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._places: dict[str, str] = {}
        self._lock = threading.Lock()

    def version(self, registry: str, model: ModelRef) -> Mapping[str, Any] | None:
        """The version as the registry has it; None: it does not, or not yet."""
        found = self._arm.get(
            f"{self._place(registry)}/models/{model.name}/versions/{model.version}", _API, f"registry {registry}"
        )
        return (found or {}).get("properties")

    def share(self, registry: str, model: ModelRef, location: str, workspace_guid: str) -> None:
        """Begin to copy a version out of its workspace. Twice: nothing (409). PermanentError: refused."""
        source = (
            f"azureml://locations/{location}/workspaces/{workspace_guid}/models/{model.name}/versions/{model.version}"
        )
        properties = {
            "referenceType": "Id",
            "destinationName": model.name,
            "destinationVersion": model.version,
            "sourceAssetId": source,
        }
        body = {"properties": properties}
        with contextlib.suppress(StateConflict):
            what = f"registry {registry}: share {model}"
            self._arm.call("POST", f"{self._place(registry)}/import", _API, what, body, {409: StateConflict})

    def folder(self, registry: str, model: ModelRef, uri: str) -> Folder:
        """Its files, with a link that the registry signs for an hour or so. PermanentError: none is given."""
        place = f"{self._place(registry)}/datarefs/{model.name}/versions/{model.version}"
        body = {"assetId": asset(registry, model), "blobUri": uri}
        answer = self._arm.call("POST", place, _API, f"registry {registry}: read {model}", body)
        reference = answer.get("blobReferenceForConsumption") or {}
        signed = str((reference.get("credential") or {}).get("sasUri") or "")
        parts = urllib.parse.urlsplit(uri)
        container, _, prefix = urllib.parse.unquote(parts.path).strip("/").partition("/")
        query = urllib.parse.urlsplit(signed).query
        if not query or urllib.parse.urlsplit(signed).hostname != parts.hostname:
            raise PermanentError(f"registry {registry}: no link to read {model} by")
        name, _, suffix = (parts.hostname or "").partition(".blob.")
        return Folder(account(name, suffix, AzureSasCredential(query)), container, prefix)

    def _place(self, registry: str) -> str:
        with self._lock:
            if registry not in self._places:
                what = f"registry {registry}"
                found = self._arm.get(f"{_DISCOVERY}/{urllib.parse.quote(registry)}/discovery", "", what)
                if not found:
                    raise PermanentError(f"{what}: there is none")
                group = f"/subscriptions/{found.get('subscriptionId')}/resourceGroups/{found.get('resourceGroup')}"
                base = str(found.get("primaryRegionResourceProviderUri") or "").rstrip("/")
                provider = "providers/Microsoft.MachineLearningServices/registries"
                self._places[registry] = f"{base}/{_PREFIX}{group}/{provider}/{registry}"
            return self._places[registry]


def asset(registry: str, model: ModelRef) -> str:
    """Id by which deployments of any workspace take the version."""
    return f"azureml://registries/{registry}/models/{model.name}/versions/{model.version}"
