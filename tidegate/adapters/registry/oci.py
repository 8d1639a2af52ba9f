"""The data plane of the two registries: manifests, blobs, tags, referrers and locks, every byte checked by its digest."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, override

import requests

from tidegate.adapters.registry import oci_manifest
from tidegate.adapters.registry.oci_manifest import Descriptor, Manifest
from tidegate.adapters.registry.oci_tokens import RegistryTokens
from tidegate.adapters.registry.oci_transport import GoneError, RegistryTransport, answer_headers, body, chunks
from tidegate.errors import PermanentError, TransientError

MAX_MANIFEST = 4 * 1024 * 1024
MAX_CONFIG = 8 * 1024 * 1024
MAX_BLOB = 256 * 1024 * 1024
"""Bytes of one blob of a referrer; images are copied by the service, never through here."""
_BLOB_SECONDS = 120
_SPOOL = 8 * 1024 * 1024
_MAX_PAGES = 10

_ACCEPT = {"Accept": ", ".join(oci_manifest.ACCEPTED)}
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}\Z")
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


class Repositories:
    """Calls on repositories of known registries. May be shared by threads."""

    def __init__(self, tokens: RegistryTokens, transport: RegistryTransport, registries: Iterable[str]) -> None:
        self._tokens = tokens
        self._transport = transport
        self._registries = frozenset(registries)

    def at(self, registry: str, repository: str) -> Repository:
        """A repository. PermanentError: its registry is none of the settings."""
        if registry not in self._registries:
            raise PermanentError(f"{registry}: not a registry of the settings")
        return Repository(self._tokens, self._transport, f"{registry}.azurecr.io", repository)


class Repository:
    """One repository of one registry."""

    def __init__(self, tokens: RegistryTokens, transport: RegistryTransport, host: str, name: str) -> None:
        self._tokens = tokens
        self._transport = transport
        self._host = host
        self._name = name

    @override
    def __str__(self) -> str:
        return f"{self._host}/{self._name}"

    def digest(self, reference: str) -> str | None:
        """What a tag or digest names, by HEAD; None: nothing. Computed from the body where the answer does not say it."""
        try:
            answer = answer_headers(self._call("HEAD", f"manifests/{reference}", "pull", _ACCEPT))
        except GoneError:
            return None
        said = answer.get("Docker-Content-Digest", "")
        return said if _DIGEST.match(said) else self.manifest(reference).digest

    def manifest(self, reference: str) -> Manifest:
        """A manifest by tag or digest. GoneError: there is none. TransientError: its bytes are not those of its digest."""
        response = self._call("GET", f"manifests/{reference}", "pull", _ACCEPT)
        media_type, said = response.headers.get("Content-Type", ""), response.headers.get("Docker-Content-Digest", "")
        content = body(response, MAX_MANIFEST)
        found = oci_manifest.digest_of(content)
        expected = reference if _DIGEST.match(reference) else said
        if _DIGEST.match(expected) and found != expected:
            raise TransientError(f"{self}: {reference} came with the digest {found}")
        return oci_manifest.parse(content, media_type)

    def put_manifest(self, reference: str, manifest: Manifest) -> bool:
        """Write exactly these bytes under a tag or their digest. Whether the registry lists it as a referrer by itself."""
        content_type = {"Content-Type": manifest.media_type}
        written = self._call("PUT", f"manifests/{reference}", "pull,push", content_type, manifest.body, accept=(201,))
        return "OCI-Subject" in answer_headers(written)

    def config(self, descriptor: Descriptor) -> bytes:
        """A small blob, checked."""
        data = body(self._call("GET", f"blobs/{_digest(descriptor.digest)}", "pull"), MAX_CONFIG)
        if oci_manifest.digest_of(data) != descriptor.digest:
            raise TransientError(f"{self}: {descriptor.digest} came with other bytes")
        return data

    def has_blob(self, digest: str) -> bool:
        try:
            answer_headers(self._call("HEAD", f"blobs/{_digest(digest)}", "pull"))
        except GoneError:
            return False
        return True

    def put_blob(self, digest: str, data: bytes | IO[bytes]) -> None:
        """Upload a blob if it is missing."""
        if self.has_blob(digest):
            return
        started = answer_headers(self._call("POST", "blobs/uploads/", "pull,push", data=b"", accept=(202,)))
        location = self._upload_url(started.get("Location", ""))
        url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        content_type = {"Content-Type": "application/octet-stream"}
        answer_headers(self._send("PUT", url, "pull,push", content_type, data, accept=(201,)))

    def copy_blob(self, source: Repository, descriptor: Descriptor) -> None:
        """Bring a blob over from another registry, through a temporary file, if it is missing here."""
        digest = _digest(descriptor.digest)
        if self.has_blob(digest):
            return
        hashed = hashlib.sha256()
        with tempfile.SpooledTemporaryFile(_SPOOL) as file:
            for chunk in chunks(source.blob(digest), MAX_BLOB, _BLOB_SECONDS):
                hashed.update(chunk)
                file.write(chunk)
            if f"sha256:{hashed.hexdigest()}" != digest:
                raise TransientError(f"{source}: {digest} came with other bytes")
            file.seek(0)
            self.put_blob(digest, file)

    def blob(self, digest: str) -> requests.Response:
        return self._call("GET", f"blobs/{_digest(digest)}", "pull")

    def referrers(self, digest: str, limit: int) -> Sequence[Descriptor] | None:
        """What the registry lists as attached to a digest; None: it has no such list. PermanentError: more than `limit`."""
        found: list[Descriptor] = []
        url = f"https://{self._host}/v2/{self._name}/referrers/{_digest(digest)}"
        for _ in range(_MAX_PAGES):
            try:
                response = self._send("GET", url, "pull", {"Accept": oci_manifest.OCI_INDEX})
            except GoneError:
                return None
            following = _NEXT.search(response.headers.get("Link", ""))
            found += oci_manifest.parse(body(response, MAX_MANIFEST), oci_manifest.OCI_INDEX).children
            if len(found) > limit:
                raise PermanentError(f"{self}: more than {limit} referrers of {digest}")
            if following is None:
                return found
            url = self._own_url(following[1])
        raise PermanentError(f"{self}: more than {_MAX_PAGES} pages of referrers of {digest}")

    def attributes(self, kind: str, name: str) -> Mapping[str, bool]:
        """Changeable attributes of a tag (`kind` `_tags`) or manifest (`_manifests`). GoneError: there is no such thing."""
        url = f"https://{self._host}/acr/v1/{self._name}/{kind}/{name}"
        answer = oci_manifest.read_json(body(self._send("GET", url, "metadata_read"), MAX_CONFIG), url)
        fields = oci_manifest.mapping(answer, url)
        described = oci_manifest.mapping(fields.get("tag") or fields.get("manifest"), url)
        return oci_manifest.mapping(described.get("changeableAttributes"), url)

    def change(self, kind: str, name: str, **attributes: bool) -> None:
        """Set changeable attributes."""
        url = f"https://{self._host}/acr/v1/{self._name}/{kind}/{name}"
        content_type = {"Content-Type": "application/json"}
        answer_headers(
            self._send("PATCH", url, "metadata_read,metadata_write", content_type, json.dumps(attributes).encode())
        )

    def _call(
        self,
        method: str,
        path: str,
        actions: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        *,
        accept: Iterable[int] = (200,),
    ) -> requests.Response:
        return self._send(method, f"https://{self._host}/v2/{self._name}/{path}", actions, headers, data, accept=accept)

    def _send(
        self,
        method: str,
        url: str,
        actions: str,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        *,
        accept: Iterable[int] = (200,),
    ) -> requests.Response:
        """With a token for this repository; a token that is refused is replaced once."""
        scope = f"repository:{self._name}:{actions}"
        bearer = {"Authorization": f"Bearer {self._tokens.access(self._host, scope)}"}
        response = self._transport.send(method, url, {**(headers or {}), **bearer}, data, accept={*accept, 401})
        if response.status_code != 401:
            return response
        response.close()
        self._tokens.forget(self._host)
        if data is not None and not isinstance(data, bytes):
            data.seek(0)
        bearer = {"Authorization": f"Bearer {self._tokens.access(self._host, scope)}"}
        return self._transport.send(method, url, {**(headers or {}), **bearer}, data, accept=accept)

    def _upload_url(self, location: str) -> str:
        url = self._own_url(location)
        if not urllib.parse.urlsplit(url).path.startswith(f"/v2/{self._name}/blobs/uploads/"):
            raise TransientError(f"{self}: an upload cannot go to {url.partition('?')[0]!a}")
        return url

    def _own_url(self, location: str) -> str:
        """An address the registry gave, relative or not, if it is at its own host."""
        url = urllib.parse.urljoin(f"https://{self._host}/v2/{self._name}/", location)
        parts = urllib.parse.urlsplit(url)
        if (parts.scheme, parts.netloc) != ("https", self._host):
            raise TransientError(f"{self}: {parts.netloc!a} is not its own host")
        return url


def _digest(text: str) -> str:
    """Digests become part of a path: nothing else may."""
    if not _DIGEST.match(text):
        raise PermanentError(f"{text[:80]!a} is not a digest")
    return text
