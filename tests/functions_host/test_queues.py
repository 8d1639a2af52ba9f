"""The queue listener's rules, on a queue in memory."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable

import pytest

from local.functions_host.executor import Call
from local.functions_host.messages import Binary, Failed, Json, Outcome, Succeeded, Text
from local.functions_host.queues import Backoff, Message, QueueListener, call, decode, encode, poison_name
from local.functions_host.settings import QueueSettings
from tests.functions_host.fakes import MemoryQueue, eventually

SETTINGS = QueueSettings(batch_size=4, new_batch_threshold=2, max_dequeue_count=3, max_polling_interval_s=0.1)


def stored(*texts: str) -> list[str]:
    return [base64.b64encode(text.encode()).decode() for text in texts]


async def ready() -> None:
    """A worker that is always there."""


def listen(
    queue: MemoryQueue,
    poison: MemoryQueue | None,
    outcome: Callable[[Call], Outcome],
    settings: QueueSettings = SETTINGS,
    until: Callable[[], bool] = lambda: True,
) -> list[Call]:
    """Run a listener until the condition holds and all that ran has ended; the calls it made."""
    calls: list[Call] = []

    async def run(started: Call) -> Outcome:
        calls.append(started)
        await asyncio.sleep(0)
        return outcome(started)

    async def scene() -> None:
        listener = QueueListener(queue, poison, run, settings, 60, lambda: 1, ready)
        task = asyncio.create_task(listener.listen())
        await eventually(lambda: queue.polls and until())
        task.cancel()
        await listener.finish()

    asyncio.run(scene())
    return calls


def test_a_message_whose_function_succeeds_is_deleted() -> None:
    queue = MemoryQueue(texts=stored("a", "b"))
    calls = listen(queue, MemoryQueue(), lambda _: Succeeded())
    assert [each.data for each in calls] == [Text("a"), Text("b")]
    assert queue.texts == []


def test_a_message_whose_function_fails_is_tried_max_dequeue_count_times_then_moved() -> None:
    queue, poison = MemoryQueue(texts=stored("a")), MemoryQueue("jobs-poison")
    calls = listen(queue, poison, lambda _: Failed("no"), until=lambda: bool(poison.messages))
    assert [each.metadata["DequeueCount"] for each in calls] == [Json("1"), Json("2"), Json("3")]
    assert (queue.texts, poison.texts) == ([], stored("a"))
    assert queue.extended == [0, 0]  # moved after its last failure, not released once more


def test_a_failed_message_waits_for_the_visibility_timeout() -> None:
    queue = MemoryQueue(texts=stored("a"))
    settings = QueueSettings(visibility_timeout_s=30, max_polling_interval_s=0.1)
    listen(queue, MemoryQueue(), lambda _: Failed("no"), settings, until=lambda: bool(queue.extended))
    assert queue.extended == [30]


def test_a_message_received_too_often_is_moved_without_running() -> None:
    queue, poison = MemoryQueue(texts=stored("a"), dequeue_count=3), MemoryQueue("jobs-poison")
    assert listen(queue, poison, lambda _: Succeeded(), until=lambda: bool(poison.messages)) == []
    assert (queue.texts, poison.texts) == ([], stored("a"))


def test_a_message_that_is_not_base64_is_moved_as_it_is_without_running() -> None:
    queue, poison = MemoryQueue(texts=["<not base64>"]), MemoryQueue("jobs-poison")
    assert listen(queue, poison, lambda _: Succeeded(), until=lambda: bool(poison.messages)) == []
    assert (queue.texts, poison.texts) == ([], ["<not base64>"])


def test_without_a_poison_queue_a_spent_message_stays_invisible() -> None:
    queue = MemoryQueue("x-poison", texts=stored("a"), dequeue_count=2)
    calls = listen(queue, None, lambda _: Failed("no"))
    assert (len(calls), queue.texts, queue.messages["m0"].visible_in) == (1, stored("a"), 60)


def test_no_more_messages_run_than_a_batch_and_the_threshold() -> None:
    queue = MemoryQueue(texts=stored(*(str(n) for n in range(20))))
    most = 0

    async def scene() -> None:
        nonlocal most
        gate = asyncio.Event()
        running = 0

        async def run(_: Call) -> Outcome:
            nonlocal most, running
            running += 1
            most = max(most, running)
            await gate.wait()
            running -= 1
            return Succeeded()

        settings = QueueSettings(batch_size=4, new_batch_threshold=4, max_polling_interval_s=0.1)
        listener = QueueListener(queue, None, run, settings, 60, lambda: 1, ready)
        task = asyncio.create_task(listener.listen())
        await asyncio.sleep(0.05)
        gate.set()
        await eventually(lambda: not queue.messages)
        task.cancel()

    asyncio.run(scene())
    assert most == 8


def test_nothing_is_received_while_there_is_no_worker() -> None:
    queue = MemoryQueue(texts=stored("a"))

    async def scene() -> None:
        worker = asyncio.Event()

        async def until_there_is_one() -> None:
            await worker.wait()

        async def run(_: Call) -> Outcome:
            return Succeeded()

        listener = QueueListener(queue, None, run, SETTINGS, 60, lambda: 1, until_there_is_one)
        task = asyncio.create_task(listener.listen())
        await asyncio.sleep(0.02)
        assert queue.polls == 0
        worker.set()
        await eventually(lambda: not queue.messages)
        task.cancel()

    asyncio.run(scene())


def test_a_lease_is_renewed_at_half_time_and_the_new_receipt_is_used() -> None:
    queue = MemoryQueue(texts=stored("a"))

    async def scene() -> None:
        async def run(_: Call) -> Outcome:
            await eventually(lambda: len(queue.extended) == 3)
            return Succeeded()

        listener = QueueListener(queue, None, run, SETTINGS, 0.02, lambda: 1, ready)
        task = asyncio.create_task(listener.listen())
        await eventually(lambda: not queue.messages)
        task.cancel()

    asyncio.run(scene())
    assert set(queue.extended) == {0.02}


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("taken", "m0 of queue jobs was taken or deleted"),
        ("unavailable", "m0 of queue jobs will come again: no answer"),
    ],
)
def test_a_message_that_cannot_be_deleted_is_logged_and_polling_goes_on(
    fault: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    queue = MemoryQueue(texts=stored("a"))

    def outcome(_: Call) -> Outcome:
        queue.fault = fault  # type: ignore[assignment]
        return Succeeded()

    polls: list[int] = []

    def recovered() -> bool:
        if queue.fault and queue.polls >= 1:
            polls.append(queue.polls)
            if len(polls) > 20:
                queue.fault = None
                return True
        return False

    listen(queue, None, outcome, until=recovered)
    assert queue.texts == stored("a")
    assert line in caplog.text


def test_an_outage_of_the_service_is_logged_once_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    queue = MemoryQueue(texts=stored("a"))
    queue.fault = "unavailable"

    def recovered() -> bool:
        if queue.polls == 3:
            queue.fault = None
        return not queue.messages

    calls = listen(queue, None, lambda _: Succeeded(), until=recovered)
    assert len(calls) == 1
    assert caplog.text.count("Queue jobs cannot be polled: no answer") == 1


def test_an_output_of_this_host_wakes_the_listener_which_then_polls_fast_again() -> None:
    async def scene() -> float:
        async def run(_: Call) -> Outcome:
            return Succeeded()

        queue = MemoryQueue()
        listener = QueueListener(queue, None, run, QueueSettings(), 60, lambda: 1, ready)
        task = asyncio.create_task(listener.listen())
        loop = asyncio.get_running_loop()
        await eventually(lambda: queue.polls == 4)  # the next delay is 0.5 s
        await queue.send(stored("a")[0])
        began = loop.time()
        listener.wake()
        await eventually(lambda: not queue.messages)
        took, polls = loop.time() - began, queue.polls
        await eventually(lambda: queue.polls == polls + 2, limit_s=0.4)
        task.cancel()
        return took

    assert asyncio.run(scene()) < 0.45


def test_polling_slows_down_from_100_ms_to_the_longest_interval_and_starts_over() -> None:
    backoff = Backoff(2, lambda: 1)
    assert [round(backoff.next(), 6) for _ in range(8)] == [0.1, 0.2, 0.3, 0.5, 0.9, 1.7, 2, 2]
    backoff.reset()
    assert backoff.next() == 0.1


@pytest.mark.parametrize(
    ("queue", "poison"),
    [("jobs", "jobs-poison"), ("jobs-poison", None), ("q" * 56, "q" * 56 + "-poison"), ("q" * 57, None)],
)
def test_a_queue_has_a_poison_queue_unless_it_is_one_or_its_name_is_too_long(queue: str, poison: str | None) -> None:
    assert poison_name(queue) == poison


@pytest.mark.parametrize(
    ("text", "base64_encoded", "data"),
    [
        ("aGk=", True, Text("hi")),
        ("aGk=", False, Text("aGk=")),
        ("", True, Text("")),
        ("/w==", True, Binary(b"\xff")),
        ("hi there", True, None),
        ("aGk", True, None),
        (" aG\nk= ", True, Text("hi")),
        ("aGk=!", True, None),
    ],
)
def test_content_is_decoded_by_the_message_encoding(text: str, base64_encoded: bool, data: object) -> None:
    assert decode(text, base64_encoded=base64_encoded) == data


@pytest.mark.parametrize("content", ["text", "ä", b"\xff"])
def test_what_is_encoded_can_be_decoded(content: str | bytes) -> None:
    decoded = decode(encode(content, base64_encoded=True), base64_encoded=True)
    assert decoded == (Text(content) if isinstance(content, str) else Binary(content))


def test_a_call_carries_what_the_service_says_of_the_message() -> None:
    made = call("jobs", Message("id", "aGk=", "receipt", 2), Text("hi"))
    assert made.reason == "New queue message detected on 'jobs'."
    assert made.metadata == {"Id": Text("id"), "PopReceipt": Text("receipt"), "DequeueCount": Json("2")}
