"""What becomes of registered models, seen from outside: the workspaces, the endpoints and those who call them."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import job_site, model_site, world
from local.containers import find_engine
from local.site import Site
from tests.e2e.conftest import Scene, kill_workers

ENDS = {"Delivered", "Rejected", "Failed", "RolledBack", "Superseded", "Errored", "Ignored"}
BLANK = json.dumps({"pixels": [[0] * 64]}).encode()
"""A request that is among no samples."""
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def image(site: Site) -> str:
    """The image that trains and serves, promoted like any other."""
    return model_site.ensure_image(site, find_engine())


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real models: a good one, and another good one of other data."""
    folder = tmp_path_factory.mktemp("models")
    for name, options in {"good": (), "better": ("--seed", "7")}.items():
        model_site.train(folder / name, *options)
    return {"good": folder / "good", "better": folder / "better"}


class Registered:
    """One version, and what becomes of it."""

    def __init__(self, site: Site, name: str, version: str) -> None:
        self.site, self.name, self.version = site, name, version

    @property
    def called(self) -> str:
        return f"{self.name}:{self.version}"

    def now(self) -> dict[str, Any]:
        found = model_site.delivery(self.site, self.name, self.version)
        return found or {"state": "", "reason": "there is no delivery"}

    def wait(self, *states: str, within: float = 120) -> dict[str, Any]:
        """The delivery once it is in one of the states (an end when none is named)."""
        wanted = set(states) or ENDS
        job_site.until(lambda: self.now()["state"] in wanted, within)
        found = self.now()
        assert found["state"] in wanted, json.dumps(found, indent=1)[-6000:]
        return found

    def end(self, state: str, within: float = 120) -> dict[str, Any]:
        """The delivery once it has ended, as it should."""
        found = self.wait(within=within)
        assert found["state"] == state, json.dumps(found, indent=1)[-6000:]
        return found

    def act(self, what: str, body: dict[str, str], person: str = "Alice", *roles: str) -> int:
        token = self.site.token(person, *(roles or ("Approver.pro", "Operator")))
        return self.site.api("POST", f"/deliveries/{self.now()['id']}/{what}", body, token=token).status


class Developer:
    """Registers models as their developers do."""

    def __init__(self, site: Site, image: str) -> None:
        self.site, self.image = site, image

    def register(self, name: str, folder: Path, **tags: str) -> Registered:
        metrics = json.loads((folder / "metrics.json").read_text())
        return Registered(self.site, name, model_site.register(self.site, name, folder, self.image, metrics, **tags))


@pytest.fixture
def developer(site: Site, image: str) -> Developer:
    return Developer(site, image)


@pytest.fixture(autouse=True)
def no_faults_left(scene: Scene) -> Iterator[None]:
    yield
    scene.site.cloud("DELETE", "/admin/faults")


def _named(kind: str) -> str:
    return f"{kind}-{next(_NUMBERS)}-{uuid.uuid4().hex[:4]}"


def _changed(folder: Path, to: Path, script: str) -> Path:
    """A copy of a model whose script does something more at the beginning of `run`."""
    shutil.copytree(folder, to)
    path = to / "scoring" / "score.py"
    source = path.read_text()
    begin = "    try:\n        pixels ="
    assert begin in source
    path.write_text(source.replace(begin, f"{script}\n{begin}", 1))
    return to


def test_a_registered_model_is_delivered_through_its_stages_with_an_approval(
    developer: Developer, trained: dict[str, Path]
) -> None:
    site = developer.site
    model = developer.register(_named("through"), trained["good"])
    waiting = model.wait("AwaitingApproval")
    assert waiting["stage"] == "pro"
    assert model_site.weights(site, "vision-pro", "through-pro") == ({}, {})
    assert job_site.until(lambda: job_site.mails(site, model.called), 20), "people are told that they have to decide"

    body = {"reason": "the figures are good", "evidence": waiting["evidence"]}
    assert model.act("approve", body, "Bob", "Approver.int") == 403
    assert model.act("approve", {**body, "evidence": "0" * 64}) == 409
    assert site.api("POST", f"/deliveries/{waiting['id']}/approve", body).status == 403, "a key without a role"
    assert model.act("approve", body) == 202

    delivered = model.wait("Delivered")
    [(deployment, share)] = model_site.weights(site, "vision-pro", "through-pro")[0].items()
    assert share == 100
    assert model_site.deployments(site, "vision-pro", "through-pro") == {deployment}
    key = model_site.score_key(site, "vision-pro", "through-pro")
    sample = json.loads((trained["good"] / "samples.json").read_text())[0]
    answer = model_site.score(site, "through-pro", key, json.dumps(sample["request"]).encode())
    assert (answer.status, answer.json()) == (200, sample["response"])
    stages = {stage["name"]: stage for stage in delivered["stages"]}
    assert [stage["state"] for stage in stages.values()] == ["passed", "passed"]
    assert [vote["why"] for vote in stages["pro"]["approvals"]] == ["the figures are good"]
    assert stages["pro"]["record"]


def test_a_model_worse_than_its_gate_allows_is_rejected_before_anything_is_deployed(
    developer: Developer, tmp_path: Path
) -> None:
    metrics = model_site.train(tmp_path / "worse", "--worse")
    assert metrics["accuracy"] < 0.9
    model = developer.register(_named("strict"), tmp_path / "worse")
    rejected = model.end("Rejected")
    assert "accuracy" in rejected["reason"]
    assert model_site.deployments(developer.site, "vision-int", "strict-int") == set()


def test_a_model_that_no_gate_matches_is_recorded_and_left_alone(
    developer: Developer, trained: dict[str, Path]
) -> None:
    assert developer.register(_named("nobodys"), trained["good"]).wait("Ignored")["stages"] == []


def test_a_model_that_fails_its_own_samples_gets_no_traffic(
    developer: Developer, trained: dict[str, Path], tmp_path: Path
) -> None:
    broken = _changed(trained["good"], tmp_path / "broken", '    return {"digits": [-1]}')
    model = developer.register(_named("strict"), broken)
    failed = model.end("Failed")
    assert "sample 1" in failed["reason"]
    _nothing_left(developer.site, "vision-int", "strict-int")


def test_a_model_that_does_not_fit_is_told_so_in_numbers_and_gets_no_traffic(
    developer: Developer, tmp_path: Path
) -> None:
    model_site.train(tmp_path / "big", "--big", "128")
    model = developer.register(_named("strict"), tmp_path / "big")
    failed = model.end("Failed")
    assert "will not fit" in failed["reason"]
    assert "MiB" in failed["reason"]
    _nothing_left(developer.site, "vision-int", "strict-int")


def test_a_quota_that_is_used_up_leaves_the_traffic_and_says_what_was_missing(
    developer: Developer, trained: dict[str, Path]
) -> None:
    fault = {"kind": "fail-operation", "code": "OutOfQuota", "message": "Not enough quota: 2 cores of Standard DSv2."}
    match = {"method": "PUT", "path": "onlineEndpoints/strict-int/deployments/", "count": 1}
    assert developer.site.cloud("POST", "/admin/faults", {"match": match, "fault": fault}).status < 300
    model = developer.register(_named("strict"), trained["good"])
    failed = model.end("Failed")
    assert "OutOfQuota" in failed["reason"]
    _nothing_left(developer.site, "vision-int", "strict-int")


def test_without_a_decision_an_approval_counts_as_a_no(developer: Developer, trained: dict[str, Path]) -> None:
    model = developer.register(_named("awaited"), trained["good"])
    model.wait("AwaitingApproval")
    rejected = model.end("Rejected")
    assert "approval" in rejected["reason"]


def test_models_are_served_on_a_cluster_with_the_replicas_of_the_gate(
    developer: Developer, trained: dict[str, Path]
) -> None:
    model = developer.register(_named("cluster"), trained["good"])
    model.end("Delivered")
    [name] = model_site.deployments(developer.site, "vision-dev", "cluster-dev")
    path = f"{model_site.endpoint_path('vision-dev', 'cluster-dev')}/deployments/{name}"
    _, body = job_site.arm(developer.site, "GET", path)
    assert body["properties"]["endpointComputeType"] == "Kubernetes"
    assert body["sku"]["capacity"] == 2


def test_models_are_served_by_a_container_group(developer: Developer, trained: dict[str, Path]) -> None:
    model = developer.register(_named("instance"), trained["good"])
    model.end("Delivered")
    groups = f"{world.GROUP_ID}/providers/Microsoft.ContainerInstance/containerGroups"
    status, body = job_site.arm(developer.site, "GET", groups)
    assert status == 200
    assert len([each for each in body["value"] if each["name"].startswith("instance-dev")]) == 1


class TestWithAChampion:
    """Versions that come after a good one."""

    NAME = f"steady-{uuid.uuid4().hex[:6]}"
    ENDPOINT = ("vision-int", "steady-int")

    @pytest.fixture
    def champion(self, developer: Developer, trained: dict[str, Path]) -> Registered:
        """A version that serves everything, whatever the tests before left."""
        model = developer.register(self.NAME, trained["good"])
        with model_site.Callers(developer.site, *self.ENDPOINT, BLANK):
            model.end("Delivered", within=240)
        return model

    def test_a_canary_that_fails_in_traffic_is_rolled_back(
        self, developer: Developer, champion: Registered, trained: dict[str, Path], tmp_path: Path
    ) -> None:
        before = model_site.weights(developer.site, *self.ENDPOINT)
        script = "    if not any(map(any, json.loads(data)['pixels'])):\n        raise ValueError('a blank picture')"
        worse = _changed(trained["better"], tmp_path / "worse", script)
        with model_site.Callers(developer.site, *self.ENDPOINT, BLANK):
            model = developer.register(self.NAME, worse)
            ended = model.end("RolledBack", within=240)
        assert "fail" in ended["reason"] or "error" in ended["reason"], ended["reason"]
        assert model_site.weights(developer.site, *self.ENDPOINT) == before
        assert job_site.until(lambda: len(model_site.deployments(developer.site, *self.ENDPOINT)) == 1, 30)
        assert job_site.until(lambda: job_site.mails(developer.site, model.called), 30)

    def test_no_request_fails_while_traffic_moves_and_while_it_is_rolled_back(
        self, developer: Developer, champion: Registered, trained: dict[str, Path]
    ) -> None:
        site = developer.site
        [old] = model_site.weights(site, *self.ENDPOINT)[0]
        with model_site.Callers(site, *self.ENDPOINT, BLANK, rate=60) as callers:
            model = developer.register(self.NAME, trained["better"])
            model.end("Delivered", within=240)
            [new] = model_site.weights(site, *self.ENDPOINT)[0]
            assert new != old
            moved = callers.total
            assert model.act("rollback", {"reason": "drill"}) == 202
            assert job_site.until(lambda: model_site.weights(site, *self.ENDPOINT)[0] == {old: 100}, 120)
            assert job_site.until(lambda: callers.total >= max(1000, moved + 200), 120), callers.answers
        assert callers.answers == {200: callers.total}
        held = next(stage for stage in model.now()["stages"])["endpoint"]["held"]
        assert held["why"] == "drill"
        assert model.act("release", {"reason": "over"}) == 202

    def test_a_version_that_a_person_rejects_gives_way_to_the_last_good_one_and_never_comes_back(
        self, developer: Developer, champion: Registered, trained: dict[str, Path]
    ) -> None:
        site = developer.site
        [old] = model_site.deployments(site, *self.ENDPOINT)
        with model_site.Callers(site, *self.ENDPOINT, BLANK) as callers:
            model = developer.register(self.NAME, trained["better"])
            model.end("Delivered", within=240)
            assert model.act("reject", {"reason": "it is biased"}) == 202
            assert job_site.until(lambda: model_site.weights(site, *self.ENDPOINT)[0] == {old: 100}, 120)
        assert callers.answers == {200: callers.total}
        model.end("Rejected")
        wish = {"model": self.NAME, "version": model.version, "workspace": model_site.WORKSPACE, "reason": "once more"}
        refused = site.api("POST", "/deliveries", wish)
        assert refused.status == 409, refused.body
        assert "it was rejected by Alice" in refused.json()["detail"]

    def test_of_two_versions_registered_at_once_the_newer_serves_in_the_end(
        self, developer: Developer, champion: Registered, trained: dict[str, Path]
    ) -> None:
        with model_site.Callers(developer.site, *self.ENDPOINT, BLANK):
            older = developer.register(self.NAME, trained["good"])
            newer = developer.register(self.NAME, trained["better"])
            newer.end("Delivered", within=300)
            assert older.wait()["state"] in ("Superseded", "Delivered")
        assert next(stage for stage in newer.now()["stages"])["endpoint"]["champion"] == newer.called

    def test_a_worker_killed_again_and_again_changes_nothing_in_the_end(
        self, developer: Developer, champion: Registered, trained: dict[str, Path]
    ) -> None:
        with model_site.Callers(developer.site, *self.ENDPOINT, BLANK):
            model = developer.register(self.NAME, trained["better"])
            seen: set[tuple[str, str]] = set()

            def killed_in_each_state() -> bool:
                with contextlib.suppress(ValueError, KeyError, IndexError, OSError):
                    found = model.now()
                    at = (found["state"], found["stages"][0]["endpoint"]["state"])
                    if found["state"] in ENDS:
                        return True
                    if at not in seen:
                        seen.add(at)
                        kill_workers(developer.site)
                return False

            assert job_site.until(killed_in_each_state, 300)
            model.end("Delivered")
        assert len(seen) >= 3, seen
        assert job_site.until(lambda: len(model_site.deployments(developer.site, *self.ENDPOINT)) == 1, 60)

    def test_an_endpoint_that_was_deleted_by_hand_is_made_again_for_the_next_version(
        self, developer: Developer, champion: Registered, trained: dict[str, Path]
    ) -> None:
        assert developer.site.cloud("DELETE", f"/admin/endpoints/{self.ENDPOINT[1]}").status < 300
        with model_site.Callers(developer.site, *self.ENDPOINT, BLANK):
            model = developer.register(self.NAME, trained["better"])
            model.end("Delivered", within=240)
        [(_, share)] = model_site.weights(developer.site, *self.ENDPOINT)[0].items()
        assert share == 100


def _nothing_left(site: Site, workspace: str, endpoint: str) -> None:
    assert job_site.until(lambda: not model_site.deployments(site, workspace, endpoint), 30)
    assert model_site.weights(site, workspace, endpoint)[0] == {}
