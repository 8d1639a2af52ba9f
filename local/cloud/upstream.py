"""Client of one docker-registry: the part of the distribution API that the stand-in needs for itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from local.cloud.manifests import ACCEPT, Manifest, parse_manifest

_CATALOG_PAGE = 1000
"""Repositories a page: docker-registry refuses to list more."""


class UpstreamError(Exception):
    """docker-registry answered what it should not; the message has the call and the status."""


class Upstream:
    """Methods answer None or False for what is not there, and raise UpstreamError for any other refusal."""

    def __init__(self, http: Callable[[], aiohttp.ClientSession], base: str) -> None:
        self._http = http
        self.base = URL(base)

    def url(self, path: str) -> URL:
        """Address of a path that begins with `/v2/`, which may carry a query."""
        return self.base.join(URL(path, encoded=True))

    async def digest(self, repository: str, reference: str) -> str | None:
        """Digest of a tag or digest that is there; a HEAD, so no event and no bytes."""
        url = self.url(f"/v2/{repository}/manifests/{reference}")
        async with self._http().head(url, headers={"Accept": ACCEPT}) as response:
            if response.status == 404:
                return None
            _expect(response, 200)
            return response.headers["Docker-Content-Digest"]

    async def manifest(self, repository: str, reference: str) -> Manifest | None:
        url = self.url(f"/v2/{repository}/manifests/{reference}")
        async with self._http().get(url, headers={"Accept": ACCEPT}) as response:
            if response.status == 404:
                return None
            _expect(response, 200)
            return parse_manifest(await response.read(), response.headers.get("Content-Type", ""))

    async def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Store these exact bytes; the registry's digest of them is compared with ours."""
        url = self.url(f"/v2/{repository}/manifests/{reference}")
        headers = {"Content-Type": manifest.media_type}
        async with self._http().put(url, data=manifest.content, headers=headers) as response:
            _expect(response, 201, await response.text() if response.status != 201 else "")
            if response.headers.get("Docker-Content-Digest") != manifest.digest:
                raise UpstreamError(f"PUT {url.path}: the registry computed another digest than {manifest.digest}")

    async def delete_manifest(self, repository: str, digest: str) -> bool:
        async with self._http().delete(self.url(f"/v2/{repository}/manifests/{digest}")) as response:
            if response.status == 404:
                return False
            _expect(response, 202)
            return True

    async def tags(self, repository: str) -> list[str] | None:
        """All tags, sorted; None when there is no such repository."""
        answer = await self._json(f"/v2/{repository}/tags/list")
        return None if answer is None else sorted(answer.get("tags") or [])

    async def repositories(self) -> list[str]:
        """All repositories, sorted."""
        found: list[str] = []
        while True:
            last = f"&last={quote(found[-1], safe='')}" if found else ""
            page = (await self._json(f"/v2/_catalog?n={_CATALOG_PAGE}{last}") or {}).get("repositories") or []
            found += page
            if len(page) < _CATALOG_PAGE:
                return sorted(found)

    async def blob_text(self, repository: str, digest: str) -> str | None:
        """A small blob (an image's configuration) as text."""
        async with self._http().get(self.url(f"/v2/{repository}/blobs/{digest}")) as response:
            return None if response.status != 200 else await response.text()

    async def has_blob(self, repository: str, digest: str) -> bool:
        async with self._http().head(self.url(f"/v2/{repository}/blobs/{digest}")) as response:
            if response.status not in (200, 404):
                _expect(response, 200)
            return response.status == 200

    async def blob_chunks(self, repository: str, digest: str) -> AsyncIterator[bytes]:
        """The bytes of a blob as they arrive."""
        async with self._http().get(self.url(f"/v2/{repository}/blobs/{digest}")) as response:
            _expect(response, 200)
            async for chunk in response.content.iter_chunked(1 << 20):
                yield chunk

    async def begin_upload(self, repository: str, digest: str, mount_from: str | None = None) -> URL | None:
        """Where to put the bytes; None when the blob could be mounted from another repository of this registry."""
        query = {"mount": digest, "from": mount_from} if mount_from else {}
        url = self.url(f"/v2/{repository}/blobs/uploads/").with_query(query)
        async with self._http().post(url) as response:
            if response.status == 201:
                return None
            _expect(response, 202)
            return self.url(response.headers["Location"])

    async def finish_upload(self, upload: URL, digest: str, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Put the whole blob in one request; the registry refuses bytes that do not hash to the digest."""
        url = upload.extend_query(digest=digest)
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        async with self._http().put(url, data=chunks, headers=headers) as response:
            _expect(response, 201, await response.text() if response.status != 201 else "")

    async def _json(self, path: str) -> dict[str, Any] | None:
        async with self._http().get(self.url(path)) as response:
            if response.status == 404:
                return None
            _expect(response, 200)
            answer: dict[str, Any] = json.loads(await response.read())
            return answer


def _expect(response: aiohttp.ClientResponse, status: int, text: str = "") -> None:
    if response.status != status:
        raise UpstreamError(f"{response.method} {response.url.path}: {response.status} {text}".rstrip())
