"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud.conftest import cloud, repository, running_cloud
from tests.contract.registries import Registries, in_memory, on_the_wire
from tests.storage_fixtures import account, emulator, fresh_name

__all__ = ["account", "cloud", "emulator", "fresh_name", "registries", "repository", "running_cloud"]


@pytest.fixture(params=["fake", pytest.param("wire", marks=pytest.mark.stack)])
def registries(request: pytest.FixtureRequest) -> Iterator[Registries]:
    """Staging and healthy, empty for this test as long as it uses a repository of its own."""
    if request.param == "fake":
        yield in_memory()
    else:
        yield from on_the_wire(request.getfixturevalue("cloud"))
