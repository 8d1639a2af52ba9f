"""The callers that load a server: they count answers, and refuse to count others."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import override

import pytest

from benchmarks.callers import Post, per_second


class _Server(http.server.ThreadingHTTPServer):
    """Answers every request in the same way and keeps what it got."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.body = body
        self.got: list[bytes] = []
        self.connections = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    @override
    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def _serving(status: int, body: bytes) -> Iterator[_Server]:
    with _Server(status, body) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


@pytest.mark.parametrize("body", [b"", b"hello"], ids=["no body", "a body"])
def test_every_answer_is_counted_over_one_connection_a_caller(body: bytes) -> None:
    with _serving(202, body) as server:
        rate = per_second(Post(server.server_port, "/x", b"body", 202), callers=3, seconds=0.2)
    assert server.connections == 3
    assert set(server.got) == {b"body"}
    assert 0 < rate <= len(server.got) / 0.2


def test_an_answer_with_another_status_is_no_figure() -> None:
    with (
        _serving(500, b"bad") as server,
        pytest.raises(RuntimeError, match=r"/x: HTTP/1\.1 500 Internal Server Error bad"),
    ):
        per_second(Post(server.server_port, "/x", b"body", 202), callers=1, seconds=0.2)
