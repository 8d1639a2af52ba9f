"""What a manifest says, read from its bytes: digest, members, and which kind of thing it is.

Rules: OCI image specification 1.1 (manifest, index, descriptor), Docker's manifest v2 schema 2.
Everything here reads bytes that anybody with push rights wrote: wrong shapes are PermanentError, never a crash.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tidegate.errors import PermanentError
from tidegate.flows.images.image_gate import IMAGE_INDEXES, IMAGE_MANIFESTS

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
ACCEPTED = (*IMAGE_MANIFESTS, *IMAGE_INDEXES, *SCHEMA_1)
"""Media types to ask a registry for; it converts nothing when all are accepted."""

_IMAGE_CONFIGS = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_IMAGE_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
_HELM_CONFIGS = ("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.config.v1+json")
_SIGNATURES = (
    "application/vnd.dev.cosign.",
    "application/vnd.cncf.notary.signature",
    "application/vnd.dev.sigstore.bundle",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer from one manifest to another manifest or blob."""

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    platform: str = ""
    """`os/architecture[/variant]`; empty: not said."""
    annotations: tuple[tuple[str, str], ...] = ()
    external: bool = False
    """Whether it names URLs outside the registry."""

    @property
    def is_attestation(self) -> bool:
        """Whether no machine would choose it from its index: BuildKit keeps attestations there as unknown/unknown.

        Its annotation alone does not count: with a real platform beside it, a container runtime would run it.
        """
        return self.platform.startswith("unknown/unknown")


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index, its bytes and what is read from them."""

    digest: str
    media_type: str
    body: bytes
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    declared_type: str
    """`artifactType`, or empty."""
    annotations: tuple[tuple[str, str], ...]
    ambiguous: bool
    """Whether two readers may see different things: members of both kinds, or two media types (CVE-2021-41190)."""

    @property
    def artifact_type(self) -> str:
        """What a referrer is listed as: `artifactType`, else its configuration's media type (distribution spec 1.1)."""
        return self.declared_type or (self.config.media_type if self.config else "")


def digest_of(body: bytes) -> str:
    """The digest that names these bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def parse(body: bytes, media_type: str) -> Manifest:
    """Read a manifest. `media_type` is the registry's Content-Type. PermanentError: not a manifest."""
    document = mapping(read_json(body, "manifest"), "manifest")
    declared = text(document.get("mediaType"))
    said = media_type.partition(";")[0].strip()
    known = said if said in ACCEPTED else declared
    children = _descriptors(document.get("manifests"))
    config = _optional_descriptor(document.get("config"))
    layers = _descriptors(document.get("layers"))
    return Manifest(
        digest=digest_of(body),
        media_type=known or said,
        body=body,
        config=config,
        layers=layers,
        children=children,
        subject=_optional_descriptor(document.get("subject")),
        declared_type=text(document.get("artifactType")),
        annotations=pairs(document.get("annotations")),
        ambiguous=bool("manifests" in document and (config or layers))
        or bool(declared and declared != (known or said)),
    )


def kind(manifest: Manifest) -> str:
    """`image`, `index`, or what else it is: `schema1`, `chart`, `signature`, `artifact`, `ambiguous`."""
    if manifest.ambiguous:
        return "ambiguous"
    if manifest.media_type in SCHEMA_1:
        return "schema1"
    if manifest.media_type in IMAGE_INDEXES:
        return "index" if any(not each.is_attestation for each in manifest.children) else "artifact"
    config = manifest.config.media_type if manifest.config else ""
    if manifest.media_type in IMAGE_MANIFESTS and config in _IMAGE_CONFIGS:
        return _kind_by_layers(manifest)
    if config in _HELM_CONFIGS:
        return "chart"
    return "signature" if manifest.artifact_type.startswith(_SIGNATURES) else "artifact"


def _kind_by_layers(manifest: Manifest) -> str:
    """cosign and BuildKit use an image's configuration for what is none; their layers tell. A mixture is suspicious."""
    runnable = {layer.media_type.startswith(_IMAGE_LAYERS) for layer in manifest.layers}
    if runnable <= {True}:
        return "image"
    if True in runnable:
        return "ambiguous"
    return "signature" if any(layer.media_type.startswith(_SIGNATURES) for layer in manifest.layers) else "artifact"


def platform(document: Mapping[str, Any]) -> str:
    parts = [
        text(document.get("os")) or "unknown",
        text(document.get("architecture")) or "unknown",
        text(document.get("variant")),
    ]
    return "/".join(part for part in parts if part)


def _descriptors(members: object) -> tuple[Descriptor, ...]:
    if members is None:
        return ()
    if not isinstance(members, list):
        raise PermanentError("manifest: layers and manifests are lists")
    return tuple(_descriptor(each) for each in members)


def _optional_descriptor(member: object) -> Descriptor | None:
    return None if member is None else _descriptor(member)


def _descriptor(member: object) -> Descriptor:
    fields = mapping(member, "descriptor")
    size = fields.get("size", 0)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise PermanentError("descriptor: size is not a number of bytes")
    runs_on = fields.get("platform")
    return Descriptor(
        media_type=text(fields.get("mediaType")),
        digest=text(fields.get("digest")),
        size=size,
        artifact_type=text(fields.get("artifactType")),
        platform=platform(mapping(runs_on, "platform")) if runs_on is not None else "",
        annotations=pairs(fields.get("annotations")),
        external=bool(fields.get("urls")),
    )


def pairs(value: object) -> tuple[tuple[str, str], ...]:
    """Annotations or labels as sorted pairs; none: none."""
    if value is None:
        return ()
    return tuple(sorted((str(key), text(each)) for key, each in mapping(value, "annotations or labels").items()))


def read_json(body: bytes, where: str) -> object:
    """PermanentError: not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PermanentError(f"{where}: not JSON") from error


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """PermanentError: not a JSON object."""
    if not isinstance(value, dict):
        raise PermanentError(f"{where}: not a JSON object")
    return value


def text(value: object) -> str:
    """A member that should be text; anything else counts as not said."""
    return value if isinstance(value, str) else ""
