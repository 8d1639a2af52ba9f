"""Frames on the socket between host and worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.functions_host.frames import FrameReader, pack
from local.functions_host.messages import Completed, Failed, HttpRequest, Invocation, Json, Logged, Succeeded, Text


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 30), min_size=1))
def test_messages_arrive_whole_and_in_order_whatever_the_pieces(messages: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(pack(each) for each in messages)
    reader = FrameReader()
    received: list[bytes] = []
    turn = 0
    while stream:
        size = sizes[turn % len(sizes)]
        received += reader.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert received == messages


@pytest.mark.parametrize(
    "message",
    [
        Invocation("i", "f", "req", HttpRequest("GET", "u", {"a": "b"}, {}, {}, b"x"), {"Id": Text("1")}, attempt=2),
        Completed("i", Succeeded(Json("1"), (("out", Text("x")),))),
        Completed("i", Failed("message", "traceback")),
        Logged(None, 20, "app", "message", None),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_arrives_as_it_was(message: object) -> None:
    assert list(FrameReader().feed(pack(message))) == [message]
