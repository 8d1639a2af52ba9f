"""Both container registries: import through the management plane, everything else through the OCI data plane."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.rest import HttpRequest, HttpResponse
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.containerregistry.models import ImportImageParameters, ImportSource

from tidegate.adapters.azure_calls import BOUNDED, registry_id, retry_after, translated
from tidegate.adapters.registry import image_facts, oci_manifest, referrer_manifests, referrers
from tidegate.adapters.registry.oci import Repositories, Repository
from tidegate.adapters.registry.oci_tokens import RegistryTokens
from tidegate.adapters.registry.oci_transport import GoneError, RegistryTransport
from tidegate.errors import PermanentError, StateConflict, TransientError
from tidegate.flows.images.image_gate import ImageFacts
from tidegate.ports import (
    Call,
    ImportDone,
    ImportFailed,
    ImportRunning,
    ImportStatus,
    ReferrersCopied,
    TagPlaced,
    TagTaken,
)
from tidegate.references import ImageRef, TagRef
from tidegate.settings import Settings

_ARM = "management.azure.com"
_ALREADY = "already-there"
"""Token of an import that found its content in place."""
_NO_ANSWER = (401, 403, 408, 425, 429)
_LOCKED = {"writeEnabled": False, "deleteEnabled": False}


class ContainerRegistry:
    """The ImageRegistry port."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        self._settings = settings
        self._arm = ContainerRegistryManagementClient(credential, settings.subscription_id, **BOUNDED)
        self._transport = RegistryTransport()
        tokens = RegistryTokens(credential, self._transport.post_form)
        self._repositories = Repositories(
            tokens, self._transport, (settings.staging_registry, settings.healthy_registry)
        )

    def close(self) -> None:
        """Give the connections back."""
        self._arm.close()
        self._transport.close()

    def resolve(self, tag: TagRef) -> str | None:
        return self._repositories.at(tag.registry, tag.repository).digest(tag.tag)

    def exists(self, image: ImageRef) -> bool:
        return self._at(image).digest(image.digest) is not None

    def inspect(self, image: ImageRef) -> ImageFacts:
        repository = self._at(image)
        return image_facts.facts(repository.manifest(image.digest), repository.manifest, repository.config)

    def start_import(self, source: ImageRef, target: ImageRef) -> str:
        parameters = self._import(source, target)
        answers: list[Mapping[str, str]] = []
        try:
            with translated(f"import of {target}", {409: StateConflict}, refusable=True):
                self._arm.registries.begin_import_image(
                    self._settings.resource_group,
                    target.registry,
                    parameters,
                    polling=False,
                    raw_response_hook=lambda answer: answers.append(answer.http_response.headers),
                )
        except StateConflict as error:  # unverified: whether Azure refuses content that is there already
            if self.exists(target):
                return _ALREADY
            raise TransientError(str(error)) from error
        return answers[-1].get("Location") or _ALREADY  # 200 without a Location: done within the call

    def import_call(self, source: ImageRef, target: ImageRef) -> Call:
        body = self._import(source, target).as_dict()
        return Call("POST importImage", registry_id(self._settings, target.registry), json.dumps(body))

    def import_status(self, operation: str) -> ImportStatus:
        if operation == _ALREADY:
            return ImportDone()
        parts = urllib.parse.urlsplit(operation)
        if (parts.scheme, parts.netloc) != ("https", _ARM):  # the app's token goes along
            return ImportFailed(f"{parts.netloc!a} is not where imports are asked about")
        with translated("import"):
            return _import_status(self._arm.send_request(HttpRequest("GET", operation)))

    def copy_referrers(self, source: ImageRef, target: ImageRef, types: Sequence[str]) -> ReferrersCopied:
        here, there = self._at(source), self._at(target)
        copied = referrers.copy(here, there, source.digest, types)
        return ReferrersCopied(copied, referrers.present(there, referrers.tree(there, target.digest)))

    def attach_record(self, target: ImageRef, statement: bytes, annotations: Sequence[tuple[str, str]]) -> str:
        repository = self._at(target)
        body = referrer_manifests.record_manifest(repository.manifest(target.digest), statement, annotations)
        record = oci_manifest.parse(body, oci_manifest.OCI_MANIFEST)
        for blob in (referrer_manifests.EMPTY_JSON, statement):
            repository.put_blob(oci_manifest.digest_of(blob), blob)
        referrers.attach(repository, record)
        return record.digest

    def place_tag(self, target: TagRef, digest: str, *, movable: bool, lock: bool) -> TagPlaced | TagTaken:
        repository = self._repositories.at(target.registry, target.repository)
        previous = repository.digest(target.tag) or ""
        if previous not in ("", digest) and not movable:
            return TagTaken(previous)
        if previous != digest:
            if previous:
                _unlock(repository, target.tag)
            repository.put_manifest(target.tag, repository.manifest(digest))
            now = repository.digest(target.tag)
            if now != digest:
                raise TransientError(f"{target}: names {now} after it was set to {digest}")
        if lock:
            _lock(repository, "_tags", target.tag)
        return TagPlaced(previous)

    def lock_manifest(self, target: ImageRef) -> None:
        """Unverified: that Azure lets a new tag name a locked manifest; the lock is meant for its bytes."""
        _lock(self._at(target), "_manifests", target.digest)

    def _at(self, image: ImageRef) -> Repository:
        return self._repositories.at(image.registry, image.repository)

    def _import(self, source: ImageRef, target: ImageRef) -> ImportImageParameters:
        """By digest, because a tag may move while it is imported; untagged, because the tag is placed when all is there.

        `targetTags` is empty, not absent: the service refuses a body without it (Azure/azure-powershell issue 24546).
        Unverified: that it takes an empty one beside `untaggedTargetRepositories`. NoForce: nothing is overwritten.
        """
        self._repositories.at(source.registry, source.repository)
        self._repositories.at(target.registry, target.repository)
        if source.digest != target.digest:
            raise PermanentError(f"{target}: an import keeps the digest of its source {source}")
        return ImportImageParameters(
            source=ImportSource(
                resource_id=registry_id(self._settings, source.registry),
                source_image=f"{source.repository}@{source.digest}",
            ),
            target_tags=[],
            untagged_target_repositories=[target.repository],
            mode="NoForce",
        )


def _import_status(answer: HttpResponse) -> ImportStatus:
    """One answer about an operation. Unverified: Azure's answers for a copy that goes on or has failed; all seen are taken."""
    status = answer.status_code
    if status >= 500 or status in _NO_ANSWER:
        raise TransientError(f"import: {status}", retry_after=retry_after(answer.headers))
    document = _document(answer)
    said = str(document.get("status", ""))
    match status:
        case 202:
            return ImportRunning()
        case 404:
            return ImportFailed("the operation is not known any more")
        case _ if status >= 400 or said in ("Failed", "Canceled"):
            return ImportFailed(_reason(document) or f"{status} {said}".strip())
        case _ if said in ("", "Succeeded"):
            return ImportDone()
        case _:
            return ImportRunning()


def _document(answer: HttpResponse) -> Mapping[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _reason(document: Mapping[str, Any]) -> str:
    error = document.get("error")
    fields = error if isinstance(error, dict) else document
    return ": ".join(str(fields[name]) for name in ("code", "message") if fields.get(name))


def _lock(repository: Repository, kind: str, name: str) -> None:
    attributes = repository.attributes(kind, name)
    if any(attributes.get(key, True) for key in _LOCKED):
        repository.change(kind, name, **_LOCKED)


def _unlock(repository: Repository, tag: str) -> None:
    try:
        attributes = repository.attributes("_tags", tag)
    except GoneError:  # deleted meanwhile
        return
    if not all(attributes.get(key, True) for key in _LOCKED):
        repository.change("_tags", tag, **dict.fromkeys(_LOCKED, True))
