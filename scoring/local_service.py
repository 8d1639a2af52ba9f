"""A scoring script on this machine, behind the real inference server, on loopback only; reloaded in a moment."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

_ROOT = Path(__file__).parents[1]


class ServiceError(RuntimeError):
    """The service does not run; the message ends with what it said last."""


class LocalService:
    """`with LocalService(script, model) as service:` or `start()` and `stop()`."""

    def __init__(
        self, script: Path, model: Path, *, port: int = 0, warm: str = "litert", start_timeout: float = 120.0
    ) -> None:
        """`port` 0: a free one. `warm`: `litert` or `tensorflow`, imported before a reload needs it."""
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._script, self._model, self._warm, self._timeout = script.resolve(), model.resolve(), warm, start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="scoring-")
        self._log, self._ready = Path(self._folder.name, "log"), Path(self._folder.name, "ready")

    @property
    def scoring_uri(self) -> str:
        """Where images are posted."""
        return f"{self.url}/score"

    @property
    def worker(self) -> int:
        """Process id of the worker that answers."""
        return int(self._ready.read_text())

    def start(self) -> None:
        """Returns when `init` has returned and the server answers; raises ServiceError with its log otherwise."""
        self._ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "gunicorn", "--config", str(_ROOT / "scoring" / "local_server.py"),
                   "--bind", f"127.0.0.1:{self.port}", "--timeout", "300",
                   "azureml_inference_server_http.server.entry:app"]  # fmt: skip
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder.name, env=self._environment(), stdout=log, stderr=log
            )
        self._wait_for_worker(before="")

    def reload(self) -> float:
        """Take score.py and the model as they are now; returns the seconds that it took.

        The old worker answers until the new one is ready. Raises ServiceError when the new `init` fails; mend it and call again.
        """
        began = time.monotonic()
        if self._process is None or self._process.poll() is not None:
            self.start()
            return time.monotonic() - began
        before = self._ready.read_text()
        self._process.send_signal(signal.SIGHUP)
        self._wait_for_worker(before)
        self._wait_until_gone(int(before))
        return time.monotonic() - began

    def stop(self) -> None:
        """Idempotent."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def score(self, image: bytes, timeout: float = 60.0) -> bytes:
        """The answer to one image."""
        request = urllib.request.Request(
            self.scoring_uri, data=image, headers={"Content-Type": "application/octet-stream"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout) as answer:
            content: bytes = answer.read()
            return content

    def __enter__(self) -> Self:
        if self._process is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "AML_APP_ROOT": str(self._script.parent),
            "AZUREML_ENTRY_SCRIPT": self._script.name,
            "AZUREML_MODEL_DIR": str(self._model),
            "AML_APP_INSIGHTS_ENABLED": "false",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")])),
            "SCORING_READY_FILE": str(self._ready),
            "SCORING_WARM": self._warm,
        }

    def _wait_for_worker(self, before: str) -> None:
        end = time.monotonic() + self._timeout
        while time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError):
                if self._ready.read_text() not in {"", before}:
                    return
            if self._process is None or self._process.poll() is not None:
                raise ServiceError(f"the scoring script failed to start:\n{self._tail()}")
            time.sleep(0.01)
        raise ServiceError(f"not ready after {self._timeout} s:\n{self._tail()}")

    def _wait_until_gone(self, worker: int) -> None:
        end = time.monotonic() + 30
        while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
            time.sleep(0.01)

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-25:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
