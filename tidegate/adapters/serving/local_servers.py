"""Inference servers as processes of this machine: started apart from this one, found again by a file, reloaded when edited.

The server is Microsoft's (azureml-inference-server-http) under gunicorn, which loads the scoring script again when it changes.
Where the changed script cannot be loaded the server ends; it is started again once the script was mended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import time

FILES = "files"
"""Folder of a deployment with the artefact; the scoring script in it may be edited."""
_STATE, _LOG, _READY, _CONFIG = "server.json", "server.log", "ready", "gunicorn.conf.py"
_HOOK = '''import pathlib


def post_worker_init(worker):
    """The script's init has returned."""
    pathlib.Path(__file__).with_name("ready").touch(exist_ok=True)
'''
_SHOWN = 200
"""Lines at the end of the log in which it says why."""
_ERROR = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*(?:Error|Exception)\b(?:: .*)?\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A server that was started."""

    pid: int
    began: str
    """When its process began, as the kernel counts it: another process with this id is not it."""
    port: int
    model: str
    script: str
    created: float
    """Seconds since 1970."""

    @property
    def is_alive(self) -> bool:
        return _began(self.pid) == self.began


def start(place: pathlib.Path, python: str, model: str, script: str, variables: dict[str, str]) -> Server:
    """A server of the artefact in `place`. It goes on when this process ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (place / _CONFIG).write_text(_HOOK)
    (place / _READY).unlink(missing_ok=True)
    entry = place / FILES / script
    command = [python, "-m", "gunicorn", "--config", str(place / _CONFIG), "--bind", f"127.0.0.1:{port}"]
    command += ["--timeout", "300", "--chdir", str(place), "--reload", "--reload-extra-file", str(entry)]
    command.append("azureml_inference_server_http.server.entry:app")
    created = time.time()
    log = (os.POSIX_SPAWN_OPEN, 1, str(place / _LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    # A session of its own, and no object of subprocess, which would be told off for a server that outlives it.
    pid = os.posix_spawnp(
        python,
        command,
        _environment(place, entry, variables),
        file_actions=[log, (os.POSIX_SPAWN_DUP2, 1, 2)],
        setsid=True,
    )
    server = Server(pid, _began(pid), port, model, script, created)
    written = place / f"{_STATE}.part"
    written.write_text(json.dumps({**dataclasses.asdict(server), "variables": variables}))
    written.replace(place / _STATE)
    return server


def find(place: pathlib.Path, python: str) -> Server | None:
    """The server of a deployment, started again where its script was mended after it ended; None: there is none."""
    try:
        known = json.loads((place / _STATE).read_text())
    except FileNotFoundError:
        return None
    variables = known.pop("variables")
    server = Server(**known)
    if server.is_alive or not _is_newer(place / FILES / server.script, place / _STATE):
        return server
    return start(place, python, server.model, server.script, variables)


def stop(place: pathlib.Path) -> None:
    """End it and forget it, its files too. Twice: nothing."""
    with contextlib.suppress(FileNotFoundError):
        known = json.loads((place / _STATE).read_text())
        if _began(known["pid"]) == known["began"]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(known["pid"], signal.SIGTERM)
    shutil.rmtree(place, ignore_errors=True)


def last_words(place: pathlib.Path) -> str:
    """Why it ended: the errors at the end of its log, or its last lines where there are none."""
    lines = [line.strip() for line in (place / _LOG).read_text(errors="replace").splitlines()[-_SHOWN:]]
    errors = list(dict.fromkeys(line for line in lines if _ERROR.match(line)))
    return " | ".join(errors[-2:] or [line for line in lines if line][-5:])[-1000:]


def seconds_to_ready(place: pathlib.Path, server: Server) -> float | None:
    """None: not yet."""
    try:
        return max(0.0, (place / _READY).stat().st_mtime - server.created)
    except FileNotFoundError:
        return None


def peak_memory(server: Server) -> int | None:
    """Bytes of its largest process at its peak; None: it is gone."""
    peaks = [_peak(pid) for pid in (server.pid, *_children(server.pid))]
    return max(filter(None, peaks), default=None)


def _environment(place: pathlib.Path, entry: pathlib.Path, variables: dict[str, str]) -> dict[str, str]:
    """Nothing of this process's own settings and secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    own = {
        "AML_APP_ROOT": str(entry.parent),
        "AZUREML_ENTRY_SCRIPT": entry.name,
        "AZUREML_MODEL_DIR": str(place / FILES),
        "AML_APP_INSIGHTS_ENABLED": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(place),  # where gunicorn keeps its control socket
    }
    return kept | variables | own


def _is_newer(script: pathlib.Path, state: pathlib.Path) -> bool:
    return script.exists() and script.stat().st_mtime > state.stat().st_mtime


def _began(pid: int) -> str:
    """Start of a process in the kernel's ticks; empty: there is none, or it has ended."""
    with contextlib.suppress(ChildProcessError):  # a child of ours that has ended is no more than its exit status
        os.waitpid(pid, os.WNOHANG)
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _peak(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
