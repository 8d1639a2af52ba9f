"""Container registries in ARM: get, list, and importImage."""

from __future__ import annotations

import re
from typing import Any

import aiohttp
from aiohttp import web

from local import world
from local.cloud.arm import GROUP, REGISTRY, ArmCall, same_id
from local.cloud.core import Cloud
from local.cloud.errors import ArmError, RegistryError
from local.cloud.importer import Image, Importer, ImportRefusedError, Target
from local.cloud.permissions import Permission
from local.cloud.registries import Registries, Registry
from local.cloud.roles import Roles, client
from local.cloud.upstream import UpstreamError

TYPE = "Microsoft.ContainerRegistry/registries"
_LIST = "/providers/Microsoft.ContainerRegistry/registries"

_REPOSITORY = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
_IMAGE = re.compile(
    rf"(?P<repository>{_REPOSITORY})(?::(?P<tag>\w[\w.-]{{0,127}})|@(?P<digest>sha256:[0-9a-f]{{64}}))?"
)


def install(cloud: Cloud, registries: Registries) -> None:
    control = _RegistryControl(cloud, registries)
    cloud.arm.add("GET", REGISTRY, control.get)
    cloud.arm.add("GET", GROUP + _LIST, control.every)
    cloud.arm.add("GET", "/subscriptions/{subscription}" + _LIST, control.every)
    cloud.arm.add("POST", REGISTRY + "/importImage", control.import_image)


def registry_resource(name: str) -> dict[str, Any]:
    """A registry as ARM shows it."""
    return {
        "id": world.registry_id(name),
        "name": name,
        "type": TYPE,
        "location": world.LOCATION,
        "sku": {"name": "Premium", "tier": "Premium"},
        "tags": {},
        "properties": {
            "loginServer": world.login_server(name),
            "creationDate": "2026-01-01T00:00:00Z",
            "provisioningState": "Succeeded",
            "adminUserEnabled": False,
            "anonymousPullEnabled": False,
            "publicNetworkAccess": "Enabled",
            "dataEndpointEnabled": False,
            "dataEndpointHostNames": [],
            "zoneRedundancy": "Disabled",
        },
    }


def readable(roles: Roles, call: ArmCall, resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What of a list of resources ARM shows to the caller: what it may read."""
    return [one for one in resources if roles.allows(call.claims, Permission(f"{one['type']}/read", one["id"]))]


class _RegistryControl:
    def __init__(self, cloud: Cloud, registries: Registries) -> None:
        self._cloud = cloud
        self._registries = registries
        self._importer = Importer()

    async def get(self, call: ArmCall) -> web.Response:
        return web.json_response(registry_resource(self._named(call).name))

    async def every(self, call: ArmCall) -> web.Response:
        """Those that the caller may read."""
        _same_scope(call)
        found = [registry_resource(one.name) for one in self._registries.all()]
        return web.json_response({"value": readable(self._cloud.roles, call, found)})

    async def import_image(self, call: ArmCall) -> web.Response:
        """202, then the copy runs; what forbids it before any copying begins is answered at once."""
        registry = self._named(call)
        body = await call.json()
        source = self._source(body.get("source") or {})
        self._check_source(call, source.registry)
        targets = _targets(body, source)
        force = _mode(body.get("mode", "NoForce")) == "force"
        for target in targets:
            await _check_target(registry, target, force=force)
        return self._cloud.operations.accepted(call, self._copy(source, registry, targets))

    def _check_source(self, call: ArmCall, source: Registry) -> None:
        """Who imports must be able to read the source, too. Seen: Azure asks for 'read' on it as on a linked scope, and
        the right to pull is not enough (MicrosoftDocs/azure-docs issue 33442)."""
        if not self._cloud.roles.asked(call.claims, Permission(f"{TYPE}/read", source.id)):
            raise ArmError(
                403,
                "LinkedAuthorizationFailed",
                f"{client(call.claims)} has permission to perform action '{TYPE}/importImage/action' on scope"
                f" '{call.request.path}'; however, it does not have permission to perform action 'read' on the linked"
                f" scope(s) '{source.id}' or the linked scope(s) are invalid.",
            )

    async def _copy(self, source: Image, registry: Registry, targets: tuple[Target, ...]) -> None:
        """Unverified: status and code of a failed import; no recording of one was found."""
        try:
            await self._importer.copy(source, registry, targets)
        except (ImportRefusedError, UpstreamError, aiohttp.ClientError, ValueError) as error:
            raise ArmError(400, "InvalidParameters", f"The import failed. {error}") from error

    def _named(self, call: ArmCall) -> Registry:
        _same_scope(call)
        return self._registries.named(call.names["registry"])

    def _source(self, source: dict[str, Any]) -> Image:
        named = _IMAGE.fullmatch(str(source.get("sourceImage", "")))
        if named is None:
            raise _invalid(f"source.sourceImage {source.get('sourceImage')!r} is no image of the source registry.")
        reference = named["digest"] or named["tag"] or "latest"
        return Image(self._source_registry(source), named["repository"], reference)

    def _source_registry(self, source: dict[str, Any]) -> Registry:
        """By resource id (same tenant) or by login server; the local world reaches no other registry."""
        if uri := source.get("registryUri"):
            try:
                return self._registries.at(str(uri))
            except RegistryError as error:
                raise _invalid(error.message) from error
        resource_id = str(source.get("resourceId") or "")
        for registry in self._registries.all():
            if same_id(resource_id, world.registry_id(registry.name)):
                return registry
        raise _invalid(f"source.resourceId {resource_id!r} is no registry that this identity can read.")


def _same_scope(call: ArmCall) -> None:
    """404 for another subscription or resource group than the local world's."""
    if call.names["subscription"].lower() != world.SUBSCRIPTION:
        raise ArmError(404, "SubscriptionNotFound", f"The subscription '{call.names['subscription']}' was not found.")
    group = call.names.get("group", world.RESOURCE_GROUP)
    if group.lower() != world.RESOURCE_GROUP:
        raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def _mode(value: object) -> str:
    if str(value).lower() not in ("force", "noforce"):
        raise _invalid(f"mode {value!r} is neither 'NoForce' nor 'Force'.")
    return str(value).lower()


def _targets(body: dict[str, Any], source: Image) -> tuple[Target, ...]:
    """A target tag without a tag takes the source's; a source by digest has none, and then it is `latest`."""
    default = "latest" if source.reference.startswith("sha256:") else source.reference
    targets = []
    for text in body.get("targetTags") or []:
        named = _IMAGE.fullmatch(str(text))
        if named is None or named["digest"]:
            raise _invalid(f"targetTags: {text!r} is no repository:tag.")
        targets.append(Target(named["repository"], named["tag"] or default))
    for text in body.get("untaggedTargetRepositories") or []:
        if not re.fullmatch(_REPOSITORY, str(text)):
            raise _invalid(f"untaggedTargetRepositories: {text!r} is no repository.")
        targets.append(Target(str(text), None))
    if not targets:
        raise _invalid("Missing property parameters.TargetTags.")
    return tuple(targets)


async def _check_target(registry: Registry, target: Target, *, force: bool) -> None:
    """NoForce refuses any existing tag, even one that names the same digest.

    Unverified: the code 'Conflict', and that a lock refuses an import with Force.
    """
    if target.tag is None:
        return
    if not force and await registry.upstream.digest(target.repository, target.tag) is not None:
        message = f"Tag {target.repository}:{target.tag} already exists in target registry. Use Force to overwrite it."
        raise ArmError(409, "Conflict", message)
    try:
        registry.locks.check_write(target.repository, target.tag)
    except RegistryError as error:
        raise ArmError(409, "Conflict", error.message) from error


def _invalid(message: str) -> ArmError:
    return ArmError(400, "InvalidParameters", message)
