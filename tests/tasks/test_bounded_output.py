"""Output of any length: both ends are kept, the rest is counted, nothing is lost without a note."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from local.bounded_output import BoundedOutput

chunks = st.lists(st.binary(max_size=40))


@given(chunks, st.integers(0, 20), st.integers(0, 20), st.integers(0, 5))
def test_both_ends_are_kept_and_the_rest_is_counted(data: list[bytes], head: int, tail: int, takes: int) -> None:
    output, shown = BoundedOutput(head, tail), b""
    for number, chunk in enumerate(data):
        output.feed(chunk)
        if takes and number % takes == 0:
            shown += output.take()
    everything, text = b"".join(data), shown + output.finish()
    if len(everything) <= head + tail:
        assert text == everything
    else:
        missing = len(everything) - head - tail
        note = f"\n[... {missing} bytes of output were not kept ...]\n".encode()
        assert text == everything[:head] + note + everything[len(everything) - tail :]


@given(chunks)
def test_what_is_shown_early_is_the_beginning(data: list[bytes]) -> None:
    output = BoundedOutput(head=30, tail=10)
    for chunk in data:
        output.feed(chunk)
    assert output.take() == b"".join(data)[:30]


def test_the_note_says_how_many_bytes() -> None:
    output = BoundedOutput(head=1, tail=1)
    output.feed(b"x" * 1000)
    assert re.search(rb"\b998 bytes\b", output.finish())
