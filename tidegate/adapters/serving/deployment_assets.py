"""What a deployment is made of beside its model: the environment of an image, and the code that the artefact brings.

Both are registered under names that follow from their content, so making them twice makes one, and a deployment names exact bytes
(invariant C1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from tidegate.adapters.machine_learning.workspaces import Workspaces
from tidegate.adapters.storage.blob_folders import Folder
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_facts import Candidate

ENVIRONMENT_API = "2023-04-01-preview"
CODE_API = "2023-04-01"
PORT = 5001
"""Of the inference server (azureml-inference-server-http)."""

_ALIVE = {"port": PORT, "path": "/"}
ROUTES = {"livenessRoute": _ALIVE, "readinessRoute": _ALIVE, "scoringRoute": {"port": PORT, "path": "/score"}}
_VERSION = "1"

type Fetch = Callable[[Folder, str, str], Folder | None]
"""Has a folder copied into a workspace's own storage: (folder, workspace id, path there); None: it is under way."""


class DeploymentAssets:
    """Environments and code of any workspace."""

    def __init__(self, workspaces: Workspaces, folder_of: Callable[[str], Folder], fetch: Fetch) -> None:
        self._workspaces = workspaces
        self._folder_of = folder_of
        self._fetch = fetch

    def environment(self, workspace_id: str, image: str) -> str:
        """Id of the environment that is this image and nothing built on top. Twice: the same. PermanentError: refused."""
        name = f"image-{hashlib.sha256(image.encode()).hexdigest()[:32]}"
        properties = {"image": image, "osType": "Linux", "inferenceConfig": ROUTES}
        place = f"{workspace_id}/environments/{name}/versions/{_VERSION}"
        known = self._workspaces.arm.get(place, ENVIRONMENT_API, name) or self._put(place, ENVIRONMENT_API, properties)
        found = str((known.get("properties") or {}).get("image") or "")
        if found != image:
            raise PermanentError(f"NameTaken: environment {name} is {found[:200]!a}")
        return place

    def code(self, workspace_id: str, candidate: Candidate) -> dict[str, str] | None:
        """The deployment's codeConfiguration; None: the image brings its own. Twice: the same."""
        if not candidate.script:
            return None
        directory, _, script = candidate.script.rpartition("/")
        name = f"code-{hashlib.sha256(f'{candidate.sha256} {directory}'.encode()).hexdigest()[:32]}"
        place = f"{workspace_id}/codes/{name}/versions/{_VERSION}"
        if self._workspaces.arm.get(place, CODE_API, f"code of {candidate.name}") is None:
            uri = self._code_folder(workspace_id, candidate, directory, name).url
            self._put(place, CODE_API, {"codeUri": uri, "properties": {"tidegate.artefact": candidate.sha256}})
        return {"codeId": place, "scoringScript": script}

    def _code_folder(self, workspace_id: str, candidate: Candidate, directory: str, name: str) -> Folder:
        """In the artefact itself. A registry's storage is closed to a workspace's code, so from there it is copied over."""
        folder = self._folder_of(candidate.asset).within(directory)
        if not candidate.asset.startswith("azureml://registries/"):
            return folder
        fetched = self._fetch(folder, workspace_id, f"tidegate/code/{name}")
        if fetched is None:
            raise TransientError(f"code of {candidate.name}: still being copied")
        return fetched

    def _put(self, place: str, version: str, properties: dict[str, Any]) -> dict[str, Any]:
        body = {"properties": {**properties, "isAnonymous": False, "isArchived": False}}
        return self._workspaces.arm.call("PUT", place, version, place.rpartition("/workspaces/")[2], body)
