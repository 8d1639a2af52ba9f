"""What manifests are taken for, those included that were made to mislead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import Content, attestation, image, index
from tests.fakes.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tidegate.adapters.registry import oci_manifest
from tidegate.adapters.registry.image_facts import facts
from tidegate.errors import PermanentError
from tidegate.flows.images.image_gate import ImageFacts

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def facts_of(content: Content) -> ImageFacts:
    contents = dict(walk(content))
    blobs = {oci_manifest.digest_of(blob): blob for each in contents.values() for blob in each.blobs}
    parsed = {digest: oci_manifest.parse(each.body, each.media_type) for digest, each in contents.items()}
    return facts(parsed[content.digest], lambda digest: parsed[digest], lambda config: blobs[config.digest])


def walk(content: Content) -> list[tuple[str, Content]]:
    return [(content.digest, content), *(pair for child in content.children for pair in walk(child))]


def changed(content: Content, **members: Any) -> Content:
    document = json.loads(content.body) | members
    return Content(content.media_type, json.dumps(document).encode(), content.blobs, content.children)


def layers(*types: str) -> list[dict[str, object]]:
    return [{"mediaType": each, "digest": "sha256:" + "0" * 64, "size": 1} for each in types]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (image(), "image"),
        (changed(image(), layers=[]), "image"),
        (changed(image(), subject={"mediaType": OCI_MANIFEST, "digest": "sha256:" + "0" * 64, "size": 1}), "image"),
        (changed(image(), layers=layers(LAYER, "application/octet-stream")), "ambiguous"),
        (changed(image(), layers=layers("application/vnd.in-toto+json")), "artifact"),
        (changed(image(), manifests=[]), "ambiguous"),
        (changed(image(), mediaType=OCI_INDEX), "ambiguous"),
        (changed(image(), mediaType=DOCKER_MANIFEST), "ambiguous"),
        (Content("application/vnd.docker.distribution.manifest.v1+prettyjws", b'{"schemaVersion": 1}'), "schema1"),
        (index({"unknown/unknown": attestation()}), "artifact"),
        (index({}), "artifact"),
        (changed(index({"linux/amd64": image()}), layers=layers(LAYER)), "ambiguous"),
        (index({"linux/amd64": index({"linux/amd64": image()})}), "index"),
    ],
)
def test_a_manifest_is_what_everybody_would_take_it_for(content: Content, kind: str) -> None:
    found = facts_of(content)
    assert found.kind == kind
    assert bool(found.images) == (kind in ("image", "index"))


def test_one_suspicious_child_makes_the_index_no_candidate() -> None:
    odd = changed(image("odd", user="0"), layers=layers(LAYER, "application/octet-stream"))
    found = facts_of(index({"linux/amd64": image(), "linux/arm64": odd}))
    assert (found.kind, found.images) == ("ambiguous", ())


def test_a_runnable_image_marked_as_an_attestation_still_counts() -> None:
    hidden = index({"linux/amd64": image("one"), "linux/arm64": image("root", platform="linux/arm64", user="0")})
    document = json.loads(hidden.body)
    document["manifests"][1]["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    found = facts_of(changed(hidden, **document))
    assert [each.user for each in found.images] == ["1000", "0"]


@pytest.mark.parametrize("where", ["layer", "config", "child"])
def test_a_descriptor_with_urls_is_seen_wherever_it_is(where: str) -> None:
    urls = ["http://169.254.169.254/layer"]
    plain = json.loads(image().body)
    content = {
        "layer": image(urls=urls),
        "config": changed(image(), config=plain["config"] | {"urls": urls}),
        "child": index({"linux/amd64": image(urls=urls)}),
    }[where]
    assert facts_of(content).foreign_layers


def test_an_index_with_too_many_manifests_is_refused() -> None:
    with pytest.raises(PermanentError, match="more than 100 manifests"):
        facts_of(index({f"linux/arch{number}": image(str(number)) for number in range(101)}))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(body: bytes) -> None:
    with pytest.raises(PermanentError):
        oci_manifest.parse(body, OCI_MANIFEST)


TEXT = st.text("ab:/", max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
MEMBERS = ["mediaType", "config", "layers", "manifests", "subject", "artifactType", "annotations", "schemaVersion"]


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_strange_members_are_refused_or_read_but_never_crash(document: Mapping[str, Any]) -> None:
    body = json.dumps(document).encode()
    try:
        manifest = oci_manifest.parse(body, OCI_MANIFEST)
    except PermanentError:
        return
    assert oci_manifest.kind(manifest) in ("image", "index", "schema1", "chart", "signature", "artifact", "ambiguous")


@pytest.mark.parametrize("config", [b"[]", b"no", b'{"config": []}', b'{"config": {"Labels": 3}}'])
def test_a_configuration_that_is_none_is_refused(config: bytes) -> None:
    content = image()
    manifest = oci_manifest.parse(content.body, content.media_type)
    with pytest.raises(PermanentError):
        facts(manifest, lambda digest: manifest, lambda descriptor: config)


def test_a_configuration_that_says_nothing_is_root_on_an_unknown_platform() -> None:
    content = image()
    manifest = oci_manifest.parse(content.body, content.media_type)
    (found,) = facts(manifest, lambda digest: manifest, lambda descriptor: b"{}").images
    assert (found.platform, found.user, found.labels) == ("unknown/unknown", "", ())
