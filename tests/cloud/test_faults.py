"""Faults that a test asks for, as the real management client meets them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from azure.mgmt.containerregistry import ContainerRegistryManagementClient

from local import world
from local.cloud import faults
from local.cloud.errors import ArmError
from tests.cloud.images import Pusher
from tests.cloud.test_import import Promotion
from tests.cloud.world import LocalCloud, eventually

pytestmark = pytest.mark.stack

IMPORT = {"method": "POST", "path": "/importimage$", "count": 1}


def test_a_status_fault_answers_and_does_nothing(
    cloud: LocalCloud, arm: ContainerRegistryManagementClient, staging: Pusher, healthy: Pusher
) -> None:
    digest = staging.image("v1")
    cloud.fault("status", IMPORT, status=429, retryAfter=7)
    with pytest.raises(HttpResponseError) as refusal:
        Promotion(arm, staging.repository)(digest, "v1")
    assert refusal.value.status_code == 429
    assert getattr(refusal.value.response, "headers", {})["Retry-After"] == "7"
    assert healthy.digest("v1") is None


def test_the_client_tries_again_after_the_time_it_is_told(cloud: LocalCloud, credential: TokenCredential) -> None:
    cloud.fault("status", {"method": "GET", "path": "/registries/", "count": 1}, status=429, retryAfter=1)
    with ContainerRegistryManagementClient(credential, world.SUBSCRIPTION) as patient:
        started = time.monotonic()
        assert patient.registries.get(world.RESOURCE_GROUP, world.HEALTHY).name == world.HEALTHY
    assert time.monotonic() - started >= 1
    statuses = [call["status"] for call in cloud.calls(host="management.azure.com")]
    assert statuses == [429, 200]


def test_a_lost_response_has_its_effect(
    cloud: LocalCloud, arm: ContainerRegistryManagementClient, staging: Pusher, healthy: Pusher
) -> None:
    digest = staging.image("v1")
    cloud.fault("lost-response", IMPORT)
    with pytest.raises(ServiceResponseError):
        Promotion(arm, staging.repository)(digest, "v1")
    eventually(lambda: healthy.digest("v1") == digest, "the import whose answer was lost did not happen")
    assert [call["status"] for call in cloud.calls(path="importImage")] == [0]


def test_a_lost_read_is_lost(cloud: LocalCloud, arm: ContainerRegistryManagementClient) -> None:
    cloud.fault("lost-response", {"method": "GET", "path": "/registries/", "count": 1})
    with pytest.raises(ServiceResponseError):
        arm.registries.get(world.RESOURCE_GROUP, world.HEALTHY)
    assert arm.registries.get(world.RESOURCE_GROUP, world.HEALTHY).name == world.HEALTHY


def test_a_slow_call_takes_its_time(cloud: LocalCloud, arm: ContainerRegistryManagementClient) -> None:
    arm.registries.get(world.RESOURCE_GROUP, world.HEALTHY)  # connection and token are there
    cloud.fault("slow", {"host": "management.azure.com", "count": 1}, seconds=0.4)
    started = time.monotonic()
    arm.registries.get(world.RESOURCE_GROUP, world.HEALTHY)
    assert time.monotonic() - started >= 0.4


def test_a_slow_operation_is_in_progress_before_it_has_an_effect(
    cloud: LocalCloud, arm: ContainerRegistryManagementClient, staging: Pusher, healthy: Pusher
) -> None:
    digest = staging.image("v1")
    cloud.fault("slow-operation", IMPORT, seconds=0.4)
    poller = Promotion(arm, staging.repository).start(digest, "v1")
    assert not poller.done()
    assert healthy.digest("v1") is None
    poller.result(20)
    assert healthy.digest("v1") == digest


def test_a_failed_operation_fails_in_its_poll_and_does_nothing(
    cloud: LocalCloud, arm: ContainerRegistryManagementClient, staging: Pusher, healthy: Pusher
) -> None:
    digest = staging.image("v1")
    cloud.fault("fail-operation", IMPORT, status=409)
    poller = Promotion(arm, staging.repository).start(digest, "v1")
    with pytest.raises(HttpResponseError) as failure:
        poller.result(20)
    assert failure.value.status_code == 409
    assert healthy.digest("v1") is None


def test_an_import_can_claim_a_success_that_never_was(
    cloud: LocalCloud, arm: ContainerRegistryManagementClient, staging: Pusher, healthy: Pusher
) -> None:
    digest = staging.image("v1")
    cloud.fault("import-says-success-does-nothing", IMPORT)
    promote = Promotion(arm, staging.repository)
    promote(digest, "v1")
    assert healthy.digest("v1") is None
    promote(digest, "v1")
    assert healthy.digest("v1") == digest


def test_a_fault_meets_only_the_calls_it_is_for(cloud: LocalCloud, arm: ContainerRegistryManagementClient) -> None:
    cloud.fault("status", {"method": "POST"}, status=500)
    cloud.fault("status", {"host": world.login_server(world.HEALTHY)}, status=500)
    cloud.fault("status", {"path": "/somewhere/else"}, status=500)
    assert arm.registries.get(world.RESOURCE_GROUP, world.HEALTHY).name == world.HEALTHY
    cloud.fault("status", {}, status=500)
    with pytest.raises(HttpResponseError):
        arm.registries.get(world.RESOURCE_GROUP, world.HEALTHY)
    cloud.admin("DELETE", "faults")
    assert arm.registries.get(world.RESOURCE_GROUP, world.HEALTHY).name == world.HEALTHY


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"fault": {}},
        {"fault": {"kind": "meteor"}},
        {"fault": {"kind": "slow", "seconds": "long"}},
        {"fault": {"kind": "status"}, "match": {"path": "("}},
    ],
    ids=str,
)
def test_a_fault_that_says_nothing_is_refused(body: Any) -> None:
    with pytest.raises(ArmError) as refusal:
        faults.parse(body)
    assert refusal.value.status == 400
