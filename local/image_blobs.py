"""Push images over HTTP without an engine: the content is given, nothing is built. For tests, benchmarks and indexes."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

_LIMIT_S = 60
_COMPRESSED = 8 << 20
"""Bytes of the largest layer that is compressed."""
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The registries are on this machine; the environment's proxy is not asked."""


@dataclasses.dataclass(frozen=True, slots=True)
class MediaTypes:
    """The names of an image's parts in one of the two vocabularies that registries speak."""

    manifest: str
    index: str
    config: str
    layer: str


OCI = MediaTypes(
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
)
DOCKER = MediaTypes(
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)


class PushError(RuntimeError):
    """The registry did not take something; the message has what, the status and the registry's words."""


@dataclasses.dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest or an index says of something that it refers to."""

    media_type: str
    digest: str
    size: int

    def json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push_blob_image(
    registry_url: str,
    repository: str,
    tag: str | None,
    *,
    layers: Sequence[bytes] = (b"layer",),
    config: Mapping[str, Any] | None = None,
    subject: Descriptor | None = None,
    artifact_type: str | None = None,
    types: MediaTypes = OCI,
) -> Descriptor:
    """Push an image whose layers are these bytes, gzipped, and name it; without a tag it has its digest only.

    Equal content gives an equal digest. Such an image is moved and compared like any other; only if its layers are tar
    archives can it run. With a subject it is a referrer (a signature, a report) of that manifest. Layers that the
    repository has are not sent again; those over 8 MiB are stored in gzip's format without compressing them, to save time.
    """
    settings = _config(layers) if config is None else dict(config)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": types.manifest,
        "config": _push_blob(registry_url, repository, types.config, _canonical(settings)).json(),
        "layers": [_push_blob(registry_url, repository, types.layer, _gzipped(layer)).json() for layer in layers],
    }
    if artifact_type:
        manifest["artifactType"] = artifact_type
    if subject is not None:
        manifest["subject"] = subject.json()
    return _push_manifest(registry_url, repository, tag, manifest)


def push_index(
    registry_url: str,
    repository: str,
    tag: str | None,
    platforms: Mapping[str, Descriptor],
    *,
    types: MediaTypes = OCI,
) -> Descriptor:
    """Push an index of several platforms (`linux/amd64` -> a manifest that is already in this repository)."""
    manifests = []
    for platform, descriptor in platforms.items():
        system, architecture, *variant = platform.split("/")
        named = {"os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        manifests.append({**descriptor.json(), "platform": named})
    index = {"schemaVersion": 2, "mediaType": types.index, "manifests": manifests}
    return _push_manifest(registry_url, repository, tag, index)


def push_variant(
    registry_url: str,
    source: tuple[str, str],
    repository: str,
    tag: str | None,
    *,
    environment: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
) -> Descriptor:
    """Push an image with the layers of another (repository, tag or digest) and more environment: it runs, and is another.

    Layers are mounted, so this takes milliseconds however large they are.
    """
    from_repository, reference = source
    read, media_type = _read(f"{registry_url}/v2/{from_repository}/manifests/{reference}")
    manifest = {"mediaType": media_type, **json.loads(read)}
    config = json.loads(_read(f"{registry_url}/v2/{from_repository}/blobs/{manifest['config']['digest']}")[0])
    runtime = config.setdefault("config", {})
    runtime["Env"] = [*runtime.get("Env", ()), *(f"{name}={value}" for name, value in environment.items())]
    runtime["Labels"] = {**(runtime.get("Labels") or {}), **(labels or {})}
    for layer in manifest["layers"]:
        query = urllib.parse.urlencode({"mount": layer["digest"], "from": from_repository})
        _send("POST", f"{registry_url}/v2/{repository}/blobs/uploads/?{query}")
    manifest["config"] = _push_blob(
        registry_url, repository, manifest["config"]["mediaType"], _canonical(config)
    ).json()
    return _push_manifest(registry_url, repository, tag, manifest)


def find_manifest(registry_url: str, repository: str, reference: str) -> Descriptor | None:
    """What a tag or a digest names now, as the registry says; None when it names nothing."""
    url = f"{registry_url}/v2/{repository}/manifests/{reference}"
    request = urllib.request.Request(
        url, method="HEAD", headers={"Accept": f"{OCI.manifest}, {OCI.index}, {DOCKER.manifest}, {DOCKER.index}"}
    )
    try:
        with _DIRECT.open(request, timeout=_LIMIT_S) as answer:
            headers = answer.headers
            return Descriptor(headers["Content-Type"], headers["Docker-Content-Digest"], int(headers["Content-Length"]))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return None
        raise PushError(f"HEAD {url}: {error.code}") from error


def _read(url: str) -> tuple[bytes, str]:
    """A manifest or blob, and its media type."""
    accept = f"{OCI.manifest}, {DOCKER.manifest}, */*"
    with _DIRECT.open(urllib.request.Request(url, headers={"Accept": accept}), timeout=_LIMIT_S) as answer:
        return answer.read(), answer.headers["Content-Type"]


def _config(layers: Sequence[bytes]) -> dict[str, Any]:
    rootfs = {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]}
    return {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}


def _push_manifest(registry_url: str, repository: str, tag: str | None, manifest: Mapping[str, Any]) -> Descriptor:
    body = _canonical(manifest)
    descriptor = Descriptor(str(manifest["mediaType"]), digest_of(body), len(body))
    url = f"{registry_url}/v2/{repository}/manifests/{tag or descriptor.digest}"
    _send("PUT", url, body, descriptor.media_type)
    return descriptor


def _push_blob(registry_url: str, repository: str, media_type: str, content: bytes) -> Descriptor:
    descriptor = Descriptor(media_type, digest_of(content), len(content))
    if _has_blob(registry_url, repository, descriptor.digest):
        return descriptor
    started = _send("POST", f"{registry_url}/v2/{repository}/blobs/uploads/")
    location = urllib.parse.urljoin(f"{registry_url}/", started["Location"])
    joint = "&" if urllib.parse.urlsplit(location).query else "?"
    _send("PUT", f"{location}{joint}digest={descriptor.digest}", content, "application/octet-stream")
    return descriptor


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 9 if len(content) <= _COMPRESSED else 0, mtime=0)


def _has_blob(registry_url: str, repository: str, digest: str) -> bool:
    request = urllib.request.Request(f"{registry_url}/v2/{repository}/blobs/{digest}", method="HEAD")
    try:
        with _DIRECT.open(request, timeout=_LIMIT_S):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return False
        raise PushError(f"HEAD {request.full_url}: {error.code}") from error


def _send(method: str, url: str, body: bytes = b"", media_type: str | None = None) -> http.client.HTTPMessage:
    headers = {"Content-Type": media_type} if media_type else {}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with _DIRECT.open(request, timeout=_LIMIT_S) as answer:
            headers_of_answer: http.client.HTTPMessage = answer.headers
            return headers_of_answer
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(2000).decode(errors="replace")
        raise PushError(f"{method} {url}: {error.code} {said}") from error
    except OSError as error:
        raise PushError(f"{method} {url}: {error}") from error


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
