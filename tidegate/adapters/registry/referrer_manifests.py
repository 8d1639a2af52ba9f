"""Manifests that are attached to images: their names, their lists, and our own promotion record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tidegate.adapters.registry.oci_manifest import OCI_INDEX, OCI_MANIFEST, Manifest, digest_of
from tidegate.flows.images.promotion_record import MEDIA_TYPE as RECORD
from tidegate.flows.images.promotion_record import PREDICATE_TYPE

RECORD_MARK = ("in-toto.io/predicate-type", PREDICATE_TYPE)
"""Annotation that tells our promotion record from in-toto statements that others attached."""

_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY_JSON = b"{}"


def is_record(manifest: Manifest) -> bool:
    """Whether this is a promotion record of ours."""
    return manifest.declared_type == RECORD and RECORD_MARK in manifest.annotations


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
                "mediaType": _EMPTY_TYPE,
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
