"""What the emulated workspaces and Azure ML registries keep by name and version: models, environments, code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local import world
from local.cloud.errors import ArmError
from local.cloud.ml_jobs import now
from local.cloud.ml_workspaces import Workspaces
from local.cloud.state import StateFile

_IN_WORKSPACE = re.compile(
    r"(?:azureml:)?/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices"
    r"/(?P<owner>workspaces/[^/]+|registries/[^/]+)/(?P<kind>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)",
    re.IGNORECASE,
)
_IN_REGISTRY = re.compile(
    r"azureml://(?P<owner>registries/[^/]+)/(?P<kind>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)", re.IGNORECASE
)
_ACROSS = re.compile(
    r"azureml://locations/[^/]+/workspaces/(?P<guid>[^/]+)/(?P<kind>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)",
    re.IGNORECASE,
)

_FIXED = {"models": "modelUri", "codes": "codeUri", "environments": "image"}
"""The member of each kind that says what it is, and never changes once the version exists."""

type Asset = dict[str, Any]
"""As ARM shows it."""


class Assets:
    """Versions of everything, newest last. An owner is `workspaces/<name>` or `registries/<name>`, in lower case."""

    def __init__(self, state: StateFile, workspaces: Workspaces) -> None:
        self._state = state
        self._workspaces = workspaces

    def get(self, owner: str, kind: str, name: str, version: str) -> Asset:
        """One version; ArmError 404 when there is none."""
        found = self._versions(owner, kind, name).get(version)
        if found is None:
            one = kind.removesuffix("s").capitalize()
            message = f"{one} container with name: {name} and version: {version} not found in {owner}."
            raise ArmError(404, "UserError", message)
        asset: Asset = found
        return asset

    def find(self, identity: str) -> Asset:
        """The version that an id names: of ARM, `azureml://registries/...` or `azureml://locations/...`. ArmError: 400, 404."""
        for pattern in (_IN_WORKSPACE, _IN_REGISTRY, _ACROSS):
            if found := pattern.fullmatch(identity):
                parts = found.groupdict()
                owner = parts.get("owner") or f"workspaces/{self._workspaces.by_guid(parts['guid'] or '')}"
                return self.get(owner.lower(), parts["kind"].lower(), parts["name"], parts["version"])
        raise ArmError(400, "BadArgument", f"'{identity}' is not the id of an asset.")

    def put(
        self, owner: str, kind: str, name: str, version: str, body: Mapping[str, Any], by: str = "local"
    ) -> tuple[Asset, bool]:
        """Make a version, or change what may change of one; gives it and whether it is new. `by`: object id of the maker.

        Unverified: that properties may be added but not changed, and the code of the refusal.
        """
        known = self._versions(owner, kind, name).get(version)
        properties = dict(body.get("properties") or {})
        if known is None:
            asset = _new(owner, kind, name, version, properties, by)
            container = self._containers(owner, kind).setdefault(name, {"archived": False, "versions": {}})
            container["versions"][version] = asset
        else:
            asset = _changed(known, properties, _FIXED.get(kind, ""))
        self._state.save()
        return asset, known is None

    def versions(self, owner: str, kind: str, name: str) -> list[Asset]:
        """The newest first; archived ones too."""
        return list(reversed(self._versions(owner, kind, name).values()))

    def names(self, owner: str, kind: str) -> list[str]:
        return list(self._containers(owner, kind))

    def container(self, owner: str, kind: str, name: str) -> Asset:
        """What all versions of a name have in common; ArmError 404 when there is no version."""
        if name not in self._containers(owner, kind):
            raise ArmError(404, "UserError", f"The container '{name}' of {kind} was not found in {owner}.")
        versions = self._versions(owner, kind, name)
        numbers = [int(each) for each in versions if each.isdigit()]
        properties = {
            "isArchived": self._containers(owner, kind)[name]["archived"],
            "latestVersion": next(reversed(versions)),
            "nextVersion": str(max(numbers, default=0) + 1),
            "tags": {},
            "properties": {},
        }
        identity = f"{_root(owner)}/{kind}/{name}"
        return {"id": identity, "name": name, "type": _type(owner, kind), "properties": properties}

    def archive(self, owner: str, kind: str, name: str, *, archived: bool) -> Asset:
        """Archive a name with all its versions, or take it out again."""
        self.container(owner, kind, name)
        self._containers(owner, kind)[name]["archived"] = archived
        self._state.save()
        return self.container(owner, kind, name)

    def _containers(self, owner: str, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = self._state.value.setdefault(f"{owner}/{kind}", {})
        return found

    def _versions(self, owner: str, kind: str, name: str) -> dict[str, Asset]:
        found: dict[str, Asset] = self._containers(owner, kind).get(name, {}).get("versions", {})
        return found


def _new(owner: str, kind: str, name: str, version: str, properties: dict[str, Any], by: str) -> Asset:
    made = {"createdAt": now(), "createdBy": by, "createdByType": "Application"}
    always = {"isArchived": False, "isAnonymous": False, "tags": {}, "properties": {}, "provisioningState": "Succeeded"}
    if kind == "models":
        always |= {"flavors": {}, "modelType": "custom_model"}  # the SDK cannot do without a map of flavors
    if kind == "environments":
        always |= {"environmentType": "UserCreated"}
    return {
        "id": f"{_root(owner)}/{kind}/{name}/versions/{version}",
        "name": version,
        "type": f"{_type(owner, kind)}/versions",
        "properties": always | {key: value for key, value in properties.items() if value is not None},
        "systemData": made | {"lastModifiedAt": made["createdAt"]},
    }


def _changed(asset: Asset, wanted: Mapping[str, Any], fixed: str) -> Asset:
    kept = asset["properties"]
    if fixed and wanted.get(fixed) and wanted[fixed].rstrip("/") != str(kept.get(fixed, "")).rstrip("/"):
        raise ArmError(400, "UserError", "Asset paths cannot be updated.")  # the SDK knows it by its words
    given = wanted.get("properties") or {}
    if changed := [key for key, value in kept["properties"].items() if key in given and given[key] != value]:
        message = f"The property '{changed[0]}' of an existing version cannot be changed."
        raise ArmError(400, "UserError", message)
    kept["properties"] = given | kept["properties"]
    for name in ("tags", "description", "isArchived", "stage"):
        if name in wanted:
            kept[name] = wanted[name]
    asset["systemData"]["lastModifiedAt"] = now()
    return asset


def _root(owner: str) -> str:
    """Ids of what a registry has are no ids of ARM."""
    if owner.startswith("registries/"):
        return f"azureml://{owner}"
    return f"{world.GROUP_ID}/providers/Microsoft.MachineLearningServices/{owner}"


def _type(owner: str, kind: str) -> str:
    return f"Microsoft.MachineLearningServices/{owner.partition('/')[0]}/{kind}"
