"""A scoring script on this machine, behind the real inference server, on loopback only; reloaded in a moment."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from scoring.warm_parent import Server, ServiceError, WarmParent

__all__ = ["LocalService", "ServiceError"]

_ROOT = Path(__file__).parents[1]
_BACKLOG = 2048
"""Connections that wait: gunicorn's own number."""


class LocalService:
    """`with LocalService(script, model) as service:` or `start()` and `stop()`.

    This process holds the socket; the inference server that answers on it is another at each reload.
    """

    def __init__(
        self, script: Path, model: Path, *, port: int = 0, warm: str = "litert", start_timeout: float = 120.0
    ) -> None:
        """`port` 0: a free one, known once it is started.

        `warm`: what a process imports once and keeps for all reloads: `tensorflow`, `litert`, names of modules, separated by
        commas; empty: nothing, which saves that memory.
        """
        self.port = port
        self._script, self._model, self._warm, self._timeout = script.resolve(), model.resolve(), warm, start_timeout
        self._held = contextlib.ExitStack()
        self._listener: socket.socket | None = None
        self._folder = Path()
        self._parent: WarmParent | None = None
        self._server: Server | None = None

    @property
    def scoring_uri(self) -> str:
        """Where images are posted."""
        return f"http://127.0.0.1:{self.port}/score"

    @property
    def worker(self) -> int:
        """Process id of the worker that answers."""
        worker = self._server.worker if self._server is not None else None
        if worker is None:
            raise ServiceError("nothing is started")
        return worker

    def start(self) -> None:
        """Returns when `init` has returned and the server answers; raises ServiceError with its log otherwise."""
        self.stop()
        with contextlib.ExitStack() as held:
            held.callback(setattr, self, "_listener", None)
            self._folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="scoring-")))
            self._listener = held.enter_context(socket.create_server(("127.0.0.1", self.port), backlog=_BACKLOG))
            self.port = self._listener.getsockname()[1]
            held.callback(self._close_parent)
            self._server = self._warm_parent().server(self._timeout)
            held.callback(self._retire_server)
            self._held = held.pop_all()

    def reload(self, timeout: float | None = None) -> float:
        """Take score.py and the model as they are now; returns the seconds that it took, at most `timeout` or `start_timeout`.

        The server that answers goes on until the new one is ready; no request is refused or lost. Raises ServiceError when the
        new `init` fails: then the old one stays.
        """
        began = time.monotonic()
        if self._listener is None:
            self.start()
            return time.monotonic() - began
        server = self._warm_parent().server(timeout or self._timeout)
        self._retire_server()
        self._server = server
        return time.monotonic() - began

    def stop(self) -> None:
        """Idempotent."""
        self._held.close()

    def score(self, image: bytes, timeout: float = 60.0) -> bytes:
        """The answer to one image."""
        request = urllib.request.Request(
            self.scoring_uri, data=image, headers={"Content-Type": "application/octet-stream"}
        )
        with _opener().open(request, timeout=timeout) as answer:
            content: bytes = answer.read()
            return content

    def __enter__(self) -> Self:
        if self._listener is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _warm_parent(self) -> WarmParent:
        """The one that lives; another where that was ended, by the kernel for its memory or by whoever."""
        if self._listener is None:
            raise ServiceError("nothing is started")
        if self._parent is None or not self._parent.is_alive:
            self._close_parent()
            self._parent = WarmParent(self._listener, self._folder, self._environment())
        return self._parent

    def _close_parent(self) -> None:
        parent, self._parent = self._parent, None
        if parent is not None:
            parent.close()

    def _retire_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.retire()

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "AML_APP_ROOT": str(self._script.parent),
            "AZUREML_ENTRY_SCRIPT": self._script.name,
            "AZUREML_MODEL_DIR": str(self._model),
            "AML_APP_INSIGHTS_ENABLED": "false",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")])),
            "SCORING_WARM": self._warm,
        }


def _opener() -> urllib.request.OpenerDirector:
    """Plain HTTP without a proxy; the usual opener reads all certificates of the machine first, which takes 40 ms."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
    ):
        opener.add_handler(handler())
    return opener
