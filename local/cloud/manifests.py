"""Manifests as values: what one refers to, and how it is described to others."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

ACCEPT = f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"
"""Every type that Azure's registry keeps; a registry converts to an older one when a type is not in this list."""

MANIFEST_LIMIT = 4 * 2**20
"""Bytes of a manifest, as the distribution specification recommends."""


@dataclasses.dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference from a manifest to a blob or another manifest."""

    media_type: str
    digest: str
    size: int
    elsewhere: bool = False
    """Its bytes are at a URL of their own and in no registry (a foreign layer)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """The exact bytes of a manifest, whose hash is its name, and what they say."""

    media_type: str
    content: bytes
    document: dict[str, Any]

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """Manifests that an index lists."""
        return tuple(_descriptor(entry) for entry in self.document.get("manifests") or ())

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers of an image."""
        config = self.document.get("config")
        entries = [*([config] if config else []), *(self.document.get("layers") or ())]
        return tuple(_descriptor(entry) for entry in entries)

    @property
    def subject(self) -> str | None:
        """Digest of the manifest that this one is about (a signature's image)."""
        subject = self.document.get("subject")
        return str(subject["digest"]) if isinstance(subject, dict) and "digest" in subject else None

    @property
    def config_type(self) -> str | None:
        config = self.document.get("config")
        return config.get("mediaType") if isinstance(config, dict) else None

    def referrer(self) -> dict[str, Any]:
        """How the referrers API lists it: its artifact type is its own, else its config's media type."""
        descriptor: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.content),
        }
        if artifact_type := self.document.get("artifactType") or self.config_type:
            descriptor["artifactType"] = artifact_type
        if annotations := self.document.get("annotations"):
            descriptor["annotations"] = annotations
        return descriptor


def parse_manifest(content: bytes, media_type: str) -> Manifest:
    """ValueError when the bytes are no JSON object or an entry of theirs is no descriptor."""
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("the manifest is no JSON object")  # noqa: TRY004 - the content is wrong, not its Python type
    manifest = Manifest(media_type.partition(";")[0].strip() or document.get("mediaType", ""), content, document)
    try:
        _ = (manifest.children, manifest.blobs, manifest.subject)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the manifest has an entry that is no descriptor: {error}") from error
    return manifest


def _descriptor(entry: dict[str, Any]) -> Descriptor:
    return Descriptor(
        str(entry.get("mediaType", "")), str(entry["digest"]), int(entry["size"]), bool(entry.get("urls"))
    )
