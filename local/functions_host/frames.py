"""Length-prefixed frames on a stream socket, one message each.

The frames are pickles: both ends are this program, of one version, with the same rights, as in `multiprocessing`.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from typing import Any

_LENGTH = struct.Struct(">I")


def pack(message: object) -> bytes:
    """One frame: four bytes of length, then the pickle."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts what arrives into messages, whatever the pieces it arrives in."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield each message that is complete now; the rest waits for the next piece."""
        self._pending += data
        start = 0
        while len(self._pending) - start >= _LENGTH.size:
            body = start + _LENGTH.size
            end = body + _LENGTH.unpack_from(self._pending, start)[0]
            if end > len(self._pending):
                break
            start = end
            yield pickle.loads(self._pending[body:end])  # noqa: S301 - written by `pack` in our own child or parent
        del self._pending[:start]
