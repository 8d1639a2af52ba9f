"""Queue functions end to end: the emulator's queues, the host, the worker process."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
from collections.abc import Callable

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient

from tests.azurite import Azurite
from tests.functions_host.hosting import APPS, Hosting, hosting, until

type Queues = Callable[[str], QueueClient]


def put(queue: QueueClient, text: str) -> None:
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue()
    queue.send_message(text)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def take(queue: QueueClient, text: str) -> list[str]:
    """Messages visible now that contain the text, decoded where they are base64; they are deleted. None of no queue."""
    taken = []
    with contextlib.suppress(ResourceNotFoundError):
        for message in queue.receive_messages(visibility_timeout=1):
            found = message.content
            with contextlib.suppress(ValueError):
                found = base64.b64decode(found, validate=True).decode()
            if text in found:
                queue.delete_message(message)
                taken.append(found)
    return taken


def empty(queue: QueueClient) -> bool:
    """No message at all, visible or not."""
    return queue.get_queue_properties().approximate_message_count == 0


def test_a_message_is_handled_deleted_and_its_output_written(host: Hosting, queues: Queues) -> None:
    put(queues("jobs"), encoded("ordinary"))
    [done] = until(lambda: take(queues("done"), "ordinary"))
    assert done.startswith("ordinary 1 ")
    until(lambda: empty(queues("jobs")))


def test_a_failing_message_ends_in_the_poison_queue_and_writes_no_output(host: Hosting, queues: Queues) -> None:
    put(queues("jobs"), encoded("fail"))
    assert until(lambda: take(queues("jobs-poison"), "fail")) == ["fail"]
    assert take(queues("done"), "fail") == []
    until(lambda: empty(queues("jobs")))
    assert len(host.logged("RuntimeError: told to fail")) == 3


def test_a_message_that_is_not_base64_ends_in_the_poison_queue_as_it_was(host: Hosting, queues: Queues) -> None:
    put(queues("jobs"), "this is <not> base64")
    assert until(lambda: take(queues("jobs-poison"), "<not>")) == ["this is <not> base64"]
    until(lambda: empty(queues("jobs")))


def test_a_message_whose_worker_is_killed_is_handled_again(host: Hosting, queues: Queues) -> None:
    first = host.worker()
    put(queues("jobs"), encoded("hang-once"))
    until(lambda: host.status()["running"])
    os.kill(first, signal.SIGKILL)
    [done] = until(lambda: take(queues("done"), "hang-once"))
    assert done == f"hang-once 2 {host.worker()}"
    until(lambda: empty(queues("jobs")))


def test_a_message_of_a_host_that_is_killed_is_handled_again_when_its_lease_ends(
    storage: Azurite, queues: Queues
) -> None:
    environ = {"STORAGE": storage.connection_string, "WORK_QUEUE": "leased"}
    put(queues("leased"), encoded("hang-once"))
    with hosting(APPS / "everything", environ, ["--queue-lease", "1"]) as killed:
        until(lambda: killed.status()["running"])
        killed.process.kill()
    with hosting(APPS / "everything", environ, ["--queue-lease", "1"]):
        [done] = until(lambda: take(queues("done"), "hang-once"))
    assert done.split()[1] == "2"
    assert empty(queues("leased"))
