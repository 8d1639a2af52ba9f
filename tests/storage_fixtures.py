"""Real services for the tests of adapters: the storage emulator, once a folder, and a fresh name for every test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.azurite import Azurite, azurite
from tidegate.adapters.storage.storage_account import StorageAccount

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Azurite]:
    with azurite() as running:
        yield running


@pytest.fixture(scope="session")
def account(emulator: Azurite) -> StorageAccount:
    return StorageAccount(emulator.connection_string, {}, None)


@pytest.fixture
def fresh_name() -> Callable[[str], str]:
    """A name nobody used in this run: letters and digits, valid for tables, queues and containers."""
    return lambda stem: f"{stem}{next(_NUMBERS)}"
