"""Fake and storage queue keep the same promises of the WorkQueue port, and speak as the Functions host expects."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from azure.storage.queue import QueueClient

from tests.fakes import FakeClock, FakeQueue
from tidegate.adapters.storage.storage_account import StorageAccount
from tidegate.adapters.storage.storage_queue import MAX_DELAY, StorageQueue
from tidegate.errors import PermanentError
from tidegate.ports import WorkQueue


@pytest.fixture(params=["fake", pytest.param("queue", marks=pytest.mark.stack)])
def queue(request: pytest.FixtureRequest, fresh_name: Callable[[str], str]) -> Iterator[WorkQueue]:
    if request.param == "fake":
        yield FakeQueue(FakeClock())
        return
    with contextlib.closing(request.getfixturevalue("account").queues()) as service:
        yield StorageQueue(service, fresh_name("contract"))


def test_a_message_of_48_kib_is_taken_and_a_longer_one_refused(queue: WorkQueue) -> None:
    queue.send("ü" * 24 * 1024, 0)
    with pytest.raises(PermanentError):
        queue.send("x" * (48 * 1024 + 1), 0)


@pytest.fixture
def sent(account: StorageAccount, fresh_name: Callable[[str], str]) -> Iterator[tuple[StorageQueue, QueueClient]]:
    """The adapter, and the raw queue as the host reads it."""
    name = fresh_name("raw")
    with contextlib.closing(account.queues()) as service:
        yield StorageQueue(service, name), service.get_queue_client(name)


@pytest.mark.stack
def test_a_message_is_base64_lives_for_ever_and_is_visible_at_once(sent: tuple[StorageQueue, QueueClient]) -> None:
    adapter, raw = sent
    adapter.send('{"key": "ü"}', 0)
    (message,) = raw.receive_messages(max_messages=10)
    assert message.content == "eyJrZXkiOiAiw7wifQ=="
    assert message.expires_on is not None
    assert message.expires_on.year > 2100


@pytest.mark.stack
@pytest.mark.parametrize("delay", [0.5, 30, MAX_DELAY, MAX_DELAY + 1, 10.0**9])
def test_a_delayed_message_is_not_visible_yet(sent: tuple[StorageQueue, QueueClient], delay: float) -> None:
    adapter, raw = sent
    adapter.send("later", delay)
    assert list(raw.receive_messages()) == []
    assert raw.get_queue_properties().approximate_message_count == 1


@pytest.mark.stack
def test_less_than_half_a_second_is_no_delay(sent: tuple[StorageQueue, QueueClient]) -> None:
    adapter, raw = sent
    adapter.send("soon", 0.49)
    assert len(list(raw.receive_messages(max_messages=10))) == 1


@pytest.mark.stack
def test_a_message_sent_twice_is_there_twice(sent: tuple[StorageQueue, QueueClient]) -> None:
    adapter, raw = sent
    adapter.send("again", -1)
    adapter.send("again", 0)
    assert len(list(raw.receive_messages(max_messages=10))) == 2
