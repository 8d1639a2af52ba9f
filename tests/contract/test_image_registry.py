"""Fake and adapter keep the same promises of the ImageRegistry port."""

from __future__ import annotations

import dataclasses

import pytest

from tests.contract.registries import HEALTHY, STAGING, Registries
from tests.fakes import Content, artifact, attestation, cosign_signature, helm_chart, image, index
from tests.fakes.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tidegate.errors import PermanentError
from tidegate.ports import ImportDone, ImportRunning, ReferrersCopied, TagPlaced, TagTaken
from tidegate.references import ImageRef, TagRef

SBOM = "application/spdx+json"
SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1"}'
ANNOTATIONS = (("in-toto.io/predicate-type", "urn:tidegate:promotion:v1"), ("tidegate.verdict", "passed"))


def promoted(registries: Registries, repository: str, content: Content) -> tuple[ImageRef, ImageRef]:
    """An image in staging, and its copy in healthy."""
    source = registries.push(STAGING, repository, content, "v1")
    return source, registries.push(HEALTHY, repository, content)


# Reading


def test_a_tag_resolves_to_the_digest_it_names_now(registries: Registries, repository: str) -> None:
    first = registries.push(STAGING, repository, image("one"), "v1")
    assert registries.port.resolve(TagRef(STAGING, repository, "v1")) == first.digest
    second = registries.push(STAGING, repository, image("two"), "v1")
    assert registries.port.resolve(TagRef(STAGING, repository, "v1")) == second.digest
    assert registries.port.resolve(TagRef(STAGING, repository, "v2")) is None
    assert registries.port.resolve(TagRef(HEALTHY, repository, "v1")) is None


def test_a_digest_exists_only_where_it_was_pushed(registries: Registries, repository: str) -> None:
    pushed = registries.push(STAGING, repository, image())
    assert registries.port.exists(pushed)
    assert not registries.port.exists(dataclasses.replace(pushed, registry=HEALTHY))
    assert not registries.port.exists(dataclasses.replace(pushed, digest="sha256:" + "0" * 64))


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_an_images_facts_are_those_of_its_manifest_and_configuration(
    registries: Registries, repository: str, media_type: str
) -> None:
    content = image("x", platform="linux/arm64/v8", user="app", labels={"b": "2", "a": "1"}, media_type=media_type)
    pushed = registries.push(STAGING, repository, content, "v1")
    facts = registries.port.inspect(pushed)
    assert (facts.media_type, facts.kind, facts.manifests, facts.foreign_layers) == (media_type, "image", 1, False)
    (found,) = facts.images
    assert (found.digest, found.platform, found.user) == (pushed.digest, "linux/arm64/v8", "app")
    assert found.labels == (("a", "1"), ("b", "2"))
    assert found.size == len(content.blobs[1])


def test_an_indexs_facts_are_those_of_its_runnable_children(registries: Registries, repository: str) -> None:
    children = {
        "linux/amd64": image("amd", user="0"),
        "linux/arm64": image("arm", platform="linux/arm64"),
        "unknown/unknown": attestation(),
    }
    facts = registries.port.inspect(registries.push(STAGING, repository, index(children), "v1"))
    assert (facts.media_type, facts.kind, facts.manifests) == (OCI_INDEX, "index", 4)
    assert {each.platform: each.user for each in facts.images} == {"linux/amd64": "0", "linux/arm64": "1000"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (helm_chart(), "chart"),
        (cosign_signature(image()), "signature"),
        (attestation(), "artifact"),
        (artifact(SBOM), "artifact"),
    ],
    ids=["helm chart", "cosign signature", "attestation", "artifact"],
)
def test_what_cannot_run_is_no_candidate(registries: Registries, repository: str, content: Content, kind: str) -> None:
    facts = registries.port.inspect(registries.push(STAGING, repository, content, "v1"))
    assert (facts.kind, facts.images) == (kind, ())


def test_inspecting_an_unknown_digest_is_refused(registries: Registries, repository: str) -> None:
    with pytest.raises(PermanentError):
        registries.port.inspect(ImageRef(STAGING, repository, "sha256:" + "0" * 64))


def test_a_registry_that_is_not_in_the_settings_is_never_asked(registries: Registries, repository: str) -> None:
    elsewhere = ImageRef("elsewhere", repository, "sha256:" + "0" * 64)
    for ask in (registries.port.exists, registries.port.inspect, registries.port.lock_manifest):
        with pytest.raises(PermanentError):
            ask(elsewhere)
    with pytest.raises(PermanentError):
        registries.port.resolve(TagRef("elsewhere", repository, "v1"))


# Importing


def test_an_import_brings_exactly_these_bytes_and_no_tag(registries: Registries, repository: str) -> None:
    content = index({"linux/amd64": image("amd"), "linux/arm64": image("arm", platform="linux/arm64")})
    source = registries.push(STAGING, repository, content, "v1")
    target = source.within(HEALTHY, f"{repository}/healthy")
    operation = registries.port.start_import(source, target)
    assert registries.wait(operation) == ImportDone()
    assert registries.port.import_status(operation) == ImportDone()
    assert registries.port.inspect(target) == registries.port.inspect(source)
    assert registries.port.resolve(TagRef(HEALTHY, target.repository, "v1")) is None
    assert registries.port.resolve(TagRef(HEALTHY, target.repository, "latest")) is None


def test_importing_what_is_there_succeeds(registries: Registries, repository: str) -> None:
    source, target = promoted(registries, repository, image())
    assert registries.wait(registries.port.start_import(source, target)) == ImportDone()


def test_an_import_that_was_just_started_may_still_run(registries: Registries, repository: str) -> None:
    source = registries.push(STAGING, repository, image())
    status = registries.port.import_status(registries.port.start_import(source, source.within(HEALTHY, repository)))
    assert status in (ImportRunning(), ImportDone())


# Referrers


def test_attached_artifacts_that_match_travel_and_others_stay(registries: Registries, repository: str) -> None:
    content = image()
    source, target = promoted(registries, repository, content)
    registries.push(STAGING, repository, artifact(SBOM, b"sbom", subject=content))
    registries.push(STAGING, repository, artifact("application/vnd.private", b"secret", subject=content))
    first = registries.port.copy_referrers(source, target, ["application/spdx*"])
    again = registries.port.copy_referrers(source, target, ["application/spdx*"])
    assert (first, again) == (ReferrersCopied(1, (SBOM,)), ReferrersCopied(0, (SBOM,)))


def test_cosigns_signature_keeps_its_tag(registries: Registries, repository: str) -> None:
    content = image()
    source, target = promoted(registries, repository, content)
    signature = cosign_signature(content)
    tag = f"{content.digest.replace(':', '-')}.sig"
    registries.push(STAGING, repository, signature, tag)
    assert registries.port.copy_referrers(source, target, ["*cosign*"]) == ReferrersCopied(1, (SIGNATURE,))
    assert registries.port.copy_referrers(source, target, ["*"]) == ReferrersCopied(0, (SIGNATURE,))
    assert registries.port.resolve(TagRef(HEALTHY, repository, tag)) == signature.digest


def test_what_is_attached_to_a_child_of_an_index_travels(registries: Registries, repository: str) -> None:
    child = image("amd")
    source, target = promoted(registries, repository, index({"linux/amd64": child}))
    registries.push(STAGING, repository, artifact(SBOM, b"sbom", subject=child))
    assert registries.port.copy_referrers(source, target, ["*"]) == ReferrersCopied(1, (SBOM,))


def test_what_is_attached_to_an_attached_artifact_travels(registries: Registries, repository: str) -> None:
    content = image()
    source, target = promoted(registries, repository, content)
    sbom = artifact(SBOM, b"sbom", subject=content)
    registries.push(STAGING, repository, sbom)
    signature = artifact("application/vnd.cncf.notary.signature", b"signed", subject=sbom)
    registries.push(STAGING, repository, signature)
    assert registries.port.copy_referrers(source, target, ["*"]).copied == 2
    assert registries.port.exists(ImageRef(HEALTHY, repository, signature.digest))


def test_nothing_attached_is_nothing_copied(registries: Registries, repository: str) -> None:
    source, target = promoted(registries, repository, image())
    assert registries.port.copy_referrers(source, target, ["*"]) == ReferrersCopied(0, ())


# The promotion record


def test_a_record_attached_twice_is_one_record(registries: Registries, repository: str) -> None:
    target = registries.push(HEALTHY, repository, image())
    first = registries.port.attach_record(target, STATEMENT, ANNOTATIONS)
    again = registries.port.attach_record(target, STATEMENT, ANNOTATIONS)
    assert first == again
    assert registries.records(target) == [STATEMENT]
    assert registries.port.exists(dataclasses.replace(target, digest=first))


def test_the_record_is_neither_listed_as_a_type_nor_copied(registries: Registries, repository: str) -> None:
    source, target = promoted(registries, repository, image())
    registries.port.attach_record(target, STATEMENT, ANNOTATIONS)
    registries.port.attach_record(source, STATEMENT + b" ", ANNOTATIONS)
    assert registries.port.copy_referrers(source, target, ["*"]) == ReferrersCopied(0, ())
    assert registries.records(target) == [STATEMENT]


# Tags and locks


def test_a_new_tag_is_placed_and_placing_it_again_writes_nothing(registries: Registries, repository: str) -> None:
    target = registries.push(HEALTHY, repository, image())
    tag = TagRef(HEALTHY, repository, "v1")
    assert registries.port.place_tag(tag, target.digest, movable=False, lock=False) == TagPlaced("")
    assert registries.port.place_tag(tag, target.digest, movable=False, lock=False) == TagPlaced(target.digest)
    assert registries.port.resolve(tag) == target.digest


@pytest.mark.parametrize("lock", [False, True])
def test_an_immutable_tag_stays_and_a_movable_one_moves(registries: Registries, repository: str, lock: bool) -> None:
    first = registries.push(HEALTHY, repository, image("one"))
    second = registries.push(HEALTHY, repository, index({"linux/amd64": image("two")}))
    tag = TagRef(HEALTHY, repository, "v1")
    registries.port.place_tag(tag, first.digest, movable=True, lock=lock)
    assert registries.port.place_tag(tag, second.digest, movable=False, lock=lock) == TagTaken(first.digest)
    assert registries.port.resolve(tag) == first.digest
    assert registries.port.place_tag(tag, second.digest, movable=True, lock=lock) == TagPlaced(first.digest)
    assert registries.port.resolve(tag) == second.digest
    assert registries.port.place_tag(tag, second.digest, movable=True, lock=lock) == TagPlaced(second.digest)


def test_a_tag_cannot_name_what_is_not_there(registries: Registries, repository: str) -> None:
    registries.push(HEALTHY, repository, image())
    with pytest.raises(PermanentError):
        registries.port.place_tag(TagRef(HEALTHY, repository, "v1"), "sha256:" + "0" * 64, movable=True, lock=True)


def test_locking_a_manifest_twice_is_the_same_as_once(registries: Registries, repository: str) -> None:
    target = registries.push(HEALTHY, repository, image())
    registries.port.lock_manifest(target)
    registries.port.lock_manifest(target)
    with pytest.raises(PermanentError):
        registries.port.lock_manifest(dataclasses.replace(target, digest="sha256:" + "0" * 64))
