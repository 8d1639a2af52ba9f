"""Queue functions end to end: the emulator's queues, the host, the worker process."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Callable

from azure.storage.queue import QueueClient

from tests.azurite import Azurite
from tests.functions_host.hosting import APPS, Hosting, hosting, until

type Queues = Callable[[str], QueueClient]


def put(queue: QueueClient, text: str) -> None:
    queue.send_message(base64.b64encode(text.encode()).decode())


def take(queue: QueueClient, prefix: str = "") -> list[str]:
    """Messages visible now whose text begins so, decoded; they are deleted."""
    taken = []
    for message in queue.receive_messages(visibility_timeout=1):
        text = base64.b64decode(message.content).decode(errors="replace")
        if text.startswith(prefix):
            queue.delete_message(message)
            taken.append(text)
    return taken


def empty(queue: QueueClient) -> bool:
    """No message at all, visible or not."""
    return queue.get_queue_properties().approximate_message_count == 0


def test_a_message_is_handled_deleted_and_its_output_written(host: Hosting, queues: Queues) -> None:
    put(queues("jobs"), "ordinary")
    [done] = until(lambda: take(queues("done"), "ordinary"))
    assert done.startswith("ordinary 1 ")
    until(lambda: empty(queues("jobs")))


def test_a_failing_message_ends_in_the_poison_queue_and_writes_no_output(host: Hosting, queues: Queues) -> None:
    put(queues("jobs"), "fail")
    assert until(lambda: take(queues("jobs-poison"), "fail")) == ["fail"]
    assert take(queues("done"), "fail") == []
    until(lambda: empty(queues("jobs")))
    assert len(host.logged("RuntimeError: told to fail")) == 3


def test_a_message_that_is_not_base64_ends_in_the_poison_queue_as_it_was(host: Hosting, queues: Queues) -> None:
    queues("jobs").send_message("this is <not> base64")
    poison = queues("jobs-poison")
    [found] = until(lambda: [each for each in poison.receive_messages() if each.content == "this is <not> base64"])
    poison.delete_message(found)
    until(lambda: empty(queues("jobs")))


def test_a_message_whose_worker_is_killed_is_handled_again(host: Hosting, queues: Queues) -> None:
    first = host.worker()
    put(queues("jobs"), "hang-once")
    until(lambda: host.status()["running"])
    os.kill(first, signal.SIGKILL)
    [done] = until(lambda: take(queues("done"), "hang-once"))
    assert done == f"hang-once 2 {host.worker()}"
    until(lambda: empty(queues("jobs")))


def test_a_message_of_a_host_that_is_killed_is_handled_again_when_its_lease_ends(
    storage: Azurite, queues: Queues
) -> None:
    environ = {"STORAGE": storage.connection_string, "WORK_QUEUE": "leased"}
    put(queues("leased"), "hang-once")
    with hosting(APPS / "everything", environ, ["--queue-lease", "1"]) as killed:
        until(lambda: killed.status()["running"])
        killed.process.kill()
    with hosting(APPS / "everything", environ, ["--queue-lease", "1"]):
        [done] = until(lambda: take(queues("done"), "hang-once"))
    assert done.split()[1] == "2"
    assert empty(queues("leased"))
