"""Data plane of `*.azurecr.io`: docker-registry passed through, plus what it lacks of OCI 1.1 (referrers) and locks."""

from __future__ import annotations

import hashlib
from typing import Any

from aiohttp import web

from local.cloud.core import Cloud
from local.cloud.errors import RegistryError
from local.cloud.manifests import MANIFEST_LIMIT, OCI_INDEX, Manifest, parse_manifest
from local.cloud.pass_through import pass_through
from local.cloud.registries import Registries, Registry
from local.cloud.registry_auth import require_access
from local.cloud.registry_blobs import blob_link

_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}
"""Action of a scope that a method needs; any other method pushes."""


def install(cloud: Cloud, registries: Registries) -> None:
    data = _DataPlane(cloud, registries)
    router = cloud.host("*.azurecr.io").router
    router.add_route("*", "/v2/", data.base)
    router.add_get("/v2/_catalog", data.catalog)
    router.add_get("/v2/{name:.+}/referrers/{digest}", data.referrers)
    router.add_put("/v2/{name:.+}/manifests/{reference}", data.put_manifest)
    router.add_delete("/v2/{name:.+}/manifests/{reference}", data.delete_manifest)
    router.add_get("/v2/{name:.+}/manifests/{reference}", data.get_manifest)
    router.add_get("/v2/{name:.+}/blobs/{digest:sha256:[0-9a-f]{64}}", data.blob, allow_head=False)
    router.add_route("*", "/v2/{name:.+}/blobs/{rest:.*}", data.blobs)
    router.add_get("/v2/{name:.+}/tags/list", data.read)


class _DataPlane:
    def __init__(self, cloud: Cloud, registries: Registries) -> None:
        self._cloud = cloud
        self._registries = registries

    async def base(self, request: web.Request) -> web.Response:
        """The version check that clients begin with; it names the token endpoint in its challenge."""
        require_access(request, self._registries.at(request.host), "", "")
        return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})

    async def catalog(self, request: web.Request) -> web.StreamResponse:
        registry = self._registries.at(request.host)
        require_access(request, registry, "registry", "catalog", "*")
        return await self._pass(request, registry)

    async def read(self, request: web.Request) -> web.StreamResponse:
        registry, _ = self._authorized(request)
        return await self._pass(request, registry)

    async def get_manifest(self, request: web.Request) -> web.StreamResponse:
        registry, name = self._authorized(request)
        registry.locks.check_read(name, request.match_info["reference"])
        return await self._pass(request, registry)

    async def blob(self, request: web.Request) -> web.StreamResponse:
        """The bytes of a blob are elsewhere, as in Azure: at the data endpoint, under a link that is its own proof."""
        registry, name = self._authorized(request)
        raise web.HTTPTemporaryRedirect(blob_link(registry, name, request.match_info["digest"]))

    async def blobs(self, request: web.Request) -> web.StreamResponse:
        upload = request.match_info["rest"].startswith("uploads/")  # ending one with DELETE is part of pushing
        registry, name = self._authorized(request, "push" if upload else None)
        if upload:
            registry.locks.check_write(name)
        return await self._pass(request, registry)

    async def put_manifest(self, request: web.Request) -> web.StreamResponse:
        """Push; a manifest with a subject is answered with OCI-Subject, which tells the client that it is indexed."""
        registry, name = self._authorized(request)
        reference = request.match_info["reference"]
        registry.locks.check_write(name, reference)
        manifest = await _manifest_of(request)
        response = await self._pass(request, registry, manifest.content)
        if response.status == 201:
            registry.catalog.record(name, manifest, None if reference.startswith("sha256:") else reference)
            if manifest.subject:
                response.headers["OCI-Subject"] = manifest.subject
        return response

    async def delete_manifest(self, request: web.Request) -> web.StreamResponse:
        """By digest, with every tag that names it; any lock on one of them forbids it."""
        registry, name = self._authorized(request)
        digest = request.match_info["reference"]
        tags = await tags_of(registry, name, digest)
        registry.locks.check_delete(name, digest, *tags)
        response = await self._pass(request, registry)
        if response.status == 202:
            forget_manifest(registry, name, digest, tags)
        return response

    async def referrers(self, request: web.Request) -> web.Response:
        """GET /v2/<name>/referrers/<digest>[?artifactType=]: an index, empty when nothing refers to the digest."""
        registry, name = self._authorized(request)
        entries = await list_referrers(registry, name, request.match_info["digest"])
        headers = {}
        if wanted := request.query.get("artifactType"):
            entries = [entry for entry in entries if entry.get("artifactType") == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        return web.json_response(index, headers=headers, content_type=OCI_INDEX)

    def _authorized(self, request: web.Request, action: str | None = None) -> tuple[Registry, str]:
        registry = self._registries.at(request.host)
        name = request.match_info["name"]
        require_access(request, registry, "repository", name, action or _ACTIONS.get(request.method, "push"))
        return registry, name

    async def _pass(self, request: web.Request, registry: Registry, content: bytes | None = None) -> web.StreamResponse:
        return await pass_through(self._cloud, registry, request, content=content)


async def list_referrers(registry: Registry, repository: str, subject: str) -> list[dict[str, Any]]:
    """Manifests about the subject that are there: those the catalog knows, and those that a client which pushed to
    docker-registry itself listed under the fallback tag `sha256-<hex>`."""
    known = {entry["digest"]: entry for entry in registry.catalog.referrers(repository, subject)}
    fallback = await registry.upstream.manifest(repository, subject.replace(":", "-", 1))
    if fallback is not None:
        known = {**{entry["digest"]: entry for entry in fallback.document.get("manifests") or ()}, **known}
    present = [entry for entry in known.values() if await registry.upstream.digest(repository, entry["digest"])]
    return sorted(present, key=lambda entry: str(entry["digest"]))


async def tags_of(registry: Registry, repository: str, digest: str) -> list[str]:
    """Tags that name the digest."""
    tags = await registry.upstream.tags(repository) or []
    return [tag for tag in tags if await registry.upstream.digest(repository, tag) == digest]


def forget_manifest(registry: Registry, repository: str, digest: str, tags: list[str]) -> None:
    """A deleted manifest and the tags that went with it leave no record and no lock."""
    registry.catalog.forget(repository, digest)
    for item in (digest, *tags):
        registry.locks.forget(repository, item)


async def _manifest_of(request: web.Request) -> Manifest:
    content = await request.read()
    if len(content) > MANIFEST_LIMIT:
        raise RegistryError(413, "MANIFEST_INVALID", f"a manifest has at most {MANIFEST_LIMIT} bytes")
    try:
        manifest = parse_manifest(content, request.headers.get("Content-Type", ""))
    except ValueError as error:
        raise RegistryError(400, "MANIFEST_INVALID", f"manifest invalid: {error}") from error
    reference = request.match_info["reference"]
    if reference.startswith("sha256:") and reference != "sha256:" + hashlib.sha256(content).hexdigest():
        raise RegistryError(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
    return manifest
