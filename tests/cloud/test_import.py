"""importImage, by the real management client, between two real docker-registry processes."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.containerregistry.models import ImportImageParameters, ImportSource

from local import world
from tests.cloud.images import Pusher, docker_types
from tests.cloud.world import LocalCloud

pytestmark = pytest.mark.stack

TIMEOUT = 20


class Promotion:
    """Imports from the staging registry into the healthy one, as the product would."""

    def __init__(self, arm: ContainerRegistryManagementClient, repository: str) -> None:
        self._arm = arm
        self._repository = repository

    def start(self, reference: str, tag: str | None, mode: str = "NoForce", **source: Any) -> Any:
        separator = "@" if reference.startswith("sha256:") else ":"
        origin = source or {"resource_id": world.registry_id(world.STAGING)}
        parameters = ImportImageParameters(
            source=ImportSource(source_image=f"{self._repository}{separator}{reference}", **origin),
            target_tags=[f"{self._repository}:{tag}"] if tag else [],
            untagged_target_repositories=[] if tag else [self._repository],
            mode=mode,
        )
        return self._arm.registries.begin_import_image(world.RESOURCE_GROUP, world.HEALTHY, parameters)

    def __call__(self, reference: str, tag: str | None, mode: str = "NoForce", **source: Any) -> None:
        self.start(reference, tag, mode, **source).result(TIMEOUT)


@pytest.fixture
def promote(arm: ContainerRegistryManagementClient, repository: str) -> Promotion:
    return Promotion(arm, repository)


def test_a_registry_is_found_whatever_the_case_of_its_id(arm: ContainerRegistryManagementClient) -> None:
    registry = arm.registries.get(world.RESOURCE_GROUP.upper(), world.HEALTHY.upper())
    assert (registry.login_server, registry.provisioning_state) == (world.login_server(world.HEALTHY), "Succeeded")
    assert {one.name for one in arm.registries.list()} == {world.STAGING, world.HEALTHY}


def test_a_registry_has_only_members_that_the_clients_model_knows(arm: ContainerRegistryManagementClient) -> None:
    registry = arm.registries.get(world.RESOURCE_GROUP, world.HEALTHY)
    for model in (registry, registry.properties, registry.sku):
        assert model is not None
        known = {field._rest_name for field in model._attr_to_rest_field.values()}
        assert set(dict(model)) <= known


def test_an_unknown_registry_is_not_found(arm: ContainerRegistryManagementClient) -> None:
    with pytest.raises(ResourceNotFoundError):
        arm.registries.get(world.RESOURCE_GROUP, "nowhere")


@pytest.mark.parametrize("by", ["digest", "tag"])
def test_an_imported_image_has_the_bytes_of_its_source(
    promote: Promotion, staging: Pusher, healthy: Pusher, by: str
) -> None:
    digest = staging.image("v1", os.urandom(300_000), b"layer")
    promote(digest if by == "digest" else "v1", "v1")
    assert healthy.digest("v1") == digest
    assert healthy.content("v1") == staging.content("v1")


def test_a_source_can_be_named_by_its_login_server(promote: Promotion, staging: Pusher, healthy: Pusher) -> None:
    digest = staging.image("v1")
    promote(digest, "v1", registry_uri=world.login_server(world.STAGING))
    assert healthy.digest("v1") == digest


def test_a_source_id_is_compared_without_case(promote: Promotion, staging: Pusher, healthy: Pusher) -> None:
    digest = staging.image("v1")
    promote(digest, "v1", resource_id=world.registry_id(world.STAGING).upper())
    assert healthy.digest("v1") == digest


def test_an_import_without_a_tag_is_reached_by_digest_only(
    promote: Promotion, staging: Pusher, healthy: Pusher
) -> None:
    digest = staging.image("v1")
    promote(digest, None)
    assert healthy.digest(digest) == digest
    assert healthy.digest("v1") is None


def test_an_index_arrives_with_all_its_children(promote: Promotion, staging: Pusher, healthy: Pusher) -> None:
    children = [staging.image(None, os.urandom(1000), architecture=name) for name in ("amd64", "arm64")]
    nested = staging.index(None, [staging.image(None, architecture="riscv64")])
    index = staging.index("v1", [*children, nested])
    promote(index, "v1")
    assert healthy.digest("v1") == index
    assert [healthy.digest(child) for child in (*children, nested)] == [*children, nested]


def test_docker_media_types_keep_their_digest(promote: Promotion, staging: Pusher, healthy: Pusher) -> None:
    digest = staging.manifest("v1", docker_types(staging.document(b"{}", [b"layer"])))
    promote(digest, "v1")
    assert healthy.digest("v1") == digest


def test_an_image_of_51_manifests_is_refused_and_one_of_50_is_not(
    promote: Promotion, staging: Pusher, healthy: Pusher
) -> None:
    document = staging.document(b"{}")
    children = [staging.manifest(None, {**document, "annotations": {"n": str(n)}}) for n in range(50)]
    fifty, fifty_one = staging.index("fifty", children[:49]), staging.index("fifty-one", children)
    with pytest.raises(HttpResponseError, match="more than 50 manifests"):
        promote(fifty_one, "fifty-one")
    assert healthy.digest("fifty-one") is None
    promote(fifty, "fifty")
    assert healthy.digest("fifty") == fifty


def test_no_force_refuses_an_existing_tag_at_once(promote: Promotion, staging: Pusher, healthy: Pusher) -> None:
    first, second = staging.image("v1", b"first"), staging.image("v2", b"second")
    promote(first, "v1")
    with pytest.raises(ResourceExistsError) as refusal:
        promote.start(second, "v1")
    assert refusal.value.error is not None
    assert (refusal.value.status_code, refusal.value.error.code) == (409, "Conflict")
    assert healthy.digest(second) is None


def test_force_moves_an_existing_tag(promote: Promotion, staging: Pusher, healthy: Pusher) -> None:
    promote(staging.image("v1", b"first"), "v1")
    second = staging.image("v2", b"second")
    promote(second, "v1", mode="Force")
    assert healthy.digest("v1") == second


def test_importing_the_same_image_again_writes_nothing(
    cloud: LocalCloud, promote: Promotion, staging: Pusher, healthy: Pusher
) -> None:
    digest = staging.image("v1", os.urandom(1000))
    promote(digest, "v1", mode="Force")
    before = _pushes(cloud)
    promote(digest, "v1", mode="Force")
    promote(digest, None)
    assert _pushes(cloud) == before
    assert healthy.digest("v1") == digest


def test_a_missing_source_fails_the_operation(promote: Promotion, staging: Pusher) -> None:
    staging.image("v1")
    poller = promote.start("v2", "v2")
    with pytest.raises(HttpResponseError, match="was not found") as refusal:
        poller.result(TIMEOUT)
    assert refusal.value.status_code == 400


def test_a_request_without_a_target_is_refused(arm: ContainerRegistryManagementClient) -> None:
    source = ImportSource(source_image="a:v1", resource_id=world.registry_id(world.STAGING))
    with pytest.raises(HttpResponseError, match="TargetTags"):
        arm.registries.begin_import_image(world.RESOURCE_GROUP, world.HEALTHY, ImportImageParameters(source=source))


@pytest.mark.parametrize("image", ["UPPER:v1", "a b:v1", "../x:v1", f"{world.login_server(world.STAGING)}/a:v1:v2", ""])
def test_a_source_that_is_no_image_is_refused(arm: ContainerRegistryManagementClient, image: str) -> None:
    source = ImportSource(source_image=image, resource_id=world.registry_id(world.STAGING))
    parameters = ImportImageParameters(source=source, target_tags=["a:v1"])
    with pytest.raises(HttpResponseError, match="sourceImage"):
        arm.registries.begin_import_image(world.RESOURCE_GROUP, world.HEALTHY, parameters)


def test_an_operation_outlives_the_client_that_started_it(
    arm: ContainerRegistryManagementClient, promote: Promotion, staging: Pusher, healthy: Pusher, cloud: LocalCloud
) -> None:
    digest = staging.image("v1")
    cloud.fault("slow-operation", {"path": "importImage", "count": 1}, seconds=0.3)
    poller = promote.start(digest, "v1")
    assert not poller.done()
    token = poller.continuation_token()
    parameters = ImportImageParameters(source=ImportSource(source_image="ignored:v1"))
    resumed = arm.registries.begin_import_image(
        world.RESOURCE_GROUP, world.HEALTHY, parameters, continuation_token=token
    )
    resumed.result(TIMEOUT)
    assert healthy.digest("v1") == digest


def test_a_referrer_is_imported_by_its_digest_and_then_listed(
    promote: Promotion, staging: Pusher, healthy: Pusher, cloud: LocalCloud
) -> None:
    digest = staging.image("v1")
    subject = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1}
    signature = staging.manifest(
        None, staging.document(b"{}", artifactType="application/vnd.test.signature", subject=subject)
    )
    promote(digest, "v1")
    promote(signature, None)
    assert json.loads(healthy.content(signature))["subject"]["digest"] == digest


def _pushes(cloud: LocalCloud) -> int:
    """Push notifications of docker-registry so far: every write of a manifest makes one."""
    return len(cloud.calls(path=f"/notifications/{world.HEALTHY}"))
