"""Stand-in for one Azure ML registry: models are shared with it from a workspace, and read and downloaded from it.

Emulated. The routes are those of azure-ai-ml 1.35.2's `models.share`, `get`, `list` and `download` with `registry_name`.
Not there: making a model in a registry from local files, environments and code. Models of a registry raise no event.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from local import world
from local.cloud.core import Cloud
from local.cloud.errors import ArmError, ServiceError
from local.cloud.ml_assets import Assets
from local.cloud.ml_operations import MlOperations
from local.cloud.ml_storage import BlobPath, MlStorage
from local.cloud.ml_workspaces import HISTORY_HOST
from local.cloud.operations import ask_again
from local.cloud.permissions import Permission
from local.cloud.tokens import ARM_AUDIENCES, ML_AUDIENCE, require_bearer

DISCOVERY_HOST = "eastus.api.azureml.ms"
"""Where azure-ai-ml asks for any registry of the public cloud."""
_ROOT = (
    "/mferp/managementfrontend/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/registries/{registry}"
)
_VERSION = _ROOT + "/models/{name}/versions/{version}"


def install(cloud: Cloud, assets: Assets, storage: MlStorage | None, operations: MlOperations) -> None:
    """Add the routes."""
    registry = _Registry(cloud, assets, storage, operations)
    for host in (DISCOVERY_HOST, HISTORY_HOST):
        path = "/registrymanagement/v1.0/registries/{registry}/discovery"
        cloud.host(host).router.add_get(path, registry.discovery)
    router = cloud.host(HISTORY_HOST).router
    router.add_get(_ROOT + "/models", registry.list_names)
    router.add_get(_ROOT + "/models/{name}", registry.get_container)
    router.add_get(_ROOT + "/models/{name}/versions", registry.list_versions)
    router.add_get(_VERSION, registry.get_version)
    router.add_post(_ROOT + "/import", registry.share)
    router.add_get(_ROOT + "/operationResults/{operation}", registry.poll)
    router.add_post(_ROOT + "/datarefs/{name}/versions/{version}", registry.link)


class _Registry:
    def __init__(self, cloud: Cloud, assets: Assets, storage: MlStorage | None, operations: MlOperations) -> None:
        self._cloud = cloud
        self._assets = assets
        self._storage = storage
        self._operations = operations
        self._sharing = asyncio.Lock()

    async def discovery(self, request: web.Request) -> web.Response:
        name = self._allowed(request, "registries/read").partition("/")[2]
        address = f"https://{HISTORY_HOST}/"
        return web.json_response(
            {
                "registryName": name,
                "subscriptionId": world.SUBSCRIPTION,
                "resourceGroup": world.RESOURCE_GROUP,
                "primaryRegionResourceProviderUri": address,
                "primaryRegion": world.LOCATION,
                "registryFqdns": {world.LOCATION: {"uri": address}},
            }
        )

    async def list_names(self, request: web.Request) -> web.Response:
        owner = self._allowed(request)
        found = [self._assets.container(owner, "models", each) for each in self._assets.names(owner, "models")]
        return web.json_response({"value": found})

    async def get_container(self, request: web.Request) -> web.Response:
        return web.json_response(self._assets.container(self._allowed(request), "models", request.match_info["name"]))

    async def list_versions(self, request: web.Request) -> web.Response:
        owner = self._allowed(request)
        return web.json_response({"value": self._assets.versions(owner, "models", request.match_info["name"])})

    async def get_version(self, request: web.Request) -> web.Response:
        return web.json_response(self._version(request, self._allowed(request)))

    async def share(self, request: web.Request) -> web.Response:
        """Copy a model of a workspace. 409: this name and version are there (unverified: the status)."""
        owner = self._allowed(request, "registries/assets/write")
        wanted = ((await request.json()) or {}).get("properties") or {}
        source = self._assets.find(str(wanted.get("sourceAssetId")))
        path = source["id"].split("/")
        name, version = wanted.get("destinationName") or path[-3], wanted.get("destinationVersion") or path[-1]
        operation = self._operations.begin(request, self._copy(owner, source, name, version), _nobody)
        return self._in_progress(request, operation)

    async def poll(self, request: web.Request) -> web.Response:
        """202 while the copy goes on, 204 when it is there, the refusal when it is not."""
        self._allowed(request)
        outcome = self._operations.outcome(request.match_info["operation"])
        if outcome is None:
            return self._in_progress(request, request.match_info["operation"])
        if outcome.refusal is not None:
            raise outcome.refusal
        return web.Response(status=204)

    async def link(self, request: web.Request) -> web.Response:
        """A signature that may read the files of a version."""
        asset = self._version(request, self._allowed(request))
        storage = self._stored()
        where = storage.locate(asset["properties"]["modelUri"], "")
        root = storage.url(BlobPath(where.container, ""))
        credential = {"credentialType": "SAS", "sasUri": f"{root}?{storage.sas(where.container, 'rl')}"}
        reference = {"blobUri": storage.url(where), "credential": credential}
        return web.json_response({"blobReferenceForConsumption": reference})

    async def _copy(self, owner: str, source: dict[str, Any], name: str, version: str) -> None:
        storage, workspace = self._stored(), source["id"].split("/")[8]
        origin = storage.locate(source["properties"]["modelUri"], workspace)
        registry = owner.partition("/")[2]
        place = BlobPath(f"registry-{registry}", f"{name}/{version}/{origin.name}")
        async with self._sharing:
            if any(each["name"] == version for each in self._assets.versions(owner, "models", name)):
                raise ArmError(
                    409, "Conflict", f"The model '{name}:{version}' is in the registry '{registry}' already."
                )
            await storage.copy(origin, place)
            kept = ("modelType", "tags", "properties", "description")
            properties = {each: source["properties"][each] for each in kept if each in source["properties"]}
            self._assets.put(
                owner, "models", name, version, {"properties": {**properties, "modelUri": storage.url(place)}}
            )

    def _in_progress(self, request: web.Request, operation: str) -> web.Response:
        path = (
            _ROOT.format(**{"subscription": "", "group": "", **request.match_info}) + f"/operationResults/{operation}"
        )
        headers = {"Location": f"https://{HISTORY_HOST}{path}?{request.query_string}"}
        return web.Response(status=202, headers=headers | ask_again(self._cloud.options.poll_after))

    def _version(self, request: web.Request, owner: str) -> dict[str, Any]:
        return self._assets.get(owner, "models", request.match_info["name"], request.match_info["version"])

    def _allowed(self, request: web.Request, action: str = "registries/assets/read") -> str:
        """The owner in the assets, once the caller's token, its role and the registry's name were looked at."""
        claims = require_bearer(request, (*ARM_AUDIENCES, ML_AUDIENCE))
        name = request.match_info["registry"].lower()
        if name != world.MODEL_REGISTRY:
            raise ArmError(404, "RegistryNotFound", f"The registry '{name}' was not found.")
        permission = Permission(f"Microsoft.MachineLearningServices/{action}", world.model_registry_id(name))
        self._cloud.roles.require(claims, permission)
        return f"registries/{name}"

    def _stored(self) -> MlStorage:
        if self._storage is None:
            raise ArmError(503, "ServiceUnavailable", "The stand-in was started without a storage account.")
        return self._storage


def _nobody(_refusal: ServiceError) -> None:
    """Only whoever polls hears of it."""
