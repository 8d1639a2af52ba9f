"""Versions of models in the machine learning workspaces: described, hashed, copied to where a stage takes them, and marked."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidegate.adapters.arm import Arm
from tidegate.adapters.machine_learning import artefacts, ml_registry
from tidegate.adapters.machine_learning.artefact_hashes import ArtefactHashes
from tidegate.adapters.machine_learning.artefact_places import DEFAULT_DATASTORE, ArtefactPlaces
from tidegate.adapters.machine_learning.ml_registry import MlRegistries
from tidegate.adapters.machine_learning.workspaces import MODEL_API, Workspaces
from tidegate.adapters.storage.blob_folders import Folder
from tidegate.errors import PermanentError
from tidegate.flows.models.model_facts import COPY_TAG, Artefact
from tidegate.flows.models.model_gate import WorkspaceRef
from tidegate.model_ports import Placed, RegisteredModel
from tidegate.references import ModelRef

COPIES = "tidegate/models"
"""Folder of a workspace's default datastore with the artefacts that were copied there."""
_RUN_URI = re.compile(r"azureml://jobs/([^/]+)/")
_IN_REGISTRY = re.compile(r"azureml://registries/([A-Za-z0-9_-]+)/models/([^/]+)/versions/([^/]+)\Z")
_MOST_NAMES = 1000
"""Names of models that are looked at for the newest versions."""


class MachineLearningModels:
    """The Models port. May be shared by threads."""

    def __init__(
        self,
        workspaces: Workspaces,
        places: ArtefactPlaces,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._workspaces = workspaces
        self._places = places
        self._registries = MlRegistries(workspaces.arm)
        self._hashes = ArtefactHashes()
        self._now = now

    def describe(self, model: ModelRef) -> RegisteredModel:
        return _registered(model, self._workspaces.model(model))

    def artefact(self, model: ModelRef, max_size: int) -> Artefact:
        return self._hashes.artefact(self._source(model), max_size)

    def file(self, model: ModelRef, path: str, limit: int) -> bytes | None:
        return self._source(model).read(path, limit)

    def place(self, model: ModelRef, workspace: WorkspaceRef, registry: str) -> Placed | None:
        if registry:
            return self._share(model, registry)
        asset = self._workspaces.model_id(workspace, model)
        if asset.lower() == self._workspaces.model_id(WorkspaceRef(model.workspace), model).lower():
            return Placed(asset, self._hashes.artefact(self._source(model), 0).sha256)
        return self._copy(model, workspace, asset)

    def mark(self, model: ModelRef, properties: Mapping[str, str]) -> None:
        found = self._workspaces.model(model)
        known = found["properties"]
        tags = {**(known.get("tags") or {}), **properties}
        if tags != known.get("tags"):
            self._register(WorkspaceRef(model.workspace), model, {**known, "tags": tags})

    def recent(self, workspace: str, limit: int) -> Sequence[RegisteredModel]:
        root = f"{self._workspaces.id(WorkspaceRef(workspace))}/models"
        what = f"models of {workspace}"
        newest: list[RegisteredModel] = []
        names = sorted(_first(self._arm.pages(root, MODEL_API, what), _MOST_NAMES), key=_changed, reverse=True)
        for name in [str(each.get("name")) for each in names[:limit]]:
            query = {"$orderBy": "createdtime desc", "$top": str(limit)}
            versions = _first(self._arm.pages(f"{root}/{name}/versions", MODEL_API, what, query), limit)
            newest += [_registered(ModelRef(workspace, name, str(each.get("name"))), each) for each in versions]
        return sorted(newest, key=lambda each: each.created, reverse=True)[:limit]

    def folder_of(self, asset: str) -> Folder:
        """The files of a version as an endpoint takes it, by the id that `place` gave."""
        if found := _IN_REGISTRY.match(asset):
            registry, model = found[1], ModelRef("", found[2], found[3])
            known = self._registries.version(registry, model)
            if known is None:
                raise PermanentError(f"registry {registry}: it does not have {model.name}:{model.version}")
            return self._registries.folder(registry, model, str(known.get("modelUri") or ""))
        resource = self._arm.get(asset, MODEL_API, "model")
        if resource is None:
            raise PermanentError(f"{asset}: there is none")
        return self._places.folder(asset.partition("/models/")[0], _uri(resource))

    def fetch(self, source: Folder, workspace_id: str, path: str) -> Folder | None:
        """Have a folder copied into a workspace's default datastore; None: it is under way, ask again."""
        target = self._places.in_datastore(workspace_id, DEFAULT_DATASTORE, path)
        return target if artefacts.copied(source, target, self._now()) else None

    @property
    def _arm(self) -> Arm:
        return self._workspaces.arm

    def _source(self, model: ModelRef) -> Folder:
        workspace_id = self._workspaces.id(WorkspaceRef(model.workspace))
        return self._places.folder(workspace_id, _uri(self._workspaces.model(model)))

    def _share(self, model: ModelRef, registry: str) -> Placed | None:
        known = self._registries.version(registry, model)
        if known is None:
            workspace = self._workspaces.find(WorkspaceRef(model.workspace))
            self._registries.share(registry, model, workspace.location, workspace.guid)
            return None
        state = str(known.get("provisioningState") or "Succeeded")
        if state in ("Failed", "Canceled"):
            raise PermanentError(f"registry {registry}: the copy of {model} is {state}")
        if state != "Succeeded":
            return None
        there = self._registries.folder(registry, model, str(known.get("modelUri") or ""))
        return Placed(ml_registry.asset(registry, model), self._hash_like(model, there))

    def _copy(self, model: ModelRef, workspace: WorkspaceRef, asset: str) -> Placed | None:
        registered = self._arm.get(asset, MODEL_API, f"model {model.name} in {workspace.name}")
        if registered is not None:
            there = self._places.folder(self._workspaces.id(workspace), _uri(registered))
            return Placed(asset, self._hash_like(model, there))
        origin = self._workspaces.model(model)["properties"]
        path = f"{COPIES}/{model.workspace}/{model.name}/{model.version}"
        target = self._places.in_datastore(self._workspaces.id(workspace), DEFAULT_DATASTORE, path)
        if not artefacts.copied(self._source(model), target, self._now()):
            return None
        placed = Placed(asset, self._hash_like(model, target))
        store = f"azureml:/{self._workspaces.id(workspace)}/datastores/{DEFAULT_DATASTORE}/paths/{path}"
        tags = {**(origin.get("tags") or {}), COPY_TAG: str(model)}
        self._register(workspace, model, {**origin, "modelUri": store, "tags": tags, "jobName": None})
        return placed

    def _hash_like(self, model: ModelRef, there: Folder) -> str:
        """What lies there. PermanentError: it is not what the version has where it was registered."""
        found, wanted = self._hashes.artefact(there, 0), self._hashes.artefact(self._source(model), 0)
        if found != wanted:
            raise PermanentError(f"{there.url}: other bytes than those of {model} are there ({found.sha256[:12]})")
        return found.sha256

    def _register(self, workspace: WorkspaceRef, model: ModelRef, properties: Mapping[str, Any]) -> None:
        names = ("tags", "properties", "modelType", "modelUri", "description", "flavors", "jobName", "stage")
        kept = {name: properties[name] for name in names if properties.get(name) is not None}
        body = {"properties": {**kept, "isAnonymous": False, "isArchived": False}}
        place = self._workspaces.model_id(workspace, model)
        self._arm.call("PUT", place, MODEL_API, f"model {model} in {workspace.name}", body)


def _registered(model: ModelRef, resource: Mapping[str, Any]) -> RegisteredModel:
    properties = resource.get("properties") or {}
    system = resource.get("systemData") or {}
    by_uri = _RUN_URI.match(str(properties.get("modelUri") or ""))
    return RegisteredModel(
        model=model,
        tags=_texts(properties.get("tags")),
        properties=_texts(properties.get("properties")),
        run=str(properties.get("jobName") or (by_uri[1] if by_uri else "")),
        registered_by=str(system.get("createdBy") or ""),
        created=_time(system.get("createdAt")),
    )


def _changed(name: Mapping[str, Any]) -> str:
    """When a name last got a version (unverified: that a new one changes it); where it is not told, as if it were now."""
    return str((name.get("systemData") or {}).get("lastModifiedAt") or "9")


def _uri(resource: Mapping[str, Any]) -> str:
    return str((resource.get("properties") or {}).get("modelUri") or "")


def _texts(value: Any) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {str(name): str(text) for name, text in pairs if text is not None}


def _time(value: Any) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC)


def _first(items: Any, count: int) -> list[Mapping[str, Any]]:
    return [item for item, _ in zip(items, range(count), strict=False)]
