"""Copies what is attached to an image: OCI referrers, and the tags cosign keeps beside it; import copies neither.

A registry without the referrers API lists them in an index under the tag `sha256-<hex>`, which clients keep up to date
(distribution specification 1.1, "referrers tag schema"); both ways are read, and the second is kept up where needed.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

from tidegate.adapters.registry import oci_manifest, referrer_manifests
from tidegate.adapters.registry.image_facts import MAX_CHILDREN
from tidegate.adapters.registry.oci import Repository
from tidegate.adapters.registry.oci_manifest import Descriptor, Manifest
from tidegate.adapters.registry.oci_transport import GoneError
from tidegate.errors import PermanentError

MAX_REFERRERS = 100
"""Most referrers of one digest; more are refused, because they could be copied neither in time nor in full."""
_LEVELS = 2
"""Referrers of referrers are copied too: a signature of an SBOM."""


def copy(source: Repository, target: Repository, digest: str, types: Sequence[str]) -> int:
    """Copy what is attached to a digest or to a child of its index; how many were written."""
    return sum(_copy_attached(source, target, each, types, _LEVELS) for each in tree(source, digest))


def present(repository: Repository, digests: Sequence[str]) -> tuple[str, ...]:
    """Artifact types attached to any of the digests, sorted, without our own promotion record."""
    found: set[str] = set()
    for digest in digests:
        manifests = (repository.manifest(each.digest) for each in attached(repository, digest))
        found |= {manifest.artifact_type for manifest in manifests if not referrer_manifests.is_record(manifest)}
        found |= {kind for tag, kind in referrer_manifests.companion_tags(digest) if repository.digest(tag)}
    return tuple(sorted(found))


def attach(repository: Repository, manifest: Manifest) -> bool:
    """Put a referrer whose blobs are there, and list it where the registry does not; whether it was written."""
    written = repository.digest(manifest.digest) is None
    listed = repository.put_manifest(manifest.digest, manifest) if written else False
    if not listed:
        _list_under_tag(repository, manifest)
    return written


def tree(repository: Repository, digest: str) -> list[str]:
    """The digest and those of the manifests below it, an index inside an index included."""
    digests = [digest]
    for each in digests:
        children = repository.manifest(each).children
        digests += [child.digest for child in children if child.digest not in digests]
        if len(digests) > MAX_CHILDREN + 1:
            raise PermanentError(f"{repository}@{digest}: an index with more than {MAX_CHILDREN} manifests")
    return digests


def attached(repository: Repository, digest: str) -> list[Descriptor]:
    """What is listed as attached to a digest, by the API and under the fallback tag, each once."""
    listed = {each.digest: each for each in repository.referrers(digest, MAX_REFERRERS) or ()}
    listed |= {each.digest: each for each in _under_tag(repository, digest)}
    if len(listed) > MAX_REFERRERS:
        raise PermanentError(f"{repository}@{digest}: more than {MAX_REFERRERS} referrers")
    return list(listed.values())


def _copy_attached(source: Repository, target: Repository, digest: str, types: Sequence[str], levels: int) -> int:
    copied = 0
    for manifest in _wanted(source, digest, types):
        for part in _parts(source, manifest):
            if target.digest(part.digest) is None:
                _copy_blobs(source, target, part)
                target.put_manifest(part.digest, part)
        if target.digest(manifest.digest) is None:
            _copy_blobs(source, target, manifest)
        copied += attach(target, manifest)
        if levels > 1:
            copied += _copy_attached(source, target, manifest.digest, types, levels - 1)
    return copied + sum(
        _copy_tag(source, target, tag)
        for tag, kind in referrer_manifests.companion_tags(digest)
        if matches(kind, types)
    )


def _wanted(source: Repository, digest: str, types: Sequence[str]) -> Iterator[Manifest]:
    for listed in attached(source, digest):
        try:
            manifest = source.manifest(listed.digest)
        except GoneError:  # listed under a fallback tag, and deleted since
            continue
        points_here = manifest.subject is not None and manifest.subject.digest == digest
        if points_here and not referrer_manifests.is_record(manifest) and matches(manifest.artifact_type, types):
            yield manifest


def matches(artifact_type: str, globs: Sequence[str]) -> bool:
    """Whether a type is one of those that travel."""
    return any(fnmatch.fnmatchcase(artifact_type, glob) for glob in globs)


def _parts(source: Repository, manifest: Manifest) -> list[Manifest]:
    """Manifests below a referrer that is an index, children first."""
    below = [source.manifest(digest) for digest in tree(source, manifest.digest)[1:]] if manifest.children else []
    return below[::-1]


def _copy_blobs(source: Repository, target: Repository, manifest: Manifest) -> None:
    for part in (*manifest.layers, *((manifest.config,) if manifest.config else ())):
        target.copy_blob(source, part)


def _copy_tag(source: Repository, target: Repository, tag: str) -> int:
    """A tag of cosign's keeps its name, which is how cosign finds it."""
    digest = source.digest(tag)
    if digest is None or target.digest(tag) == digest:
        return 0
    manifest = source.manifest(digest)
    for part in _parts(source, manifest):
        _copy_blobs(source, target, part)
        target.put_manifest(part.digest, part)
    _copy_blobs(source, target, manifest)
    target.put_manifest(tag, manifest)
    return 1


def _under_tag(repository: Repository, digest: str) -> Sequence[Descriptor]:
    try:
        return repository.manifest(referrer_manifests.fallback_tag(digest)).children
    except GoneError:
        return ()


def _list_under_tag(repository: Repository, manifest: Manifest) -> None:
    """Nothing to do where the registry lists referrers itself. Two writers at once may lose an entry; the next repeats it."""
    subject = manifest.subject
    if subject is None or repository.referrers(subject.digest, MAX_REFERRERS) is not None:
        return
    known = _under_tag(repository, subject.digest)
    if any(each.digest == manifest.digest for each in known):
        return
    listed = [referrer_manifests.referrer_descriptor(repository.manifest(each.digest)) for each in known]
    index = referrer_manifests.referrers_index([*listed, referrer_manifests.referrer_descriptor(manifest)])
    tag = referrer_manifests.fallback_tag(subject.digest)
    repository.put_manifest(tag, oci_manifest.parse(index, oci_manifest.OCI_INDEX))
