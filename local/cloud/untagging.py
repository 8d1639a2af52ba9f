"""Removes a tag and leaves its manifest, which docker-registry 2.8 has no call for."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator

from local.cloud.manifests import OCI_MANIFEST, parse_manifest
from local.cloud.registries import Registry

_CONFIG = b"{}"
_CONFIG_DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


async def remove_tag(registry: Registry, repository: str, tag: str) -> None:
    """Move the tag to a manifest made for this, and delete that manifest: its tags go with it."""
    upload = await registry.upstream.begin_upload(repository, _CONFIG_DIGEST)
    if upload is not None:
        await registry.upstream.finish_upload(upload, _CONFIG_DIGEST, len(_CONFIG), _chunks())
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": _CONFIG_DIGEST, "size": len(_CONFIG)},
        "layers": [],
        "annotations": {"untagged": str(uuid.uuid4())},
    }
    placeholder = parse_manifest(json.dumps(document).encode(), OCI_MANIFEST)
    registry.placeholders.add(placeholder.digest)
    await registry.upstream.put_manifest(repository, tag, placeholder)
    await registry.upstream.delete_manifest(repository, placeholder.digest)
    registry.catalog.forget_tag(repository, tag)
    registry.locks.forget(repository, tag)


async def _chunks() -> AsyncIterator[bytes]:
    yield _CONFIG
