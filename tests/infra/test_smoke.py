"""The smoke test against an Azure that answers like a sound environment, and like one with a fault."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any, override

import pytest
from azure.core.exceptions import HttpResponseError

from infra.tests import smoke
from tests.infra.conftest import data

NAMES = {
    "AZURE_RESOURCE_GROUP": "g",
    "STAGING_REGISTRY": "staging",
    "HEALTHY_REGISTRY": "healthy",
    "EVENTS_APP_NAME": "events",
    "API_APP_NAME": "api",
    "STATE_ACCOUNT": "state",
}
LOCK = "/g/providers/Microsoft.ContainerRegistry/registries/healthy/providers/Microsoft.Authorization/locks/l"
SOUND: dict[str, Any] = {
    "registries/": {"properties": {"adminUserEnabled": False, "anonymousPullEnabled": False}},
    "locks": {"value": [{"id": LOCK}]},
    "systemTopics": {"value": [{"name": "evgt-staging-registry"}, {"name": "evgt-vision"}]},
    "storageAccounts/state": {"properties": {"allowSharedKeyAccess": False}},
}


def sound(path: str) -> Any:
    """An environment as the template makes it."""
    match path.rpartition("/")[2]:
        case "functions":
            mine = data("functions")[path.split("/")[-2]]
            every = data("functions")["events"] + data("functions")["api"]
            return {
                "value": [{"name": f"app/{each}", "properties": {"isDisabled": each not in mine}} for each in every]
            }
        case "eventSubscriptions":
            names = [each["name"] for each in data("events")["subscriptions"]]
            return {"value": [{"name": each, "properties": {"provisioningState": "Succeeded"}} for each in names]}
        case "queues" | "tables" | "containers" as kind:
            return {"value": [{"name": each} for each in data("state")[kind]]}
        case _:
            return next(value for part, value in SOUND.items() if part in path)


@dataclasses.dataclass(frozen=True)
class Fake(smoke.Azure):
    """The sound environment, with another answer for one path, and with what the registries hold."""

    part: str = "no such path"
    value: Any = None
    staging: str = "sha256:1"
    healthy: str = "sha256:1"

    @override
    def get(self, path: str, version: str) -> Any:
        if isinstance(self.value, Exception) and self.part in path:
            raise self.value
        return self.value if self.part in path else sound(path)

    @override
    def import_image(self, source: str, registry: str, image: str) -> None:
        assert (source, registry) == (smoke.SOURCE, "staging")

    @override
    def digest(self, registry: str, repository: str, tag: str) -> str:
        return self.healthy if registry == "healthy" else self.staging


type Check = Callable[[dict[str, str], smoke.Azure], Iterator[smoke.Check]]


@pytest.mark.parametrize(
    "check", [smoke.registries, smoke.functions, smoke.subscriptions, smoke.storage, smoke.promotion]
)
def test_a_sound_environment_passes(check: Check) -> None:
    found = list(check(NAMES, Fake()))

    assert found
    assert [each for each in found if each.fault] == []


NOTHING: dict[str, Any] = {"value": []}


@pytest.mark.parametrize(
    ("check", "azure", "fault"),
    [
        (
            smoke.registries,
            Fake("registries/staging", {"properties": {"adminUserEnabled": True, "anonymousPullEnabled": False}}),
            "adminUserEnabled",
        ),
        (smoke.registries, Fake("locks", NOTHING), "no lock"),
        (smoke.functions, Fake("/functions", NOTHING), "image_pushed"),
        (smoke.subscriptions, Fake("/eventSubscriptions", NOTHING), "missing"),
        (smoke.subscriptions, Fake("/systemTopics", NOTHING), "missing"),
        (smoke.storage, Fake("queueServices", NOTHING), "tidegate-work"),
        (smoke.promotion, Fake(healthy="sha256:2"), "sha256:2 is not sha256:1"),
    ],
)
def test_a_fault_is_named(check: Check, azure: smoke.Azure, fault: str) -> None:
    assert any(fault in each.fault for each in check(NAMES, azure))


def test_a_key_that_opens_the_account_is_a_fault() -> None:
    class Keyed(Fake):
        @override
        def get(self, path: str, version: str) -> Any:
            return {"properties": {}} if path.endswith("storageAccounts/state") else sound(path)

    assert [each.fault for each in smoke.storage(NAMES, Keyed()) if each.fault] == ["allowSharedKeyAccess"]


def test_an_image_that_never_arrives_is_a_fault_within_its_time() -> None:
    (found,) = smoke.promotion(NAMES, Fake(healthy=""), limit=0.01, pause=0.001)
    assert "nothing arrived" in found.fault


@contextlib.contextmanager
def answering(status: int) -> Iterator[str]:
    """An app on this machine that gives one answer to everything."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("check", "status", "is_sound"),
    [
        (smoke.buttons, 400, True),
        (smoke.buttons, 401, False),
        (smoke.buttons, 404, False),
        (smoke.sign_in, 401, True),
        (smoke.sign_in, 200, False),
    ],
)
def test_what_the_app_answers_without_sign_in_decides(check: Check, status: int, is_sound: bool) -> None:
    with answering(status) as address:
        found = list(check({**NAMES, "API_URL": address}, Fake()))
    assert found
    assert all(bool(each.fault) is not is_sound for each in found)


def test_a_check_that_is_refused_is_a_fault_and_the_others_are_made() -> None:
    names = {**NAMES, "API_URL": "http://127.0.0.1:9"}
    refused = HttpResponseError("The client does not have authorization")

    found = list(smoke.run(names, Fake("registries/staging", refused)))

    assert {each.name for each in found if each.fault} >= {"registries", "sign_in"}
    assert any("was promoted" in each.name for each in found)
