"""Copies an image between registries: exact manifests, an index with all its children, only missing blobs."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable
from typing import override

from local.cloud.manifests import Descriptor, Manifest
from local.cloud.registries import Registry

MANIFESTS_LIMIT = 50
"""Manifests of one imported image. Azure documents 50; that the index itself counts is unverified."""

_PARALLEL_BLOBS = 3
"""Blobs in flight at once: beyond it the target's hashing and writing is the limit, not the copying."""


class ImportRefusedError(Exception):
    """The image cannot be imported; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where an image goes; without a tag it can be reached by its digest only."""

    repository: str
    tag: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image in a registry, by tag or digest."""

    registry: Registry
    repository: str
    reference: str

    @override
    def __str__(self) -> str:
        separator = "@" if self.reference.startswith("sha256:") else ":"
        return f"{self.registry.host}/{self.repository}{separator}{self.reference}"


class Importer:
    """Remembers which repository of a target has a blob, so that the next repository mounts it instead of copying."""

    def __init__(self) -> None:
        self._homes: dict[tuple[str, str], str] = {}
        self._blobs = asyncio.Semaphore(_PARALLEL_BLOBS)

    async def copy(self, source: Image, registry: Registry, targets: Iterable[Target]) -> str:
        """Copy to every target and return the digest, which is the source's own.

        A target that has the digest gets no bytes, and no write at all when its tag names the digest already. A tag is
        written last: until then nobody sees half an image. Twice does nothing more.
        """
        root = await _fetch(source, source.reference)
        for target in targets:
            if await registry.upstream.digest(target.repository, root.digest) is None:
                await self._copy_image(source, root, registry, target)
            elif target.tag and await registry.upstream.digest(target.repository, target.tag) != root.digest:
                await registry.upstream.put_manifest(target.repository, target.tag, root)
            registry.catalog.record(target.repository, root, target.tag)
        return root.digest

    async def _copy_image(self, source: Image, root: Manifest, registry: Registry, target: Target) -> None:
        """All missing blobs first, then the manifests, each after those that it lists."""
        tree = await _tree(source, root)
        there = await asyncio.gather(*(registry.upstream.digest(target.repository, one.digest) for one in tree))
        missing = [manifest for manifest, digest in zip(tree, there, strict=True) if digest is None]
        blobs = {blob.digest: blob for manifest in missing for blob in manifest.blobs if not blob.elsewhere}
        await asyncio.gather(*(self._copy_blob(source, blob, registry, target.repository) for blob in blobs.values()))
        for manifest in missing:
            reference = target.tag if manifest is root and target.tag else manifest.digest
            await registry.upstream.put_manifest(target.repository, reference, manifest)
            registry.catalog.record(target.repository, manifest)

    async def _copy_blob(self, source: Image, blob: Descriptor, registry: Registry, repository: str) -> None:
        upstream = registry.upstream
        home = (registry.name, blob.digest)
        async with self._blobs:
            if not await upstream.has_blob(repository, blob.digest):
                same_registry = source.repository if source.registry.name == registry.name else None
                upload = await upstream.begin_upload(repository, blob.digest, same_registry or self._homes.get(home))
                if upload is not None:
                    chunks = source.registry.upstream.blob_chunks(source.repository, blob.digest)
                    await upstream.finish_upload(upload, blob.digest, blob.size, chunks)
            self._homes[home] = repository


async def _fetch(source: Image, reference: str) -> Manifest:
    """A manifest whose bytes hash to the digest that was asked for."""
    manifest = await source.registry.upstream.manifest(source.repository, reference)
    if manifest is None:
        raise ImportRefusedError(
            f"{source} was not found" + (f": no {reference}" if reference != source.reference else "")
        )
    if reference.startswith("sha256:") and manifest.digest != reference:
        raise ImportRefusedError(f"{source}: the source answered {manifest.digest} for {reference}")
    return manifest


async def _tree(source: Image, root: Manifest) -> list[Manifest]:
    """Every manifest of the image, children before the index that lists them."""
    found: dict[str, Manifest] = {}

    async def visit(manifest: Manifest) -> None:
        wanted = [child.digest for child in manifest.children if child.digest not in found]
        if len(found) + len(wanted) + 1 > MANIFESTS_LIMIT:
            raise ImportRefusedError(f"{source} has more than {MANIFESTS_LIMIT} manifests")
        for child in await asyncio.gather(*(_fetch(source, digest) for digest in wanted)):
            await visit(child)
        found[manifest.digest] = manifest

    await visit(root)
    return list(found.values())
