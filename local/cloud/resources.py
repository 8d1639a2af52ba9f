"""What the az command line asks of ARM before it does anything: clouds, tenants, subscriptions, groups, resources."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from local import world
from local.cloud.arm import ARM_HOST, GROUP, ArmCall
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.identity import LOGIN_HOST
from local.cloud.registries import Registries
from local.cloud.registry_control import readable, registry_resource
from local.cloud.roles import Roles

_TERM = re.compile(r"(resourceType|name|resourceGroup) eq '([^']*)'", re.IGNORECASE)


def install(cloud: Cloud, registries: Registries) -> None:
    resources = _Resources(registries, cloud.roles)
    cloud.arm.add("GET", "/metadata/endpoints", _clouds, anonymous=True)
    cloud.arm.add("GET", "/tenants", _tenants)
    cloud.arm.add("GET", "/subscriptions", _subscriptions)
    cloud.arm.add("GET", "/subscriptions/{subscription}", _subscription)
    cloud.arm.add("GET", "/subscriptions/{subscription}/resourceGroups", _groups)
    cloud.arm.add("GET", GROUP, _group)
    cloud.arm.add("GET", "/subscriptions/{subscription}/resources", resources.matching)
    cloud.arm.add("GET", GROUP + "/resources", resources.matching)


class _Resources:
    def __init__(self, registries: Registries, roles: Roles) -> None:
        self._registries = registries
        self._roles = roles

    async def matching(self, call: ArmCall) -> web.Response:
        """Resources that the caller may read and that meet the `$filter`, of which only terms joined by `and` are understood."""
        wanted = {name.lower(): value.lower() for name, value in _TERM.findall(call.request.query.get("$filter", ""))}
        found = [one for one in self._all() if _meets(one, wanted)]
        return web.json_response({"value": readable(self._roles, call, found)})

    def _all(self) -> list[dict[str, Any]]:
        shown = ("id", "name", "type", "location", "sku", "tags")
        registries = [registry_resource(registry.name) for registry in self._registries.all()]
        others = [
            world.KEY_VAULT_ID,
            world.STORAGE_ACCOUNT_ID,
            world.OUTCOMES_TOPIC_ID,
            world.FUNCTION_APP_ID,
            *map(world.workspace_id, world.WORKSPACES),
        ]
        return [*({name: one[name] for name in shown} for one in registries), *map(_resource, others)]


def _resource(identity: str) -> dict[str, Any]:
    """As much of a resource as a list shows."""
    kind, _, name = identity.partition("/providers/")[2].rpartition("/")
    return {"id": identity, "name": name, "type": kind, "location": world.LOCATION, "tags": {}}


def _meets(resource: dict[str, Any], wanted: dict[str, str]) -> bool:
    values = {
        "resourcetype": resource["type"].lower(),
        "name": resource["name"].lower(),
        "resourcegroup": world.RESOURCE_GROUP,
    }
    return all(values[name] == value for name, value in wanted.items())


async def _clouds(call: ArmCall) -> web.Response:
    """One cloud; versions before 2022 answer a list."""
    description = {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "authentication": {
            "loginEndpoint": f"https://{LOGIN_HOST}",
            "audiences": ["https://management.core.windows.net/", f"https://{ARM_HOST}/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": f"https://{ARM_HOST}/",
        "suffixes": {
            "acrLoginServer": "azurecr.io",
            "keyVaultDns": "vault.azure.net",
            "storage": "core.windows.net",
        },
        "graphAudience": "https://graph.windows.net/",
        "graph": "https://graph.windows.net/",
        "gallery": "https://gallery.azure.com/",
        "batch": "https://batch.core.windows.net/",
        "media": "https://rest.media.azure.net",
    }
    return web.json_response([description] if call.api_version < "2022" else description)


async def _tenants(_call: ArmCall) -> web.Response:
    tenant = {
        "id": f"/tenants/{world.TENANT}",
        "tenantId": world.TENANT,
        "tenantCategory": "Home",
        "displayName": "Local stack",
        "defaultDomain": "local.invalid",
    }
    return web.json_response({"value": [tenant]})


_SUBSCRIPTION = {
    "id": f"/subscriptions/{world.SUBSCRIPTION}",
    "subscriptionId": world.SUBSCRIPTION,
    "tenantId": world.TENANT,
    "displayName": "Local stack",
    "state": "Enabled",
    "authorizationSource": "RoleBased",
    "managedByTenants": [],
    "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "Local", "spendingLimit": "Off"},
}

_GROUP = {
    "id": f"/subscriptions/{world.SUBSCRIPTION}/resourceGroups/{world.RESOURCE_GROUP}",
    "name": world.RESOURCE_GROUP,
    "type": "Microsoft.Resources/resourceGroups",
    "location": world.LOCATION,
    "properties": {"provisioningState": "Succeeded"},
}


async def _subscriptions(_call: ArmCall) -> web.Response:
    return web.json_response({"value": [_SUBSCRIPTION], "count": {"type": "Total", "value": 1}})


async def _subscription(call: ArmCall) -> web.Response:
    if call.names["subscription"].lower() != world.SUBSCRIPTION:
        raise ArmError(404, "SubscriptionNotFound", f"The subscription '{call.names['subscription']}' was not found.")
    return web.json_response(_SUBSCRIPTION)


async def _groups(_call: ArmCall) -> web.Response:
    return web.json_response({"value": [_GROUP]})


async def _group(call: ArmCall) -> web.Response:
    if call.names["group"].lower() != world.RESOURCE_GROUP:
        raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{call.names['group']}' could not be found.")
    return web.json_response(_GROUP)
