"""The registry adapter when the service is busy, slow, lost or lying: nothing waits, nothing is claimed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cloud.world import LocalCloud
from tests.contract.registries import HEALTHY, STAGING, OnTheWire, on_the_wire
from tests.fakes import image
from tidegate.errors import PermanentError, TransientError
from tidegate.ports import ImportDone, ImportFailed, ImportRunning, TagPlaced
from tidegate.references import ImageRef, TagRef

pytestmark = pytest.mark.stack

IMPORT = {"path": "importImage", "method": "POST"}


@pytest.fixture
def wire(cloud: LocalCloud) -> Iterator[OnTheWire]:
    yield from on_the_wire(cloud)


@pytest.fixture
def source(wire: OnTheWire, repository: str) -> ImageRef:
    return wire.push(STAGING, repository, image(), "v1")


@pytest.fixture
def target(source: ImageRef) -> ImageRef:
    return source.within(HEALTHY, source.repository)


def test_a_busy_service_says_when_to_come_back_and_is_not_waited_for(
    wire: OnTheWire, source: ImageRef, target: ImageRef
) -> None:
    wire.cloud.fault("status", IMPORT, status=429, retryAfter=3600)
    started = time.monotonic()
    with pytest.raises(TransientError) as caught:
        wire.port.start_import(source, target)
    assert caught.value.retry_after == 3600
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, PermanentError),
        (403, PermanentError),
        (404, PermanentError),
        (401, TransientError),
        (409, TransientError),
        (500, TransientError),
        (503, TransientError),
    ],
)
def test_a_refused_import_is_permanent_and_no_answer_is_transient(
    wire: OnTheWire, source: ImageRef, target: ImageRef, status: int, error: type[Exception]
) -> None:
    wire.cloud.fault("status", IMPORT, status=status)
    with pytest.raises(error):
        wire.port.start_import(source, target)


def test_a_conflict_over_content_that_is_there_already_is_an_import_that_is_done(
    wire: OnTheWire, source: ImageRef, target: ImageRef
) -> None:
    wire.push(HEALTHY, target.repository, image())
    wire.cloud.fault("status", IMPORT, status=409)
    assert wire.port.import_status(wire.port.start_import(source, target)) == ImportDone()


def test_an_import_whose_answer_was_lost_is_transient_and_went_on(
    wire: OnTheWire, source: ImageRef, target: ImageRef
) -> None:
    wire.cloud.fault("lost-response", {**IMPORT, "count": 1})
    with pytest.raises(TransientError):
        wire.port.start_import(source, target)
    assert wire.wait(wire.port.start_import(source, target)) == ImportDone()
    assert wire.port.exists(target)


def test_an_import_that_fails_says_why(wire: OnTheWire, source: ImageRef, target: ImageRef) -> None:
    wire.cloud.fault("fail-operation", IMPORT)
    status = wire.wait(wire.port.start_import(source, target))
    assert status == ImportFailed("InvalidParameters: A test asked for this failure.")


def test_an_import_that_lies_is_found_out_by_looking(wire: OnTheWire, source: ImageRef, target: ImageRef) -> None:
    wire.cloud.fault("import-says-success-does-nothing", IMPORT)
    assert wire.wait(wire.port.start_import(source, target)) == ImportDone()
    assert not wire.port.exists(target)


def test_asking_about_an_import_is_one_question_that_does_not_wait(
    wire: OnTheWire, source: ImageRef, target: ImageRef
) -> None:
    wire.cloud.fault("slow-operation", IMPORT, seconds=30)
    operation = wire.port.start_import(source, target)
    wire.cloud.admin("DELETE", "calls")
    assert wire.port.import_status(operation) == ImportRunning()
    assert len([call for call in wire.cloud.calls() if call["host"] == "management.azure.com"]) == 1


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 503])
def test_no_answer_about_an_import_is_not_its_failure(
    wire: OnTheWire, source: ImageRef, target: ImageRef, status: int
) -> None:
    operation = wire.port.start_import(source, target)
    wire.cloud.fault("status", {"method": "GET", "host": "management.azure.com"}, status=status)
    with pytest.raises(TransientError):
        wire.port.import_status(operation)


def test_a_lost_operation_is_a_failed_import(wire: OnTheWire, source: ImageRef, target: ImageRef) -> None:
    operation = wire.port.start_import(source, target)
    assert wire.port.import_status(operation.replace("registries-", "registries-0")) == ImportFailed(
        "the operation is not known any more"
    )


@pytest.mark.parametrize(
    "operation", ["https://evil.example/x", "http://management.azure.com/x", "", "/subscriptions/x"]
)
def test_the_apps_token_goes_nowhere_but_to_the_management_api(wire: OnTheWire, operation: str) -> None:
    assert isinstance(wire.port.import_status(operation), ImportFailed)
    assert [call for call in wire.cloud.calls() if call["host"] == "management.azure.com"] == []


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_registry_that_does_not_answer_is_transient(wire: OnTheWire, source: ImageRef, status: int) -> None:
    wire.cloud.fault("status", {"path": "/manifests/"}, status=status, retryAfter=7)
    with pytest.raises(TransientError) as caught:
        wire.port.exists(source)
    assert caught.value.retry_after == 7
    with pytest.raises(TransientError):
        wire.port.inspect(source)


def test_a_refused_token_is_replaced_once(wire: OnTheWire, source: ImageRef) -> None:
    assert wire.port.exists(source)
    wire.cloud.fault("status", {"path": "/manifests/", "count": 1}, status=401)
    assert wire.port.exists(source)


def test_tokens_are_asked_for_once_a_scope(wire: OnTheWire, source: ImageRef) -> None:
    for _ in range(3):
        wire.port.exists(source)
        wire.port.inspect(source)
    tokens = [call["path"] for call in wire.cloud.calls() if call["path"].startswith("/oauth2/")]
    assert sorted(tokens) == ["/oauth2/exchange", "/oauth2/token", "/oauth2/token"]  # push scope of the fixture, pull


def test_a_tag_whose_writing_was_not_answered_is_written_when_asked_again(wire: OnTheWire, source: ImageRef) -> None:
    tag = TagRef(STAGING, source.repository, "v2")
    wire.cloud.fault("status", {"path": "/manifests/v2", "method": "PUT", "count": 1}, status=500)
    with pytest.raises(TransientError):
        wire.port.place_tag(tag, source.digest, movable=False, lock=True)
    assert wire.port.place_tag(tag, source.digest, movable=False, lock=True) == TagPlaced("")
    assert wire.port.place_tag(tag, source.digest, movable=False, lock=True) == TagPlaced(source.digest)


def test_a_locked_tag_cannot_be_overwritten_by_others(wire: OnTheWire, source: ImageRef) -> None:
    wire.port.place_tag(TagRef(STAGING, source.repository, "v2"), source.digest, movable=False, lock=True)
    with pytest.raises(PermanentError):
        wire.push(STAGING, source.repository, image("other"), "v2")


def test_a_locked_manifest_cannot_be_deleted_by_others(wire: OnTheWire, source: ImageRef) -> None:
    wire.port.lock_manifest(source)
    repository = wire.at(STAGING, source.repository)
    assert repository.attributes("_manifests", source.digest)["deleteEnabled"] is False
    assert repository.attributes("_manifests", source.digest)["writeEnabled"] is False
