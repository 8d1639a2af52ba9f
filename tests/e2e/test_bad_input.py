"""Input that breaks a rule gets a clear answer, is kept where people find it, and harms nobody else."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

import pytest

from local import world
from tests.e2e.conftest import Scene

DIGEST = f"sha256:{'ab' * 32}"


def _event(**changes: Any) -> dict[str, Any]:
    """A well-formed push event, in Event Grid's schema; `target` fields and `topic` may be changed."""
    registry = changes.pop("registry", world.STAGING)
    target = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": DIGEST,
        "repository": "fixed/bad",
        "tag": "v1",
        **changes,
    }
    return {
        "id": uuid.uuid4().hex,
        "topic": world.registry_id(registry),
        "subject": "fixed/bad:v1",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": datetime.datetime.now(datetime.UTC).isoformat(),
        "data": {"id": uuid.uuid4().hex, "action": "push", "target": target},
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }


def _parked(scene: Scene, reason: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = scene.site.api("GET", "/dead-letters?limit=200").json()["items"]
    return [each for each in items if reason in each["reason"]]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(_event(repository="../../etc"), "data.target.repository", id="dots"),
        pytest.param(_event(repository="a%2fb"), "data.target.repository", id="percent"),
        pytest.param(_event(repository="a b"), "data.target.repository", id="space"),
        pytest.param(_event(repository="Upper/Case"), "data.target.repository", id="upper case"),
        pytest.param(_event(repository="a\x00b"), "data.target.repository", id="control character"),
        pytest.param(_event(repository=["a"]), "data.target.repository", id="a list"),
        pytest.param(_event(digest="sha256:short"), "data.target.digest", id="short digest"),
        pytest.param(_event(tag="-v1"), "data.target.tag", id="tag"),
        pytest.param(
            _event(registry="somebodyelses"), "registry somebodyelses is not the staging", id="unknown registry"
        ),
        pytest.param({**_event(), "data": "no JSON"}, "data: text that is not JSON", id="data is text"),
        pytest.param({**_event(), "data": None}, "data: must be an object", id="no data"),
        pytest.param({**_event(), "id": None}, "id: missing", id="no id"),
    ],
)
def test_a_malformed_event_is_answered_with_success_and_parked_with_its_reason(
    scene: Scene, event: dict[str, Any], reason: str
) -> None:
    before = len(_parked(scene, reason))
    answers = [scene.site.deliver([event]).status for _ in range(2)]
    assert answers == [202, 202]
    assert len(_parked(scene, reason)) == before + 1


def test_an_event_with_a_time_that_cannot_be_read_is_taken(scene: Scene) -> None:
    repository = scene.repository("fixed")
    image = scene.push(repository, None)
    event = _event(repository=repository, digest=image.digest)
    assert scene.site.deliver([{**event, "eventTime": "019-03-12T22:42:08Z"}]).status == 202
    assert scene.wait(repository, image.digest)["state"] == "Promoted"


def test_an_unknown_registry_is_never_contacted(scene: Scene) -> None:
    scene.site.deliver([_event(registry="somebodyelses")])
    front = (scene.site.stack.state / "logs/front.log").read_text()
    assert "somebodyelses" not in front


def test_a_large_event_is_taken(scene: Scene) -> None:
    event = _event()
    event["data"]["request"] = {"useragent": "x" * 1_000_000}
    assert scene.site.deliver([event]).status == 202
    assert scene.wait("fixed/bad", DIGEST)["state"] == "Rejected"


def test_a_digest_that_does_not_exist_is_rejected_for_that(scene: Scene) -> None:
    digest = f"sha256:{'cd' * 32}"
    assert scene.site.deliver([_event(digest=digest)]).status == 202
    promotion = scene.wait("fixed/bad", digest)
    assert promotion["state"] == "Rejected"
    assert "manifest unknown" in promotion["reason"]


def test_one_bad_event_of_a_batch_does_not_hold_up_the_good_ones(scene: Scene) -> None:
    repository = scene.repository("fixed")
    image = scene.push(repository, None)
    good = _event(repository=repository, digest=image.digest)
    assert scene.site.deliver([_event(tag="bad tag"), good, 7, "text"]).status == 202
    assert scene.wait(repository, image.digest)["state"] == "Promoted"


def test_a_dead_letter_can_be_let_in_again_and_leaves_the_list_when_it_was_taken(scene: Scene) -> None:
    scene.site.deliver([_event(digest="sha256:replayed")])
    [letter] = _parked(scene, "'sha256:replayed'")
    assert scene.site.api("GET", f"/dead-letters/{letter['id']}").json() == letter
    answer = scene.site.api("POST", f"/dead-letters/{letter['id']}/replay")
    assert answer.status == 400
    assert "data.target.digest" in answer.json()["detail"]
    assert _parked(scene, "'sha256:replayed'")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"{", "body: not JSON", id="broken JSON"),
        pytest.param(b"[1]", "body: must be a JSON object", id="a list"),
        pytest.param({"repository": "a"}, "tag, digest", id="nothing to promote"),
        pytest.param({"repository": "a", "tag": "v1"}, "reason: missing", id="no reason"),
        pytest.param({"repository": "../a", "tag": "v1", "reason": "x"}, "repository:", id="dots"),
        pytest.param({"repository": "a", "tag": "v 1", "reason": "x"}, "tag:", id="space"),
        pytest.param({"repository": "a", "digest": "latest", "reason": "x"}, "digest:", id="no digest"),
        pytest.param({"repository": "a", "tag": "v1", "reason": "x", "dry_run": "yes"}, "dry_run:", id="flag"),
        pytest.param({"repository": "a", "tag": "v1", "reason": "x", "force": True}, "force: unknown", id="unknown"),
        pytest.param({"repository": "a", "tag": "v1", "reason": "x" * 501}, "reason: longer", id="long reason"),
    ],
)
def test_a_bad_request_names_the_field_and_the_rule(scene: Scene, body: Any, field: str) -> None:
    answer = scene.site.api("POST", "/promotions", body)
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == 400
    assert field in problem["detail"]


def test_what_is_not_there_is_not_found(scene: Scene) -> None:
    for method, path, body in (
        ("GET", "/promotions/0123456789abcdef0123", None),
        ("GET", "/promotions/..%2f..%2fetc", None),
        ("POST", "/promotions", {"repository": "fixed/none", "tag": "v1", "reason": "x"}),
        ("POST", "/promotions", {"repository": "nowhere/none", "tag": "v1", "reason": "x"}),
        ("GET", "/dead-letters/none", None),
        ("POST", "/dead-letters/none/replay", None),
    ):
        assert scene.site.api(method, path, body).status == 404, (method, path)


def test_a_wrong_or_missing_key_opens_nothing(scene: Scene) -> None:
    for key in ("", "wrong"):
        assert scene.site.api("GET", "/promotions", key=key).status == 401
        assert scene.site.deliver([_event()], key=key).status == 401


def test_a_dry_run_shows_the_calls_and_makes_none(scene: Scene) -> None:
    repository = scene.repository("fixed")
    image = scene.push(repository, "v1")
    scene.wait(repository, image.digest, "Promoted")
    other = scene.push(repository, None, NOTE="dry")
    scene.site.cloud("DELETE", "/admin/calls")
    wish = {"repository": repository, "digest": other.digest, "reason": "to see", "dry_run": True}
    answer = scene.site.api("POST", "/promotions", wish)
    assert answer.status == 200
    plan = answer.json()
    assert [each["call"] for each in plan["calls"]][:2] == ["POST scheduleRun", "POST importImage"]
    assert other.digest in json.dumps(plan["calls"][1]["with"])
    calls = scene.site.cloud("GET", "/admin/calls").json()
    made = {each["method"] for each in (calls["calls"] if isinstance(calls, dict) else calls)}
    assert "PUT" not in made
    assert scene.healthy(repository, other.digest) is None
