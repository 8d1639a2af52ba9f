"""`/acr/v1` of a registry: repositories, tags and manifests with their properties, and the attributes that lock them."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from local.cloud.core import Cloud
from local.cloud.errors import RegistryError
from local.cloud.registries import Registries, Registry
from local.cloud.registry_auth import require_access
from local.cloud.registry_data import forget_manifest, tags_of
from local.cloud.registry_descriptions import describe_manifest, describe_tag, digests_in, tags_in
from local.cloud.untagging import remove_tag

_DEFAULT_PAGE = 100


def install(cloud: Cloud, registries: Registries) -> None:
    listing = _Listing(registries)
    router = cloud.host("*.azurecr.io").router
    router.add_get("/acr/v1/_catalog", listing.repositories)
    router.add_get("/acr/v1/{name:.+}/_tags", listing.tags)
    router.add_get("/acr/v1/{name:.+}/_tags/{item}", listing.tag)
    router.add_patch("/acr/v1/{name:.+}/_tags/{item}", listing.change_tag)
    router.add_delete("/acr/v1/{name:.+}/_tags/{item}", listing.untag)
    router.add_get("/acr/v1/{name:.+}/_manifests", listing.manifests)
    router.add_get("/acr/v1/{name:.+}/_manifests/{item}", listing.manifest)
    router.add_patch("/acr/v1/{name:.+}/_manifests/{item}", listing.change_manifest)
    router.add_get("/acr/v1/{name:.+}", listing.repository)
    router.add_patch("/acr/v1/{name:.+}", listing.change_repository)
    router.add_delete("/acr/v1/{name:.+}", listing.delete_repository)


class _Listing:
    """Answers have the member names of the service's 2021-07-01 description; values it would compute itself are simple."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    async def repositories(self, request: web.Request) -> web.Response:
        registry = self._registries.at(request.host)
        require_access(request, registry, "registry", "catalog", "*")
        names, headers = _page(
            request, [name for name in await registry.upstream.repositories() if _listed(registry, name)]
        )
        return web.json_response({"repositories": names or None}, headers=headers)

    async def tags(self, request: web.Request) -> web.Response:
        registry, name = self._authorized(request, "metadata_read")
        wanted = request.query.get("digest")
        names, headers = _page(request, [tag for tag in await tags_in(registry, name) if _listed(registry, name, tag)])
        described = [await describe_tag(registry, name, tag) for tag in names]
        shown = [tag for tag in described if wanted in (None, tag["digest"])]
        return web.json_response({**_owner(registry, name), "tags": shown}, headers=headers)

    async def tag(self, request: web.Request) -> web.Response:
        registry, name = self._authorized(request, "metadata_read")
        return await _tag_answer(registry, name, request.match_info["item"])

    async def change_tag(self, request: web.Request) -> web.Response:
        registry, name = self._authorized(request, "metadata_write")
        await describe_tag(registry, name, request.match_info["item"])
        await _change(request, registry, name, request.match_info["item"])
        return await _tag_answer(registry, name, request.match_info["item"])

    async def untag(self, request: web.Request) -> web.Response:
        """Remove the tag; its manifest stays. No event, as in Azure."""
        registry, name = self._authorized(request, "delete")
        tag = request.match_info["item"]
        await describe_tag(registry, name, tag)
        registry.locks.check_delete(name, tag)
        await remove_tag(registry, name, tag)
        return web.Response(status=202)

    async def manifests(self, request: web.Request) -> web.Response:
        registry, name = self._authorized(request, "metadata_read")
        digests, headers = _page(request, await digests_in(registry, name))
        described = [await describe_manifest(registry, name, digest) for digest in digests]
        return web.json_response({**_owner(registry, name), "manifests": described}, headers=headers)

    async def manifest(self, request: web.Request) -> web.Response:
        registry, name = self._authorized(request, "metadata_read")
        return await _manifest_answer(registry, name, request.match_info["item"])

    async def change_manifest(self, request: web.Request) -> web.Response:
        registry, name = self._authorized(request, "metadata_write")
        digest = request.match_info["item"]
        await describe_manifest(registry, name, digest)
        await _change(request, registry, name, digest)
        return await _manifest_answer(registry, name, digest)

    async def repository(self, request: web.Request) -> web.Response:
        registry, name = self._authorized(request, "metadata_read")
        return await _repository_answer(registry, name)

    async def change_repository(self, request: web.Request) -> web.Response:
        registry, name = self._authorized(request, "metadata_write")
        await tags_in(registry, name)
        await _change(request, registry, name, "")
        return await _repository_answer(registry, name)

    async def delete_repository(self, request: web.Request) -> web.Response:
        """All manifests or, when one thing in it is locked, none."""
        registry, name = self._authorized(request, "delete")
        tags, digests = await tags_in(registry, name), await digests_in(registry, name)
        registry.locks.check_delete(name, *tags, *digests)
        for digest in digests:
            named = await tags_of(registry, name, digest)
            await registry.upstream.delete_manifest(name, digest)
            forget_manifest(registry, name, digest, named)
        return web.json_response({"manifestsDeleted": digests, "tagsDeleted": tags}, status=202)

    def _authorized(self, request: web.Request, action: str) -> tuple[Registry, str]:
        registry = self._registries.at(request.host)
        name = request.match_info["name"]
        require_access(request, registry, "repository", name, action)
        return registry, name


async def _repository_answer(registry: Registry, name: str) -> web.Response:
    tags, digests = await tags_in(registry, name), await digests_in(registry, name)
    created = sorted(registry.catalog.created(name, digest) for digest in digests)
    return web.json_response(
        {
            **_owner(registry, name),
            "createdTime": created[0] if created else None,
            "lastUpdateTime": created[-1] if created else None,
            "manifestCount": len(digests),
            "tagCount": len(tags),
            "changeableAttributes": registry.locks.attributes(name),
        }
    )


async def _tag_answer(registry: Registry, name: str, tag: str) -> web.Response:
    return web.json_response({**_owner(registry, name), "tag": await describe_tag(registry, name, tag)})


async def _manifest_answer(registry: Registry, name: str, digest: str) -> web.Response:
    described = await describe_manifest(registry, name, digest)
    return web.json_response({**_owner(registry, name), "manifest": described})


async def _change(request: web.Request, registry: Registry, repository: str, item: str) -> None:
    body = await request.json()
    try:
        registry.locks.change(repository, item, body)
    except (AttributeError, ValueError) as error:
        raise RegistryError(400, "UNSUPPORTED", str(error)) from error


def _owner(registry: Registry, repository: str) -> dict[str, str]:
    return {"registry": registry.host, "imageName": repository}


def _listed(registry: Registry, repository: str, item: str = "") -> bool:
    return registry.locks.attributes(repository, item)["listEnabled"]


def _page(request: web.Request, values: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """`n` values after `last`, and the Link header when there are more."""
    last, size = request.query.get("last", ""), int(request.query.get("n", _DEFAULT_PAGE))
    rest = [value for value in values if value > last]
    page = rest[:size]
    if len(rest) <= size:
        return page, {}
    link = request.rel_url.update_query(last=page[-1], n=str(size))
    return page, {"Link": f'<{link}>; rel="next"'}
