"""What goes wrong around a promotion, on purpose, and that it ends well all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from local import world
from tests.e2e.conftest import Scene, kill_workers

IMPORT = rf"registries/{world.HEALTHY}/importImage"


@pytest.fixture(autouse=True)
def no_faults_left(scene: Scene) -> Iterator[None]:
    yield
    scene.site.cloud("DELETE", "/admin/faults")
    scene.site.cloud("POST", "/admin/delivery-faults", {})


def _fault(scene: Scene, match: dict[str, Any], fault: dict[str, Any]) -> None:
    assert scene.site.cloud("POST", "/admin/faults", {"match": match, "fault": fault}).status in (200, 201, 202, 204)


def _calls(scene: Scene, path: str, method: str = "POST") -> int:
    """How often Azure was asked."""
    calls = scene.site.cloud("GET", "/admin/calls").json()
    listed = calls["calls"] if isinstance(calls, dict) else calls
    return sum(each["method"] == method and path.casefold() in each["path"].casefold() for each in listed)


def test_duplicate_and_reordered_deliveries_test_and_promote_once(scene: Scene) -> None:
    repository = scene.repository("moving")
    scene.site.cloud(
        "POST", "/admin/delivery-faults", {"duplicates": 4, "hold": 3, "holdSeconds": 1, "order": "reverse"}
    )
    scene.site.cloud("DELETE", "/admin/calls")
    first, second, third = (scene.push(repository, "v1", NUMBER=number) for number in range(3))
    assert scene.wait(repository, third.digest)["state"] == "Promoted"
    for older in (first, second):
        assert scene.wait(repository, older.digest)["state"] in ("Superseded", "Promoted")
    assert scene.healthy(repository, "v1") == third.digest
    tests = [row for row in scene.wait(repository, third.digest)["history"] if row["what"] == "ImageTestStarted"]
    assert len(tests) == 1


def test_an_import_whose_answer_is_lost_is_not_copied_twice(scene: Scene) -> None:
    repository = scene.repository("fixed")
    _fault(scene, {"method": "POST", "path": IMPORT, "count": 1}, {"kind": "lost-response"})
    image = scene.push(repository, "v1")
    assert scene.wait(repository, image.digest)["state"] == "Promoted"
    assert scene.healthy(repository, "v1") == image.digest


def test_a_throttled_import_waits_as_long_as_it_is_told(scene: Scene) -> None:
    repository = scene.repository("fixed")
    _fault(scene, {"method": "POST", "path": IMPORT, "count": 3}, {"kind": "status", "status": 429, "retryAfter": "1"})
    image = scene.push(repository, "v1")
    assert scene.wait(repository, image.digest)["state"] == "Promoted"


def test_an_import_that_only_says_it_succeeded_is_done_again(scene: Scene) -> None:
    repository = scene.repository("fixed")
    _fault(scene, {"method": "POST", "path": IMPORT, "count": 1}, {"kind": "import-says-success-does-nothing"})
    image = scene.push(repository, "v1")
    promotion = scene.wait(repository, image.digest)
    assert promotion["state"] == "Promoted"
    [failed] = [row for row in promotion["history"] if row["what"] == "ImportFailed"]
    assert "the digest is not there" in failed["why"]


def test_a_registry_that_is_down_for_a_while_delays_and_loses_nothing(scene: Scene) -> None:
    repository = scene.repository("fixed")
    _fault(scene, {"host": world.login_server(world.STAGING), "count": 4}, {"kind": "status", "status": 503})
    image = scene.push(repository, "v1")
    assert scene.wait(repository, image.digest, within=90)["state"] == "Promoted"


def test_a_worker_killed_in_the_middle_of_a_promotion_changes_nothing_in_the_end(scene: Scene) -> None:
    repository = scene.repository("fixed")
    _fault(scene, {"method": "POST", "path": IMPORT, "count": 1}, {"kind": "slow-operation", "seconds": 2})
    image = scene.push(repository, "v1")
    scene.wait(repository, image.digest, "Importing")
    assert kill_workers(scene.site) >= 1
    assert scene.until(lambda: scene.site.api("GET", "/health").status == 200 or None), "no worker came back"
    assert scene.wait(repository, image.digest, within=120)["state"] == "Promoted"
    assert scene.healthy(repository, "v1") == image.digest
    assert len(scene.site.referrers(world.HEALTHY, repository, image.digest)) == 1


def test_storage_that_hangs_is_said_and_no_event_is_lost(scene: Scene) -> None:
    repository = scene.repository("fixed")
    azurite = next(each.pid for each in scene.site.stack.status() if each.part == "azurite")
    assert azurite is not None
    os.kill(azurite, signal.SIGSTOP)
    try:
        image = scene.push(repository, "v1")
        health = scene.site.api("GET", "/health")
    finally:
        os.kill(azurite, signal.SIGCONT)
    assert health.status == 503
    assert health.json()["title"] == "A service does not answer"
    assert int(health.headers["retry-after"]) >= 1
    assert scene.wait(repository, image.digest, within=120)["state"] == "Promoted"
