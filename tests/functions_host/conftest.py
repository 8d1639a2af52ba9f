"""One storage emulator and one host with the whole fixture app for all tests of this area."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from azure.storage.queue import QueueClient, QueueServiceClient

from tests.azurite import Azurite, azurite
from tests.functions_host.hosting import APPS, Hosting, hosting

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    with azurite() as running:
        yield running


@pytest.fixture(scope="session")
def queues(storage: Azurite) -> Iterator[Callable[[str], QueueClient]]:
    """The queue of a name; it need not exist."""
    with QueueServiceClient.from_connection_string(storage.connection_string) as service:
        yield service.get_queue_client


@pytest.fixture(scope="session")
def host(storage: Azurite) -> Iterator[Hosting]:
    """A host of apps/everything; tests may kill its worker, never the host."""
    environ = {"STORAGE": storage.connection_string, "WORK_QUEUE": "jobs"}
    with hosting(APPS / "everything", environ, ["--queue-lease", "2"]) as running:
        yield running
