"""What a gate wants to know of an image, from its manifests and configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.adapters.registry.oci_manifest import (
    Descriptor,
    Manifest,
    kind,
    mapping,
    pairs,
    platform,
    read_json,
    text,
)
from tidegate.errors import PermanentError
from tidegate.flows.images.image_gate import ImageFacts, PlatformImage

MAX_CHILDREN = 100
"""Most manifests of an index that are looked at; Azure imports at most 50 (docs: container-registry-import-images)."""


def facts(manifest: Manifest, child: Callable[[str], Manifest], config: Callable[[Descriptor], bytes]) -> ImageFacts:
    """What a gate wants to know; `child` fetches a manifest by digest, `config` a configuration, both verified.

    PermanentError: an index with more manifests than are looked at, or a configuration that is none.
    """
    tree = [manifest]
    if kind(manifest) == "index":
        tree += _descend(manifest, child, levels=2)
    runnable = [each for each in tree if kind(each) == "image" and not _is_attestation(each, tree)]
    what = _kind_of_all(tree, runnable)
    parts = (part for each in tree for part in (*each.layers, *each.children, *_some(each.config)))
    return ImageFacts(
        media_type=manifest.media_type,
        kind=what,
        images=tuple(_platform_image(each, config) for each in runnable) if what in ("image", "index") else (),
        manifests=len(tree),
        foreign_layers=any(part.external for part in parts),
    )


def _kind_of_all(tree: Sequence[Manifest], runnable: Sequence[Manifest]) -> str:
    """An index is one only if something in it runs, and is suspicious if anything in it is."""
    what = kind(tree[0])
    if what == "index" and any(kind(each) in ("ambiguous", "schema1") for each in tree):
        return "ambiguous"
    return "artifact" if what == "index" and not runnable else what


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


def _is_attestation(manifest: Manifest, tree: Sequence[Manifest]) -> bool:
    """Whether every index it is in marks it as one."""
    marks = [each.is_attestation for parent in tree for each in parent.children if each.digest == manifest.digest]
    return bool(marks) and all(marks)


def _platform_image(manifest: Manifest, config: Callable[[Descriptor], bytes]) -> PlatformImage:
    if manifest.config is None:
        raise PermanentError(f"{manifest.digest}: no configuration")
    where = f"{manifest.digest}: configuration"
    document = mapping(read_json(config(manifest.config), where), where)
    said = document.get("config")
    runtime = {} if said is None else mapping(said, where)
    return PlatformImage(
        digest=manifest.digest,
        platform=platform(document),
        user=text(runtime.get("User")),
        labels=pairs(runtime.get("Labels")),
        size=sum(layer.size for layer in manifest.layers),
    )


def _some(descriptor: Descriptor | None) -> tuple[Descriptor, ...]:
    return () if descriptor is None else (descriptor,)
