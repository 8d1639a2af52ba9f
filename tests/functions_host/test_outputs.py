"""Output bindings."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from local.functions_host.executor import OutputError
from local.functions_host.messages import Binary, Binding, HttpResponse, Json, Output, Succeeded, Text
from local.functions_host.outputs import Outputs, events_of, messages_of
from tests.functions_host.fakes import MemoryQueue, function


class World:
    """Queues and topics by the name of the binding."""

    def __init__(self) -> None:
        self.queues: dict[str, MemoryQueue] = {}
        self.published: list[Any] = []
        self.woken: list[str] = []

    def queue(self, binding: Binding) -> MemoryQueue:
        return self.queues.setdefault(binding.name, MemoryQueue(binding.name))

    def topic(self, binding: Binding) -> World:
        return self

    async def publish(self, events: list[Any]) -> None:
        self.published += events

    def outputs(self, *, base64_encoded: bool = False) -> Outputs:
        return Outputs(self.queue, self.topic, self.woken.append, base64_encoded=base64_encoded)


def test_each_value_goes_to_its_binding_and_an_unset_output_to_none() -> None:
    world = World()
    wired = function("f", "queueTrigger", "a:queue", "b:queue", "$return:queue", "grid:eventGrid", "answer:http")
    done = Succeeded(
        Text("returned"), (("a", Text("to a")), ("grid", Json('{"id": "1"}')), ("answer", Text("to the caller")))
    )
    asyncio.run(world.outputs().write(wired, done))
    assert {name: queue.texts for name, queue in world.queues.items()} == {"a": ["to a"], "$return": ["returned"]}
    assert (world.published, world.woken) == ([{"id": "1"}], ["a", "$return"])


def test_queue_messages_are_base64_where_the_host_says_so() -> None:
    world = World()
    done = Succeeded(outputs=(("a", Text("hällo")),))
    asyncio.run(world.outputs(base64_encoded=True).write(function("f", "queueTrigger", "a:queue"), done))
    assert base64.b64decode(world.queues["a"].texts[0]).decode() == "hällo"


def test_a_queue_that_takes_no_message_is_an_output_error_and_wakes_nobody() -> None:
    world = World()
    world.queue(Binding("a", "queue", "out", {})).fault = "unavailable"
    with pytest.raises(OutputError, match="queue a took no message"):
        asyncio.run(
            world.outputs().write(function("f", "queueTrigger", "a:queue"), Succeeded(outputs=(("a", Text("x")),)))
        )
    assert world.woken == []


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        (Text("[1]"), ["[1]"]),
        (Binary(b"x"), [b"x"]),
        (Json('["a", "b"]'), ["a", "b"]),
        (Json('[{"n": 1}]'), ['{"n": 1}']),
        (Json('{"n": 1}'), ['{"n": 1}']),
        (Json('{"id": null, "body": "text"}'), ["text"]),
        (Json("[]"), []),
    ],
)
def test_a_list_is_one_queue_message_an_element(value: Output, messages: list[str | bytes]) -> None:
    assert messages_of(value) == messages


@pytest.mark.parametrize(
    ("value", "events"),
    [
        (Json('{"id": "1"}'), [{"id": "1"}]),
        (Json('[{"id": "1"}, {"id": "2"}]'), [{"id": "1"}, {"id": "2"}]),
        (Json('["{\\"id\\": \\"1\\"}"]'), [{"id": "1"}]),
        (Text('{"id": "1"}'), [{"id": "1"}]),
        (Binary(b'{"id": "1"}'), [{"id": "1"}]),
    ],
)
def test_events_are_read_from_every_form_the_library_gives(value: Output, events: list[Any]) -> None:
    assert events_of(value) == events


def test_an_event_that_is_not_json_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="not JSON"):
        events_of(Text("{"))


def test_an_http_response_is_neither_a_message_nor_an_event() -> None:
    with pytest.raises(OutputError):
        messages_of(HttpResponse(200, (), b""))
    with pytest.raises(OutputError):
        events_of(HttpResponse(200, (), b""))
