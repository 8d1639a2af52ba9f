"""Images, indexes and artifacts with real bytes and real digests, to be pushed into fakes and real registries alike."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_LAYERS = {
    OCI_MANIFEST: "application/vnd.oci.image.layer.v1.tar+gzip",
    DOCKER_MANIFEST: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """A manifest and all it needs: push `blobs`, then `children`, then `body`."""

    media_type: str
    body: bytes
    blobs: tuple[bytes, ...] = ()
    children: tuple[Content, ...] = ()

    @property
    def digest(self) -> str:
        return digest_of(self.body)


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image(
    text: str = "hello",
    *,
    platform: str = "linux/amd64",
    user: str = "1000",
    labels: Mapping[str, str] | None = None,
    media_type: str = OCI_MANIFEST,
    urls: Sequence[str] = (),
) -> Content:
    """A runnable image whose one layer holds `text`: another text, another digest."""
    os, architecture, *variant = platform.split("/")
    config = _json(
        {
            "os": os,
            "architecture": architecture,
            "config": {"User": user, "Labels": dict(labels or {})},
            "rootfs": {"type": "layers"},
        }
        | ({"variant": variant[0]} if variant else {})
    )
    layer = gzip.compress(text.encode(), mtime=0)
    config_type = _OCI_CONFIG if media_type == OCI_MANIFEST else _DOCKER_CONFIG
    layers = [_described(layer, _LAYERS[media_type]) | ({"urls": list(urls)} if urls else {})]
    body = {"schemaVersion": 2, "mediaType": media_type, "config": _described(config, config_type), "layers": layers}
    return Content(media_type, _json(body), (config, layer))


def index(images: Mapping[str, Content], media_type: str = OCI_INDEX) -> Content:
    """An index; the keys are platforms (`linux/arm64/v8`; `unknown/unknown` for a build's attestation)."""
    members = []
    for platform, content in images.items():
        os, architecture, *variant = platform.split("/")
        named = {"os": os, "architecture": architecture} | ({"variant": variant[0]} if variant else {})
        members.append(_described(content.body, content.media_type) | {"platform": named})
    return Content(
        media_type,
        _json({"schemaVersion": 2, "mediaType": media_type, "manifests": members}),
        children=tuple(images.values()),
    )


def artifact(kind: str, payload: bytes = b"payload", *, subject: Content | None = None) -> Content:
    """An OCI 1.1 artifact of an artifact type, attached to `subject` if there is one."""
    body: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": kind,
        "config": _described(b"{}", _EMPTY),
        "layers": [_described(payload, kind)],
    }
    if subject is not None:
        body["subject"] = _described(subject.body, subject.media_type)
    return Content(OCI_MANIFEST, _json(body), (b"{}", payload))


def attestation(text: str = "provenance") -> Content:
    """What BuildKit adds to an index: an image manifest whose layers are in-toto statements."""
    config = _json({"os": "unknown", "architecture": "unknown"})
    layer = text.encode()
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _described(config, _OCI_CONFIG),
        "layers": [_described(layer, "application/vnd.in-toto+json")],
    }
    return Content(OCI_MANIFEST, _json(body), (config, layer))


def cosign_signature(of: Content) -> Content:
    """What cosign pushes under the tag `sha256-<hex>.sig`: the configuration of an image, a layer that is none."""
    config = _json({"architecture": "", "os": "", "config": {}})
    payload = _json({"critical": {"image": {"docker-manifest-digest": of.digest}}})
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _described(config, _OCI_CONFIG),
        "layers": [_described(payload, "application/vnd.dev.cosign.simplesigning.v1+json")],
    }
    return Content(OCI_MANIFEST, _json(body), (config, payload))


def helm_chart(name: str = "chart") -> Content:
    """A Helm 3 chart."""
    config, layer = _json({"name": name}), name.encode()
    body = {
        "schemaVersion": 2,
        "config": _described(config, "application/vnd.cncf.helm.config.v1+json"),
        "layers": [_described(layer, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
    }
    return Content(OCI_MANIFEST, _json(body), (config, layer))


def _described(data: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
