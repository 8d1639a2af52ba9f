"""`python -m scoring.local_server`: imports what is slow once, then forks an inference server for each line that it reads.

The server itself is Microsoft's under gunicorn, unchanged; what is forked only has to run score.py's `init`. A line is JSON (see
`scoring.warm_parent`), the answer is the process id of the server. This ends with its input, which is when whoever writes it
closes it or is no more, and its servers end with it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, override

# Imported and not run: a TensorFlow that computed something would not survive the fork. Nothing of this package is among them:
# a server takes it as it is now.
_WARM = (
    "azureml_inference_server_http.server.appinsights_client",
    "azureml_inference_server_http.api.aml_request",
    "azureml_inference_server_http.api.aml_response",
    "flask",
    "gunicorn.app.base",
    "gunicorn.workers.sync",
    "numpy",
    "PIL.Image",
)
_FOR_MODEL = {"tensorflow": "tensorflow", "litert": "ai_edge_litert.interpreter"}
_FIXED = {"worker_class": "sync", "workers": 1, "timeout": 300, "control_socket_disable": True}
_TELEMETRY = "azure.monitor.opentelemetry.exporter"
_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a module prints while it is imported is no answer
    if os.environ.get("AML_APP_INSIGHTS_ENABLED", "").lower() == "false":
        _without_telemetry()
    for name in filter(None, os.environ.get("SCORING_WARM", "").split(",")):
        for module in (*_WARM, _FOR_MODEL.get(name, name)):
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a server that ended leaves nothing behind
    parent = os.getpid()
    for line in sys.stdin:
        server = os.fork()
        if server == 0:
            answers.close()
            _end_with(parent, signal.SIGTERM)
            _become_server(**json.loads(line))
        answers.write(f"{server}\n")
        answers.flush()


def _become_server(listener: int, log: str, ready: str) -> NoReturn:
    """In the forked process: gunicorn on a socket that listens already."""
    with Path(log).open("ab") as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.dont_write_bytecode = True  # or an edit of the same length within the same second would not be seen
    from gunicorn.app.base import BaseApplication

    class Served(BaseApplication):  # type: ignore[misc,unused-ignore]  # gunicorn has no types
        @override
        def load_config(self) -> None:
            for name, value in (_FIXED | {"bind": f"fd://{listener}", **_hooks(Path(ready))}).items():
                self.cfg.set(name, value)

        @override
        def load(self) -> Any:
            return importlib.import_module("azureml_inference_server_http.server.entry").app

    Served().run()
    sys.exit()


def _hooks(ready: Path) -> dict[str, Callable[..., None]]:
    """What gunicorn calls, by its names."""

    def post_fork(_server: Any, worker: Any) -> None:
        _end_with(worker.ppid, signal.SIGKILL)

    def post_worker_init(worker: Any) -> None:
        """`init` has returned: say so to whoever waits for it, whole or not at all."""
        part = ready.with_suffix(".part")
        part.write_text(str(worker.pid))
        part.rename(ready)

    def worker_exit(_server: Any, worker: Any) -> None:
        """It answers no more. Taking a TensorFlow apart object by object takes a second and serves nobody."""
        if worker.booted:  # a failed `init` has an exit status that tells so
            atexit._run_exitfuncs()  # noqa: SLF001  # what the script registered
            os._exit(0)

    def on_exit(_server: Any) -> None:
        os._exit(0)

    return {each.__name__: each for each in (post_fork, post_worker_init, worker_exit, on_exit)}


def _end_with(parent: int, kind: signal.Signals) -> None:
    """This process gets `kind` when the one that forked it ends in any way; Linux only."""
    if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(kind)) != 0 or os.getppid() != parent:
        os.kill(os.getpid(), kind)


def _without_telemetry() -> None:
    """Where Application Insights is switched off, the server imports its exporters and never makes one: a third of the start."""
    empty = types.ModuleType(_TELEMETRY)
    vars(empty).update(AzureMonitorLogExporter=None, AzureMonitorTraceExporter=None)
    sys.modules.setdefault(_TELEMETRY, empty)


if __name__ == "__main__":
    main()
