"""What becomes of pushed images, seen from outside: the registries, the API and the published outcomes."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from local import world
from local.image_blobs import push_blob_image, push_index
from tests.e2e.conftest import Scene


def test_an_image_that_passes_is_promoted_by_its_digest_with_its_record(scene: Scene) -> None:
    repository = scene.repository("fixed")
    image = scene.push(repository, "v1")
    promotion = scene.wait(repository, image.digest)
    assert promotion["state"] == "Promoted"
    assert promotion["verdict"]["kind"] == "passed"
    assert scene.healthy(repository, "v1") == image.digest
    [record] = scene.site.referrers(world.HEALTHY, repository, image.digest)
    assert record["artifactType"] == "application/vnd.in-toto+json"
    assert record["annotations"]["tidegate.verdict"] == "passed"
    assert [row["after"] for row in promotion["history"]][-1] == "Promoted"


def test_what_a_gate_locks_can_neither_be_overwritten_nor_deleted_and_nothing_else_is_locked(scene: Scene) -> None:
    both, tag_alone = scene.repository("fixed"), scene.repository("moving")
    images = {repository: scene.push(repository, "v1") for repository in (both, tag_alone)}
    for repository, image in images.items():
        scene.wait(repository, image.digest, "Promoted")
        assert scene.site.is_locked(world.HEALTHY, repository, "v1")
        assert scene.site.is_locked(world.HEALTHY, repository, image.digest) == (repository == both)


def test_the_record_is_an_in_toto_statement_about_the_promoted_digest(scene: Scene) -> None:
    repository = scene.repository("fixed")
    image = scene.push(repository, "v1")
    promotion = scene.wait(repository, image.digest, "Promoted")
    statement = _statement(scene, repository, promotion["record"])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["digest"]["sha256"] == image.digest.removeprefix("sha256:")
    assert statement["predicate"]["gate"]["name"] == "immutable"
    assert statement["predicate"]["test"]["log"]["digest"]["sha256"] == promotion["verdict"]["log_sha256"]


def test_an_image_that_fails_is_rejected_with_its_log(scene: Scene) -> None:
    repository = scene.repository("fixed")
    image = scene.push(repository, "v1", CODE=3)
    promotion = scene.wait(repository, image.digest)
    assert promotion["state"] == "Rejected"
    assert "exit status 3" in promotion["reason"]
    log = scene.site.api("GET", f"/promotions/{promotion['id']}/log")
    assert "verdict 3 after 0 s" in log.body.decode()
    assert scene.healthy(repository, "v1") is None
    assert scene.healthy(repository, image.digest) is None


def test_one_digest_under_five_tags_is_tested_once_and_promoted_five_times(scene: Scene) -> None:
    repository = scene.repository("moving")
    tags = [f"t{number}" for number in range(5)]
    digests = {scene.push(repository, tag).digest for tag in tags}
    [digest] = digests
    settled = scene.until(lambda: all(scene.healthy(repository, tag) == digest for tag in tags) or None, 60)
    assert settled
    promotion = scene.wait(repository, digest, "Promoted")
    starts = [row for row in promotion["history"] if row["what"] == "ImageTestStarted"]
    assert len(starts) == 1


def test_pushing_the_same_digest_again_writes_nothing(scene: Scene) -> None:
    repository = scene.repository("fixed")
    image = scene.push(repository, "v1")
    before = scene.wait(repository, image.digest, "Promoted")
    scene.push(repository, "v1")
    again = scene.until(lambda: _longer(scene, before["id"], len(before["history"])))
    assert again is not None, "the push was never noticed"
    assert again["state"] == "Promoted"
    assert {row["what"] for row in again["history"][len(before["history"]) :]} <= {"ImagePushed", "TagSettled"}
    assert len(scene.site.referrers(world.HEALTHY, repository, image.digest)) == 1


def test_a_tag_moved_during_the_test_belongs_to_the_newer_image(scene: Scene) -> None:
    repository = scene.repository("moving")
    old = scene.push(repository, "latest", SECONDS_LONG=8)
    scene.wait(repository, old.digest, "Testing")
    new = scene.push(repository, "latest")
    assert scene.wait(repository, new.digest)["state"] == "Promoted"
    assert scene.wait(repository, old.digest)["state"] == "Superseded"
    assert scene.healthy(repository, "latest") == new.digest


def test_an_immutable_tag_keeps_its_first_digest(scene: Scene) -> None:
    repository = scene.repository("fixed")
    first = scene.push(repository, "v1")
    scene.wait(repository, first.digest, "Promoted")
    second = scene.push(repository, "v1", NOTE="other")
    promotion = scene.wait(repository, second.digest)
    assert promotion["state"] == "Rejected"
    assert promotion["claims"][0]["status"] == "taken"
    assert scene.healthy(repository, "v1") == first.digest


def test_an_index_is_promoted_whole(scene: Scene) -> None:
    repository = scene.repository("fixed")
    url = scene.site.registry_url(world.STAGING)
    amd64, arm64 = scene.push(repository, None), scene.push(repository, None, ARCH="arm64")
    index = push_index(url, repository, "v1", {"linux/amd64": amd64, "linux/arm64": arm64})
    promotion = scene.wait(repository, index.digest)
    assert promotion["state"] == "Promoted"
    assert [scene.healthy(repository, each.digest) for each in (index, amd64, arm64)] == [
        index.digest,
        amd64.digest,
        arm64.digest,
    ]
    assert len(scene.site.promotions(repository)) == 1


def test_what_is_attached_to_an_image_travels_with_it(scene: Scene) -> None:
    repository = scene.repository("fixed")
    url = scene.site.registry_url(world.STAGING)
    image = scene.push(repository, None)
    push_blob_image(url, repository, None, layers=[b"an SBOM"], subject=image, artifact_type="application/spdx+json")
    _name(scene, repository, image.digest, "v1")
    scene.wait(repository, image.digest, "Promoted")
    types = {each["artifactType"] for each in scene.site.referrers(world.HEALTHY, repository, image.digest)}
    assert types == {"application/spdx+json", "application/vnd.in-toto+json"}


def test_requirements_reject_before_anything_runs(scene: Scene) -> None:
    repository = scene.repository("strict")
    image = scene.push(repository, "v1")
    promotion = scene.wait(repository, image.digest)
    assert promotion["state"] == "Rejected"
    assert "label team is missing" in promotion["reason"]
    assert "runs as root" in promotion["reason"]
    assert all(row["what"] != "ImageTestStarted" for row in promotion["history"])


def test_an_override_promotes_a_failed_image_and_says_so(scene: Scene) -> None:
    repository = scene.repository("fixed")
    image = scene.push(repository, "v1", CODE=1)
    scene.wait(repository, image.digest, "Rejected")
    wish = {"repository": repository, "tag": "v1", "reason": "a hotfix that cannot wait"}
    refused = scene.site.api("POST", "/promotions", wish)
    assert refused.status == 409
    assert "override" in refused.json()["detail"]
    accepted = scene.site.api("POST", "/promotions", {**wish, "override": True})
    assert accepted.status == 202
    assert accepted.headers["location"] == f"/api/promotions/{accepted.json()['id']}"
    promotion = scene.wait(repository, image.digest, "Promoted")
    assert promotion["verdict"]["kind"] == "overridden"
    assert promotion["override"]["why"] == "a hotfix that cannot wait"
    statement = _statement(scene, repository, promotion["record"])
    assert statement["predicate"]["override"]["why"] == "a hotfix that cannot wait"
    assert scene.healthy(repository, "v1") == image.digest


def test_outcomes_are_published_for_other_systems(scene: Scene) -> None:
    repository = scene.repository("fixed")
    good, bad = scene.push(repository, "good"), scene.push(repository, "bad", CODE=1)
    scene.wait(repository, good.digest, "Promoted")
    scene.wait(repository, bad.digest, "Rejected")
    found = scene.until(lambda: _outcomes(scene, repository, 2))
    assert found == {("Tidegate.ImagePromoted", good.digest), ("Tidegate.ImageRejected", bad.digest)}


def _longer(scene: Scene, identity: str, length: int) -> dict[str, Any] | None:
    promotion = scene.site.promotion(identity)
    return promotion if len(promotion["history"]) > length + 1 else None


def _outcomes(scene: Scene, repository: str, count: int) -> set[tuple[str, str]] | None:
    events = scene.site.cloud("GET", "/admin/events").json()
    ours = {
        (event["eventType"], event["data"]["digest"])
        for event in (each.get("event", each) for each in (events if isinstance(events, list) else events["events"]))
        if event.get("data", {}).get("repository") == repository
    }
    return ours if len(ours) >= count else None


def _name(scene: Scene, repository: str, digest: str, tag: str) -> None:
    """Give a digest that is in staging a tag."""
    url = scene.site.registry_url(world.STAGING)
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    read = urllib.request.Request(f"{url}/v2/{repository}/manifests/{digest}", headers={"Accept": accept})
    with direct.open(read) as answer:
        body, kind = answer.read(), answer.headers["Content-Type"]
    write = urllib.request.Request(
        f"{url}/v2/{repository}/manifests/{tag}", data=body, headers={"Content-Type": kind}, method="PUT"
    )
    direct.open(write).close()


def _statement(scene: Scene, repository: str, record: str) -> dict[str, Any]:
    """The statement inside a promotion record, read from the healthy registry."""
    url = scene.site.registry_url(world.HEALTHY)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    with direct.open(urllib.request.Request(f"{url}/v2/{repository}/manifests/{record}", headers=accept)) as answer:
        manifest = json.load(answer)
    with direct.open(f"{url}/v2/{repository}/blobs/{manifest['layers'][0]['digest']}") as answer:
        statement: dict[str, Any] = json.load(answer)
    return statement
