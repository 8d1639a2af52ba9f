"""Fixtures of the local cloud's tests: one cloud for all, its environment and no faults for each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import requests
from azure.core.credentials import TokenCredential
from azure.identity import ManagedIdentityCredential
from azure.mgmt.containerregistry import ContainerRegistryManagementClient

from local import world
from tests.azurite import Azurite, azurite
from tests.cloud.images import Pusher
from tests.cloud.ml_world import Workspace
from tests.cloud.world import LocalCloud, local_cloud


@pytest.fixture(scope="session")
def running_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path_factory.mktemp("local-cloud")) as cloud:
        yield cloud


@pytest.fixture
def cloud(running_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    """The cloud, reachable by clients in this process, with no fault left from another test and no call recorded."""
    for name, value in running_cloud.environment.items():
        monkeypatch.setenv(name, value)
    running_cloud.admin("DELETE", "faults")
    running_cloud.admin("DELETE", "calls")
    return running_cloud


@pytest.fixture(scope="session")
def ml_storage() -> Iterator[Azurite]:
    with azurite() as one:
        yield one


@pytest.fixture(scope="session")
def running_ml_cloud(ml_storage: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path_factory.mktemp("ml-cloud"), ml_storage) as cloud:
        yield cloud


@pytest.fixture
def workspace(
    running_ml_cloud: LocalCloud, ml_storage: Azurite, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A workspace whose files are kept, reachable by clients in this process."""
    for name, value in running_ml_cloud.environment.items():
        monkeypatch.setenv(name, value)
    running_ml_cloud.admin("DELETE", "faults")
    running_ml_cloud.admin("DELETE", "calls")
    with requests.Session() as session, ManagedIdentityCredential() as identity:
        yield Workspace(running_ml_cloud, ml_storage, session, identity)


@pytest.fixture
def repository() -> str:
    """A repository of this test's own."""
    return f"training/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def staging(cloud: LocalCloud, repository: str) -> Pusher:
    return Pusher(f"http://127.0.0.1:{cloud.registries[world.STAGING]}", repository)


@pytest.fixture
def healthy(cloud: LocalCloud, repository: str) -> Pusher:
    return Pusher(f"http://127.0.0.1:{cloud.registries[world.HEALTHY]}", repository)


@pytest.fixture
def credential(cloud: LocalCloud) -> Iterator[TokenCredential]:
    with ManagedIdentityCredential() as one:
        yield one


@pytest.fixture
def arm(credential: TokenCredential) -> Iterator[ContainerRegistryManagementClient]:
    with ContainerRegistryManagementClient(credential, world.SUBSCRIPTION, retry_total=0) as client:
        yield client


@pytest.fixture
def data_plane(cloud: LocalCloud) -> Iterator[requests.Session]:
    """A plain HTTP session that goes through the front by the environment."""
    with requests.Session() as session:
        yield session
