"""Routes of the emulated workspaces for what they keep: models, environments, code, and the datastores of their files.

Unlike on Azure, where infra/ has the datastores go by identity (`credentialsType: None`, and a client reads blobs with its
own token), they go by signature here (`credentialsType: Sas` and `listSecrets`): Azurite takes tokens only over TLS. A
client that reads the datastore and does as it says works in both places.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local import world
from local.cloud.arm import ArmCall
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.ml_assets import Asset, Assets
from local.cloud.ml_jobs import now
from local.cloud.ml_storage import DEFAULT_STORES, BlobPath, MlStorage, container_of
from local.cloud.ml_workspaces import WORKSPACE, Workspaces

_KINDS = ("models", "environments", "codes")


def install(cloud: Cloud, workspaces: Workspaces, assets: Assets, storage: MlStorage | None) -> None:
    """Add the routes. Without a storage account there are no datastores."""
    service = _Models(cloud, workspaces, assets, storage)
    arm = cloud.arm
    for kind in _KINDS:
        arm.add("GET", f"{WORKSPACE}/{kind}", service.bound(kind, service.list_names))
        arm.add("GET", f"{WORKSPACE}/{kind}/{{name}}", service.bound(kind, service.get_container))
        arm.add("PUT", f"{WORKSPACE}/{kind}/{{name}}", service.bound(kind, service.put_container))
        arm.add("GET", f"{WORKSPACE}/{kind}/{{name}}/versions", service.bound(kind, service.list_versions))
        arm.add("GET", f"{WORKSPACE}/{kind}/{{name}}/versions/{{version}}", service.bound(kind, service.get_version))
        arm.add("PUT", f"{WORKSPACE}/{kind}/{{name}}/versions/{{version}}", service.bound(kind, service.put_version))
    upload = f"{WORKSPACE}/codes/{{name}}/versions/{{version}}/startPendingUpload"
    arm.add("POST", upload, service.start_upload)
    arm.add("GET", f"{WORKSPACE}/datastores", service.list_datastores)
    arm.add("GET", f"{WORKSPACE}/datastores/{{datastore}}", service.get_datastore)
    arm.add("POST", f"{WORKSPACE}/datastores/{{datastore}}/listSecrets", service.list_secrets)


class _Models:
    def __init__(self, cloud: Cloud, workspaces: Workspaces, assets: Assets, storage: MlStorage | None) -> None:
        self._cloud = cloud
        self._workspaces = workspaces
        self._assets = assets
        self._storage = storage

    def bound(self, kind: str, handler: Any) -> Any:
        """The handler for one kind of asset."""

        async def handle(call: ArmCall) -> web.Response:
            response: web.Response = await handler(call, f"workspaces/{self._workspaces.name(call)}", kind)
            return response

        return handle

    # Versions and what holds them --------------------------------------------------------------------------------------

    async def list_names(self, call: ArmCall, owner: str, kind: str) -> web.Response:
        found = [self._assets.container(owner, kind, name) for name in self._assets.names(owner, kind)]
        return _listed(call, list(reversed(found)))

    async def get_container(self, call: ArmCall, owner: str, kind: str) -> web.Response:
        return web.json_response(self._assets.container(owner, kind, call.names["name"]))

    async def put_container(self, call: ArmCall, owner: str, kind: str) -> web.Response:
        archived = bool(((await call.json()).get("properties") or {}).get("isArchived"))
        return web.json_response(self._assets.archive(owner, kind, call.names["name"], archived=archived))

    async def list_versions(self, call: ArmCall, owner: str, kind: str) -> web.Response:
        """Newest first, as `$orderBy=createdtime desc` asks; that is also the order without it (unverified)."""
        found = self._assets.versions(owner, kind, call.names["name"])
        if wanted := call.request.query.get("hash"):
            found = [each for each in found if each["properties"]["properties"].get("hash_sha256") == wanted]
        return _listed(call, found)

    async def get_version(self, call: ArmCall, owner: str, kind: str) -> web.Response:
        return web.json_response(self._assets.get(owner, kind, call.names["name"], call.names["version"]))

    async def put_version(self, call: ArmCall, owner: str, kind: str) -> web.Response:
        """201 for a new version, 200 for a changed one. A new model raises ModelRegistered."""
        body = await call.json()
        properties = body.get("properties")
        if not isinstance(properties, dict):
            raise ArmError(400, "ValidationError", "The body has no properties.")
        name, version = call.names["name"], call.names["version"]
        if kind == "models":
            await self._require_files(properties, owner.partition("/")[2])
        asset, new = self._assets.put(owner, kind, name, version, body, str(call.claims.get("oid") or "local"))
        if kind == "models" and new and not asset["properties"]["isAnonymous"]:
            topic = world.workspace_id(owner.partition("/")[2])
            await self._cloud.raise_events(topic, [registered(name, version, asset)])
        return web.json_response(asset, status=201 if new else 200)

    async def _require_files(self, properties: Mapping[str, Any], workspace: str) -> None:
        """Unverified: that a model without any file is refused, and how."""
        uri = str(properties.get("modelUri") or "")
        if not uri:
            raise ArmError(400, "ValidationError", "The model has no properties.modelUri.")
        if self._storage is None or uri.startswith("azureml://jobs/"):
            return
        where = self._storage.locate(uri, workspace)
        await self._storage.ensure(where.container)
        if not await self._storage.files(where):
            raise ArmError(400, "UserError", f"There is no file at '{uri}'.")

    async def start_upload(self, call: ArmCall) -> web.Response:
        """A container of its own, with a signature that may write there: the SDK uploads to its root."""
        self._workspaces.name(call)
        storage, place = self._stored(), BlobPath(f"code-{uuid.uuid4()}", "")
        await storage.ensure(place.container)
        credential = {
            "credentialType": "SAS",
            "sasUri": f"{storage.url(place)}?{storage.sas(place.container, 'racwdl')}",
        }
        reference = {
            "blobUri": storage.url(place),
            "storageAccountArmId": world.STORAGE_ACCOUNT_ID,
            "credential": credential,
        }
        answer = {"pendingUploadId": str(uuid.uuid4()), "pendingUploadType": "TemporaryBlobReference"}
        return web.json_response({**answer, "blobReferenceForConsumption": reference})

    # Datastores --------------------------------------------------------------------------------------------------------

    async def list_datastores(self, call: ArmCall) -> web.Response:
        workspace = self._workspaces.name(call)
        names = [*DEFAULT_STORES, *(each["name"] for each in self._workspaces.find(workspace)["datastores"])]
        return web.json_response({"value": [self._datastore(workspace, name) for name in names]})

    async def get_datastore(self, call: ArmCall) -> web.Response:
        resource = self._datastore(self._workspaces.name(call), call.names["datastore"])
        await self._stored().ensure(resource["properties"]["containerName"])
        return web.json_response(resource)

    async def list_secrets(self, call: ArmCall) -> web.Response:
        """A signature for the datastore's container; the account's key is told to nobody."""
        container = self._datastore(self._workspaces.name(call), call.names["datastore"])["properties"]["containerName"]
        await self._stored().ensure(container)
        hours = int((await call.json()).get("expireAfterHours") or 1)
        return web.json_response({"secretsType": "Sas", "sasToken": self._stored().sas(container, "racwdl", hours)})

    def _datastore(self, workspace: str, wanted: str) -> dict[str, Any]:
        names = [*DEFAULT_STORES, *(each["name"] for each in self._workspaces.find(workspace)["datastores"])]
        name = next((each for each in names if each.lower() == wanted.lower()), None)
        if name is None:
            raise ArmError(404, "UserError", f"The datastore '{wanted}' was not found in '{workspace}'.")
        return {
            "id": f"{world.workspace_id(workspace)}/datastores/{name}",
            "name": name,
            "type": "Microsoft.MachineLearningServices/workspaces/datastores",
            "properties": {
                "datastoreType": "AzureBlob",
                "accountName": self._stored().account,
                "containerName": container_of(workspace, name),
                "endpoint": "core.windows.net",
                "protocol": "https",
                "credentials": {"credentialsType": "Sas"},
                "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity",
                "isDefault": name == DEFAULT_STORES[0],
                "tags": {},
                "properties": {},
            },
        }

    def _stored(self) -> MlStorage:
        if self._storage is None:
            raise ArmError(503, "ServiceUnavailable", "The stand-in was started without a storage account.")
        return self._storage


def registered(name: str, version: str, asset: Asset) -> dict[str, Any]:
    """ModelRegistered, with the members of azure-rest-api-specs (camelCase, the version as text); the page of the events'
    schema shows them in PascalCase with a number."""
    return {
        "id": str(uuid.uuid4()),
        "subject": f"models/{name}:{version}",
        "eventType": "Microsoft.MachineLearningServices.ModelRegistered",
        "eventTime": now(),
        "data": {
            "modelName": name,
            "modelVersion": version,
            "modelTags": asset["properties"]["tags"] or {},
            "modelProperties": asset["properties"]["properties"] or {},
        },
        "dataVersion": "2",
        "metadataVersion": "1",
    }


def _listed(call: ArmCall, found: list[Asset]) -> web.Response:
    """One page of what the query asks for; archived ones are left out unless it asks for them."""
    query = {key.lower(): value for key, value in call.request.query.items()}
    match query.get("listviewtype", "ActiveOnly").lower():
        case "activeonly":
            found = [each for each in found if not each["properties"]["isArchived"]]
        case "archivedonly":
            found = [each for each in found if each["properties"]["isArchived"]]
        case _:
            pass
    top = query.get("$top", "")
    return web.json_response({"value": found[: int(top)] if top.isdigit() else found})
