"""Images for tests, pushed to docker-registry by plain HTTP: every byte is chosen by the test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import requests

from local.cloud.manifests import ACCEPT, DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Pusher:
    """Pushes to one repository at a base URL such as `http://127.0.0.1:17501`."""

    def __init__(self, base: str, repository: str) -> None:
        self.base = base
        self.repository = repository
        self._url = f"{base}/v2/{repository}"

    def image(self, tag: str | None, *layers: bytes, architecture: str = "amd64", **members: Any) -> str:
        """An image with these uncompressed layers; its digest."""
        config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        return self.manifest(tag, self.document(json.dumps(config).encode(), layers, **members))

    def document(self, config: bytes, layers: Sequence[bytes] = (), **members: Any) -> dict[str, Any]:
        """A manifest whose blobs are pushed already."""
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self._descriptor(CONFIG_TYPE, config),
            "layers": [self._descriptor(LAYER_TYPE, layer) for layer in layers],
            **members,
        }

    def index(self, tag: str | None, digests: Sequence[str], **members: Any) -> str:
        """An index of manifests that are there; its digest."""
        entries = []
        for digest in digests:
            answer = requests.get(f"{self._url}/manifests/{digest}", headers={"Accept": ACCEPT}, timeout=10)
            entries.append({"mediaType": answer.headers["Content-Type"], "digest": digest, "size": len(answer.content)})
        return self.manifest(tag, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **members})

    def manifest(self, tag: str | None, document: dict[str, Any]) -> str:
        content = json.dumps(document, indent=3).encode()  # odd white space: a copy that re-encodes changes the digest
        digest = digest_of(content)
        headers = {"Content-Type": document["mediaType"]}
        answer = requests.put(f"{self._url}/manifests/{tag or digest}", data=content, headers=headers, timeout=10)
        assert answer.status_code == 201, answer.text
        return digest

    def blob(self, content: bytes) -> str:
        digest = digest_of(content)
        upload = requests.post(f"{self._url}/blobs/uploads/", timeout=10).headers["Location"]
        separator = "&" if "?" in upload else "?"
        url = f"{self.base}{upload}{separator}digest={digest}"
        answer = requests.put(url, data=content, headers={"Content-Type": "application/octet-stream"}, timeout=60)
        assert answer.status_code == 201, answer.text
        return digest

    def digest(self, reference: str) -> str | None:
        """What the registry says that a tag or digest is; None when it is not there."""
        answer = requests.head(f"{self._url}/manifests/{reference}", headers={"Accept": ACCEPT}, timeout=10)
        return answer.headers["Docker-Content-Digest"] if answer.status_code == 200 else None

    def content(self, reference: str) -> bytes:
        answer = requests.get(f"{self._url}/manifests/{reference}", headers={"Accept": ACCEPT}, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.content

    def _descriptor(self, media_type: str, content: bytes) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": self.blob(content), "size": len(content)}


def docker_types(document: dict[str, Any]) -> dict[str, Any]:
    """The same manifest in Docker's older media types."""
    if "manifests" in document:
        return {**document, "mediaType": DOCKER_LIST}
    config = {**document["config"], "mediaType": "application/vnd.docker.container.image.v1+json"}
    layers = [{**layer, "mediaType": "application/vnd.docker.image.rootfs.diff.tar"} for layer in document["layers"]]
    return {**document, "mediaType": DOCKER_MANIFEST, "config": config, "layers": layers}
