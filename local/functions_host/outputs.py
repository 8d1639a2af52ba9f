"""Output bindings: what a function that succeeded leaves behind in queues and Event Grid topics."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from local.functions_host.executor import OutputError
from local.functions_host.messages import Binary, Binding, Function, HttpResponse, Json, Output, Succeeded, Text
from local.functions_host.queues import LeaseLost, Queue, QueueUnavailable, encode

SUPPORTED = {"http", "queue", "eventgrid"}
"""Binding types, in lower case. `http` is written by whoever answers the request."""


class Topic(Protocol):
    async def publish(self, events: list[Any]) -> None:
        """Send events in the Event Grid schema, together; raises `OutputError`."""


class Outputs:
    """Writes every output of one invocation, in the order of the bindings; the first that fails fails the invocation."""

    def __init__(
        self,
        queue: Callable[[Binding], Queue],
        topic: Callable[[Binding], Topic],
        wake: Callable[[str], None],
        *,
        base64_encoded: bool,
    ) -> None:
        """`wake` is told the name of each queue that got a message."""
        self._queue = queue
        self._topic = topic
        self._wake = wake
        self._base64 = base64_encoded

    async def write(self, function: Function, succeeded: Succeeded) -> None:
        values = dict(succeeded.outputs)
        if succeeded.returned is not None:
            values["$return"] = succeeded.returned
        for binding in function.outputs:
            value = values.get(binding.name)
            if value is not None:
                await self._write(binding, value)

    async def _write(self, binding: Binding, value: Output) -> None:
        match binding.type.lower():
            case "queue":
                await self._to_queue(binding, value)
            case "eventgrid":
                await self._topic(binding).publish(events_of(value))
            case _:  # http: the answer to the request
                pass

    async def _to_queue(self, binding: Binding, value: Output) -> None:
        queue = self._queue(binding)
        try:
            for message in messages_of(value):
                await queue.send(encode(message, base64_encoded=self._base64))
        except (QueueUnavailable, LeaseLost, UnicodeDecodeError) as error:
            raise OutputError(f"Output {binding.name}: queue {queue.name} took no message: {error}") from error
        self._wake(queue.name)


def messages_of(value: Output) -> list[str | bytes]:
    """The queue messages in an output value: a list is one message an element.

    Unverified: that a `func.QueueMessage` (which the library turns into its id and body) is stored as its body alone.
    """
    match value:
        case Text(text):
            return [text]
        case Binary(data):
            return [data]
        case Json(text):
            document = json.loads(text)
            return [_message(each) for each in document] if isinstance(document, list) else [_message(document)]
        case HttpResponse():
            raise OutputError("an HTTP response is no queue message")


def events_of(value: Output) -> list[Any]:
    """The events in an output value: one, or a list."""
    match value:
        case Text(text) | Json(text):
            return _events(text)
        case Binary(data):
            return _events(data)
        case HttpResponse():
            raise OutputError("an HTTP response is no event")


def _events(text: str | bytes) -> list[Any]:
    try:
        document = json.loads(text)
        events = document if isinstance(document, list) else [document]
        return [json.loads(each) if isinstance(each, str) else each for each in events]
    except ValueError as error:
        raise OutputError(f"what was given as an event is not JSON: {error}") from error


def _message(element: Any) -> str:
    match element:
        case str():
            return element
        case {"id": _, "body": str(body), **rest} if not rest:
            return body
        case _:
            return json.dumps(element)
