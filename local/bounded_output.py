"""Keep the beginning and the end of an output of any length, and count what was between them."""

from __future__ import annotations

import collections

HEAD_BYTES = 512 * 1024
TAIL_BYTES = 512 * 1024


class BoundedOutput:
    """Takes every byte at once and keeps at most `head + tail` of them: its writer never waits, memory is bounded."""

    def __init__(self, head: int = HEAD_BYTES, tail: int = TAIL_BYTES) -> None:
        self._head_left = head
        self._tail_limit = tail
        self._fresh = bytearray()
        self._tail: collections.deque[bytes] = collections.deque()
        self._tail_size = 0
        self.dropped = 0
        """Bytes that were counted and thrown away."""

    def feed(self, data: bytes) -> None:
        now = data[: self._head_left]
        self._fresh += now
        self._head_left -= len(now)
        rest = data[len(now) :]
        if rest:
            self._tail.append(rest)
            self._tail_size += len(rest)
            self._trim()

    def take(self) -> bytes:
        """What arrived since the last call and belongs to the head; it can be shown while the writer is at work."""
        fresh = bytes(self._fresh)
        self._fresh.clear()
        return fresh

    def finish(self) -> bytes:
        """The rest: what is left of the head, a note of how much is missing, and the tail."""
        tail = b"".join(self._tail)
        note = f"\n[... {self.dropped} bytes of output were not kept ...]\n".encode() if self.dropped else b""
        self._tail.clear()
        self._tail_size = 0
        return self.take() + note + tail

    def _trim(self) -> None:
        while self._tail_size > self._tail_limit:
            oldest = self._tail.popleft()
            excess = self._tail_size - self._tail_limit
            if len(oldest) > excess:
                self._tail.appendleft(oldest[excess:])
            gone = min(excess, len(oldest))
            self._tail_size -= gone
            self.dropped += gone
