"""An app that answers as it is told, on loopback."""

from __future__ import annotations

import dataclasses
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any, override

import pytest

from tidegate.cli.commands import main


@dataclasses.dataclass
class App:
    """What was asked, and what is answered: the last answer of a path is given again and again."""

    url: str = ""
    answers: dict[tuple[str, str], list[tuple[int, Any]]] = dataclasses.field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], Any]] = dataclasses.field(default_factory=list)

    def answer(self, method: str, path: str, body: Any, status: int = 200) -> None:
        self.answers.setdefault((method, path), []).append((status, body))

    def next(self, method: str, path: str) -> tuple[int, Any]:
        waiting = self.answers.get((method, path))
        if not waiting:
            return 404, {"title": "Not found", "detail": "there is no such thing"}
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[App]:
    app = App()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        @override
        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            app.asked.append((self.command, self.path, dict(self.headers), json.loads(data) if data else None))
            status, body = app.next(self.command, self.path.partition("?")[0])
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{app.url}/login")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    app.url = f"http://127.0.0.1:{server.server_address[1]}"
    for name in ("TIDEGATE_URL", "TIDEGATE_KEY", "TIDEGATE_TOKEN", "TIDEGATE_AUDIENCE", "TIDEGATE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TIDEGATE_URL", app.url)
    yield app
    server.shutdown()
    thread.join()
    server.server_close()


@dataclasses.dataclass
class Terminal:
    """Runs commands, and shows what was printed."""

    capture: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def run(self, *arguments: str) -> int:
        status = main(arguments)
        captured = self.capture.readouterr()
        self.out, self.err = captured.out, captured.err
        return status


@pytest.fixture
def terminal(app: App, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)
