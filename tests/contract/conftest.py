"""Fixtures of the contract tests."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest

from local.authority import open_authority
from local.environment import client_environment
from local.front import Front, listening
from tests.cloud.conftest import cloud, repository, running_cloud
from tests.cloud.world import free_ports, in_thread
from tests.contract.registries import Registries, in_memory, on_the_wire
from tests.storage_fixtures import account, emulator, fresh_name
from tests.tasks.conftest import cloud_options, engine, images, registry_port, storage, tasks

__all__ = [
    "account",
    "cloud",
    "cloud_options",
    "emulator",
    "engine",
    "fresh_name",
    "images",
    "registries",
    "registry_port",
    "repository",
    "running_cloud",
    "storage",
    "tasks",
]


@pytest.fixture(params=["fake", pytest.param("wire", marks=pytest.mark.stack)])
def registries(request: pytest.FixtureRequest) -> Iterator[Registries]:
    """Staging and healthy, empty for this test as long as it uses a repository of its own."""
    if request.param == "fake":
        yield in_memory()
    else:
        yield from on_the_wire(request.getfixturevalue("cloud"))


@pytest.fixture
def log_host(storage: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Blobs of the emulated account at Azure's own host name, which is what links to logs say."""
    found = re.search(r"BlobEndpoint=http://127\.0\.0\.1:(\d+)", storage)
    assert found is not None
    (port,) = free_ports(1)
    authority = open_authority(tmp_path_factory.mktemp("ca"))
    front = Front(authority, {"*.blob.core.windows.net": int(found[1])})

    async def serve(stack: contextlib.AsyncExitStack) -> None:
        await stack.enter_async_context(listening(front, port))

    with in_thread(serve):
        for name, value in client_environment(front_port=port, cloud_port=port, bundle=authority.bundle).items():
            monkeypatch.setenv(name, value)
        yield
