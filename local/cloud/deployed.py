"""What ARM shows of an environment beyond registries: locks, apps, topics, storage. Read from the parts that run."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from aiohttp import web

from local import world
from local.cloud.arm import GROUP, ArmCall
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.event_grid_service import EventGrid

_APP = GROUP + "/providers/Microsoft.Web/sites/{app}/functions"
_TOPICS = GROUP + "/providers/Microsoft.EventGrid/systemTopics"
_ACCOUNT = GROUP + "/providers/Microsoft.Storage/storageAccounts/{account}"

SYSTEM_TOPICS = {
    "evgt-staging-registry": world.registry_id(world.STAGING),
    **{f"evgt-{name}": world.workspace_id(name) for name in world.WORKSPACES},
}
"""Name, as infra/ gives it, -> what raises the events."""


def install(cloud: Cloud) -> None:
    deployed = _Deployed(cloud)
    cloud.arm.add("GET", GROUP + "/providers/Microsoft.Authorization/locks", deployed.locks)
    cloud.arm.add("GET", _APP, deployed.functions)
    cloud.arm.add("GET", _TOPICS, deployed.topics)
    cloud.arm.add("GET", _TOPICS + "/{topic}/eventSubscriptions", deployed.subscriptions)
    cloud.arm.add("GET", _ACCOUNT, deployed.account)
    for service in ("blobServices/default/containers", "queueServices/default/queues", "tableServices/default/tables"):
        cloud.arm.add("GET", f"{_ACCOUNT}/{service}", deployed.in_account)


class _Deployed:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def locks(self, _call: ArmCall) -> web.Response:
        """The one that infra/ puts on the healthy registry; here nothing can delete a registry."""
        where = f"{world.registry_id(world.HEALTHY)}/providers/Microsoft.Authorization/locks/keep"
        return _page([{"id": where, "name": "keep", "properties": {"level": "CanNotDelete"}}])

    async def functions(self, call: ArmCall) -> web.Response:
        """What the Functions host says of the app that it runs."""
        options = self._cloud.options
        if call.names["app"].lower() != world.FUNCTION_APP or options.functions_keys is None:
            raise ArmError(404, "ResourceNotFound", f"The app '{call.names['app']}' was not found.")
        keys = json.loads((options.functions_keys / "host.json").read_text())
        headers = {"x-functions-key": keys["masterKey"]["value"]}
        async with self._cloud.http.get(f"{options.functions_url}/admin/functions", headers=headers) as answer:
            found = await answer.json()
        return _page(
            [
                {"name": f"{world.FUNCTION_APP}/{one['name']}", "properties": {"isDisabled": one["isDisabled"]}}
                for one in found
            ]
        )

    async def topics(self, _call: ArmCall) -> web.Response:
        return _page([{"name": name, "properties": {"source": source}} for name, source in SYSTEM_TOPICS.items()])

    async def subscriptions(self, call: ArmCall) -> web.Response:
        """Those that take events of the topic's source, with the state that Event Grid is in about them."""
        source = SYSTEM_TOPICS.get(call.names["topic"].lower())
        grid = self._cloud.event_grid
        if source is None or not isinstance(grid, EventGrid):
            raise ArmError(404, "ResourceNotFound", f"The topic '{call.names['topic']}' was not found.")
        couriers = [one for one in grid.couriers() if one.subscription.wants(source)]
        return _page(
            [{"name": one.subscription.name, "properties": {"provisioningState": one.state}} for one in couriers]
        )

    async def account(self, call: ArmCall) -> web.Response:
        """Azurite, which is opened by its key."""
        self._connection(call)
        properties = {"allowSharedKeyAccess": True, "allowBlobPublicAccess": False, "provisioningState": "Succeeded"}
        return web.json_response(
            {"id": world.STORAGE_ACCOUNT_ID, "name": world.STORAGE_ACCOUNT, "properties": properties}
        )

    async def in_account(self, call: ArmCall) -> web.Response:
        """Names of containers, queues or tables, as Azurite has them."""
        from azure.data.tables.aio import TableServiceClient
        from azure.storage.blob.aio import BlobServiceClient
        from azure.storage.queue.aio import QueueServiceClient

        connection = self._connection(call)
        async with contextlib.AsyncExitStack() as stack:
            listed: Any
            match call.request.path.rstrip("/").rpartition("/")[2].lower():
                case "containers":
                    blobs = await stack.enter_async_context(BlobServiceClient.from_connection_string(connection))
                    listed = blobs.list_containers()
                case "queues":
                    queues = await stack.enter_async_context(QueueServiceClient.from_connection_string(connection))
                    listed = queues.list_queues()
                case _:
                    tables = await stack.enter_async_context(TableServiceClient.from_connection_string(connection))
                    listed = tables.list_tables()
            return _page([{"name": one.name} async for one in listed])

    def _connection(self, call: ArmCall) -> str:
        connection = self._cloud.options.storage
        if call.names["account"].lower() != world.STORAGE_ACCOUNT or connection is None:
            raise ArmError(404, "ResourceNotFound", f"The account '{call.names['account']}' was not found.")
        return connection


def _page(items: list[dict[str, Any]]) -> web.Response:
    return web.json_response({"value": items})
