"""Many callers that post the same request again and again over open connections, as cheaply as this language allows.

The callers share two cores with what they call, so whatever they cost would make everything they call look alike.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Post:
    """One request to a port of this machine, and the status that it must be answered with."""

    port: int
    target: str
    """Path and query."""
    body: bytes
    status: int

    def head(self) -> bytes:
        lines = (
            f"POST {self.target} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "aeg-event-type: Notification",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
        )
        return "\r\n".join((*lines, "", "")).encode()


def per_second(post: Post, *, callers: int, seconds: float) -> float:
    """Answers a second while all callers are at work. RuntimeError: an answer had another status."""
    return asyncio.run(_per_second(post, callers, seconds))


async def _per_second(post: Post, callers: int, seconds: float) -> float:
    began = time.perf_counter()
    ends = began + seconds
    counts = await asyncio.gather(*(_call(post, ends) for _ in range(callers)))
    return sum(counts) / (time.perf_counter() - began)


async def _call(post: Post, ends: float) -> int:
    request = post.head() + post.body
    expected = f"HTTP/1.1 {post.status} ".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", post.port)
    answered = 0
    try:
        while time.perf_counter() < ends:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if not head.startswith(expected):
                said = body[:300].decode(errors="replace")
                raise RuntimeError(f"{post.target}: {head.splitlines()[0].decode()} {said}")
            answered += 1
    finally:
        writer.close()
    return answered
