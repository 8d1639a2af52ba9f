"""Repositories, tags and manifests as `/acr/v1` describes them."""

from __future__ import annotations

import json
from typing import Any

from local.cloud.errors import RegistryError
from local.cloud.manifests import Manifest
from local.cloud.registries import Registry
from local.cloud.registry_data import tags_of


async def tags_in(registry: Registry, repository: str) -> list[str]:
    tags = await registry.upstream.tags(repository)
    if tags is None:
        raise RegistryError(404, "NAME_UNKNOWN", f"repository {repository} is not found")
    return tags


async def digests_in(registry: Registry, repository: str) -> list[str]:
    """Manifests that are there: those under a tag, what these list, and those the catalog knows without a tag."""
    found: dict[str, Manifest] = {}
    waiting = [*registry.catalog.digests(repository), *await tags_in(registry, repository)]
    while waiting:
        reference = waiting.pop(0)
        if reference in found:
            continue
        manifest = await registry.upstream.manifest(repository, reference)
        if manifest is not None:
            found[manifest.digest] = manifest
            registry.catalog.record(repository, manifest, None if reference.startswith("sha256:") else reference)
            waiting += [child.digest for child in manifest.children]
    return sorted(found)


async def describe_tag(registry: Registry, repository: str, tag: str) -> dict[str, Any]:
    manifest = await registry.upstream.manifest(repository, tag)
    if manifest is None:
        raise RegistryError(404, "TAG_UNKNOWN", f"the specified tag {tag} does not exist")
    registry.catalog.record(repository, manifest, tag)
    created, updated = registry.catalog.tag_times(repository, tag)
    return {
        "name": tag,
        "digest": manifest.digest,
        "createdTime": created,
        "lastUpdateTime": updated,
        "signed": False,
        "changeableAttributes": registry.locks.attributes(repository, tag),
    }


async def describe_manifest(registry: Registry, repository: str, digest: str) -> dict[str, Any]:
    manifest = await registry.upstream.manifest(repository, digest)
    if manifest is None:
        raise RegistryError(404, "MANIFEST_UNKNOWN", f"manifest {digest} is not found")
    registry.catalog.record(repository, manifest)
    created = registry.catalog.created(repository, digest)
    tags = await tags_of(registry, repository, digest)
    described = {
        "digest": digest,
        "imageSize": sum(blob.size for blob in manifest.blobs),
        "createdTime": created,
        "lastUpdateTime": created,
        "mediaType": manifest.media_type,
        "tags": tags,
        "changeableAttributes": registry.locks.attributes(repository, digest),
    }
    if manifest.config_type:
        described["configMediaType"] = manifest.config_type
    return described | await _platform(registry, repository, manifest)


async def _platform(registry: Registry, repository: str, manifest: Manifest) -> dict[str, Any]:
    """Architecture and system of an image; nothing for an index or an artifact."""
    if manifest.config_type is None or not manifest.config_type.endswith(("image.config.v1+json", "image.v1+json")):
        return {}
    text = await registry.upstream.blob_text(repository, manifest.blobs[0].digest)
    config = json.loads(text) if text else {}
    return {name: config[name] for name in ("architecture", "os") if name in config}
