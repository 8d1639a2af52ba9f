"""Fixtures of the adapter tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.scripted_azure import ScriptedAzure, scripted_azure
from tests.azurite import Azurite
from tests.storage_fixtures import account, emulator, fresh_name

__all__ = ["account", "emulator", "fresh_name"]


@pytest.fixture(scope="session")
def running_azure(emulator: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedAzure]:
    with scripted_azure(tmp_path_factory.mktemp("scripted"), emulator.blob_port) as azure:
        yield azure


@pytest.fixture
def azure(running_azure: ScriptedAzure, monkeypatch: pytest.MonkeyPatch) -> ScriptedAzure:
    """Hosts that answer as this test says, reachable by clients in this process; blobs are the emulator's."""
    for name, value in running_azure.environment.items():
        monkeypatch.setenv(name, value)
    running_azure.clear()
    return running_azure
