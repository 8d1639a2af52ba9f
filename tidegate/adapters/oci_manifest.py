"""What a manifest says, as pure functions over its bytes: digest, kind, children, platforms, referrers.

Rules: OCI image specification 1.1 (manifest, index, descriptor), Docker's manifest v2 schema 2, cosign's tag scheme.
Everything here reads bytes that anybody with push rights wrote: wrong shapes are PermanentError, never a crash.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidegate.errors import PermanentError
from tidegate.flows.image_gate import IMAGE_INDEXES, IMAGE_MANIFESTS, ImageFacts, PlatformImage
from tidegate.flows.promotion_record import MEDIA_TYPE as RECORD
from tidegate.flows.promotion_record import PREDICATE_TYPE

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY_JSON = b"{}"
SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
ACCEPTED = (*IMAGE_MANIFESTS, *IMAGE_INDEXES, *SCHEMA_1)
"""Media types to ask a registry for; it converts nothing when all are accepted."""

RECORD_MARK = ("in-toto.io/predicate-type", PREDICATE_TYPE)
"""Annotation that tells our promotion record from in-toto statements that others attached."""

MAX_CHILDREN = 100
"""Most manifests of an index that are looked at; Azure imports at most 50 (docs: container-registry-import-images)."""

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

    @property
    def is_record(self) -> bool:
        """Whether this is a promotion record of ours."""
        return self.declared_type == RECORD and RECORD_MARK in self.annotations


def digest_of(body: bytes) -> str:
    """The digest that names these bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def parse(body: bytes, media_type: str) -> Manifest:
    """Read a manifest. `media_type` is the registry's Content-Type. PermanentError: not a manifest."""
    document = _mapping(_json(body, "manifest"), "manifest")
    declared = _text(document.get("mediaType"))
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
        declared_type=_text(document.get("artifactType")),
        annotations=_pairs(document.get("annotations")),
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
    types = (manifest.artifact_type, *(layer.media_type for layer in manifest.layers))
    if any(each.startswith(_SIGNATURES) for each in types):
        return "signature"
    config = manifest.config.media_type if manifest.config else ""
    if config in _HELM_CONFIGS:
        return "chart"
    runnable = config in _IMAGE_CONFIGS and all(layer.media_type.startswith(_IMAGE_LAYERS) for layer in manifest.layers)
    return "image" if runnable and manifest.media_type in IMAGE_MANIFESTS else "artifact"


def facts(manifest: Manifest, child: Callable[[str], Manifest], config: Callable[[Descriptor], bytes]) -> ImageFacts:
    """What a gate wants to know; `child` fetches a manifest by digest, `config` a configuration, both verified.

    PermanentError: an index with more manifests than are looked at, or a configuration that is none.
    """
    what = kind(manifest)
    tree = [manifest]
    if what == "index":
        tree += _descend(manifest, child, levels=2)
    images = tuple(_platform_image(each, config) for each in tree if kind(each) == "image" and not _skipped(each, tree))
    return ImageFacts(
        media_type=manifest.media_type,
        kind="artifact" if what == "index" and not images else what,
        images=images if what in ("image", "index") else (),
        manifests=len(tree),
        foreign_layers=any(
            part.external for each in tree for part in (*each.layers, *each.children, *_some(each.config))
        ),
    )


def companion_tags(digest: str) -> tuple[tuple[str, str], ...]:
    """Tags under which cosign keeps what belongs to a digest, each with the artifact type it stands for."""
    stem = digest.replace(":", "-")
    return tuple(
        (f"{stem}.{kind}", f"application/vnd.dev.cosign.artifact.{kind}.v1+json") for kind in ("sig", "att", "sbom")
    )


def fallback_tag(digest: str) -> str:
    """Tag of the index of referrers where the registry has no referrers API (distribution specification 1.1)."""
    return digest.replace(":", "-")


def referrer_descriptor(manifest: Manifest) -> dict[str, object]:
    """A referrer as an index of referrers lists it."""
    listed: dict[str, object] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.body),
        "artifactType": manifest.artifact_type,
    }
    return listed | ({"annotations": dict(manifest.annotations)} if manifest.annotations else {})


def referrers_index(referrers: Sequence[Mapping[str, object]]) -> bytes:
    """An index of referrers, the same bytes for the same members."""
    members = sorted(referrers, key=lambda each: str(each["digest"]))
    return canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members})


def record_manifest(subject: Manifest, statement: bytes, annotations: Sequence[tuple[str, str]]) -> bytes:
    """The manifest that attaches a promotion record to an image: the same bytes for the same statement."""
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": RECORD,
            "config": {
                "mediaType": EMPTY_TYPE,
                "digest": digest_of(EMPTY_JSON),
                "size": len(EMPTY_JSON),
                "data": "e30=",
            },
            "layers": [{"mediaType": RECORD, "digest": digest_of(statement), "size": len(statement)}],
            "subject": {"mediaType": subject.media_type, "digest": subject.digest, "size": len(subject.body)},
            "annotations": dict(annotations) | dict([RECORD_MARK]),
        }
    )


def canonical(document: Mapping[str, object]) -> bytes:
    """JSON with sorted keys and without spaces: equal documents are equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _descend(index: Manifest, child: Callable[[str], Manifest], levels: int) -> list[Manifest]:
    """All manifests below an index, each digest once, an index inside an index included."""
    found: dict[str, Manifest] = {}
    waiting = [(each.digest, levels) for each in index.children]
    while waiting:
        digest, left = waiting.pop(0)
        if digest in found:
            continue
        if len(found) >= MAX_CHILDREN or left == 0:
            raise PermanentError(f"{index.digest}: an index with more than {MAX_CHILDREN} manifests or {levels} levels")
        found[digest] = child(digest)
        waiting += [(each.digest, left - 1) for each in found[digest].children]
    return list(found.values())


def _skipped(manifest: Manifest, tree: Sequence[Manifest]) -> bool:
    """Whether its parent marks it as an attestation."""
    marks = [each.is_attestation for parent in tree for each in parent.children if each.digest == manifest.digest]
    return bool(marks) and all(marks)


def _platform_image(manifest: Manifest, config: Callable[[Descriptor], bytes]) -> PlatformImage:
    if manifest.config is None:
        raise PermanentError(f"{manifest.digest}: no configuration")
    where = f"{manifest.digest}: configuration"
    document = _mapping(_json(config(manifest.config), where), where)
    settings = document.get("config") or {}
    runtime = _mapping(settings, where)
    return PlatformImage(
        digest=manifest.digest,
        platform=_platform(document),
        user=_text(runtime.get("User")),
        labels=_pairs(runtime.get("Labels")),
        size=sum(layer.size for layer in manifest.layers),
    )


def _platform(document: Mapping[str, Any]) -> str:
    parts = [
        _text(document.get("os")) or "unknown",
        _text(document.get("architecture")) or "unknown",
        _text(document.get("variant")),
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
    fields = _mapping(member, "descriptor")
    size = fields.get("size", 0)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise PermanentError("descriptor: size is not a number of bytes")
    platform = fields.get("platform")
    return Descriptor(
        media_type=_text(fields.get("mediaType")),
        digest=_text(fields.get("digest")),
        size=size,
        artifact_type=_text(fields.get("artifactType")),
        platform=_platform(_mapping(platform, "platform")) if platform is not None else "",
        annotations=_pairs(fields.get("annotations")),
        external=bool(fields.get("urls")),
    )


def _pairs(mapping: object) -> tuple[tuple[str, str], ...]:
    if mapping is None:
        return ()
    return tuple(sorted((str(key), _text(value)) for key, value in _mapping(mapping, "annotations or labels").items()))


def _json(body: bytes, where: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PermanentError(f"{where}: not JSON") from error


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PermanentError(f"{where}: not a JSON object")
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _some(descriptor: Descriptor | None) -> tuple[Descriptor, ...]:
    return () if descriptor is None else (descriptor,)
