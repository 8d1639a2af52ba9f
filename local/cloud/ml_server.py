"""One running instance of Microsoft's inference server, as a process of this machine; it listens on 127.0.0.1 alone.

The image of the deployment is not run: the environment `.tools/serving` holds what the scoring image of this project holds.
The server is azureml_inference_server_http's own application under gunicorn. Its own command line always binds every address, so
gunicorn is started here with the same options and another address.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp

SERVING = Path(__file__).parents[2] / ".tools/serving"
_HEADROOM = 2**30
"""Bytes of address space beyond the instance's memory: mapped files and the stacks of threads take no memory."""
_GRACE_S = 10
"""From SIGTERM, after which a worker ends its request, to SIGKILL."""
_PROBE_S = 0.1
_PROBE_LIMIT_S = 5
_LOG_BYTES = 256 * 1024
"""Of its output, the last."""


class NotReadyError(Exception):
    """The process ended, or did not become healthy; the message is the last of its log that matters."""


@dataclasses.dataclass(frozen=True, slots=True)
class Launch:
    """What a server is started with."""

    folder: Path
    """Its own: home, temporary files."""
    variables: Mapping[str, str]
    memory: int
    """Bytes of one instance."""
    instances: int = 1
    command: tuple[str, ...] = ()
    """What starts the server instead of gunicorn; it finds `azmlinfsrv` in its PATH and a port in SERVER_PORT."""
    start_limit_s: float = 120


class Server:
    """From its start to its end; a server that ended is not started again, another one is."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.port = 0
        self.started_s: float | None = None
        """Seconds until it was healthy."""
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._log = bytearray()
        self._peak = 0

    async def start(self, session: aiohttp.ClientSession) -> None:
        """Returns when it is healthy. NotReadyError: it will not be; nothing of it is left then."""
        if not (SERVING / "bin/gunicorn").exists():
            raise NotReadyError("the inference server is not installed; install it: make setup")
        began = time.monotonic()
        self.port = _free_port()
        self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            env=self._environment(),
            cwd=self.launch.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        try:
            async with asyncio.timeout(self.launch.start_limit_s):
                await self._healthy(session)
        except TimeoutError as error:
            await self.stop(0)
            raise NotReadyError(f"not healthy within {self.launch.start_limit_s:.0f} s") from error
        except BaseException:
            await self.stop(0)
            raise
        self.started_s = time.monotonic() - began

    async def stop(self, grace_s: float = _GRACE_S) -> None:
        """End its process group: requests in flight have `grace_s` seconds. Twice: the same."""
        process = self._process
        if process is None:
            return
        self.memory()
        if process.returncode is None and grace_s:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await process.wait()
        self._signal(signal.SIGKILL)
        await process.wait()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    def kill(self) -> None:
        """SIGKILL to all of it, as when a node is lost."""
        self._signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Its exit status, when it ends."""
        assert self._process is not None  # noqa: S101  it was started
        return await self._process.wait()

    @property
    def pid(self) -> int:
        """Of the process group; 0: not started."""
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def memory(self) -> tuple[int, int]:
        """(bytes now, most bytes so far) of one instance: its processes together, by VmRSS and VmHWM of /proc.

        What processes share is counted once for each. The peak is the sum of each one's own.
        """
        now, peak = 0, 0
        for pid in _group(self.pid):
            resident, most = _resident(pid)
            now, peak = now + resident, peak + most
        self._peak = max(self._peak, peak)
        return now // self.launch.instances, self._peak // self.launch.instances

    def log(self) -> str:
        """The last of what it wrote."""
        return self._log.decode(errors="replace")

    def _command(self) -> list[str]:
        limits = ["prlimit", f"--as={self.launch.memory + _HEADROOM}", "--core=0", "--"]
        # It must not outlive the stand-in, however that ends.
        bound = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
        return [*bound, *limits, *(self.launch.command or self._gunicorn())]

    def _gunicorn(self) -> list[str]:
        workers = int(self.launch.variables.get("WORKER_COUNT", "1")) * self.launch.instances
        timeout = self.launch.variables.get("WORKER_TIMEOUT", "300")
        options = ["-b", f"127.0.0.1:{self.port}", "-w", str(workers), "--timeout", timeout]
        options += ["--graceful-timeout", str(_GRACE_S), "--access-logfile", "-", "--error-logfile", "/dev/null"]
        return [str(SERVING / "bin/gunicorn"), *options, "azureml_inference_server_http.server.entry:app"]

    def _environment(self) -> dict[str, str]:
        """Its own variables and nothing of the stand-in's: no credential, no proxy."""
        places = (self.launch.folder / "bin", SERVING / "bin", os.environ.get("PATH", ""))
        own = {"PATH": ":".join(map(str, places)), "HOME": str(self.launch.folder)}
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        server = {"AML_APP_INSIGHTS_ENABLED": "false", "SERVER_PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        return {**own, **threads, **server, "PYTHONDONTWRITEBYTECODE": "1", **self.launch.variables}

    async def _healthy(self, session: aiohttp.ClientSession) -> None:
        timeout = aiohttp.ClientTimeout(total=_PROBE_LIMIT_S)
        while self.alive:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"http://127.0.0.1:{self.port}/", timeout=timeout) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(_PROBE_S)
        assert self._reader is not None  # noqa: S101  set with the process
        await self._reader
        raise NotReadyError(f"the process ended with {await self.wait()}")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101  it is a pipe
        while chunk := await process.stdout.read(64 * 1024):
            self._log += chunk
            del self._log[:-_LOG_BYTES]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _free_port() -> int:
    """Below the range that Linux gives to outgoing connections, so that none of those takes it before the server does."""
    for candidate in random.sample(range(20000, 32000), 500):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", candidate))
            return candidate
    raise OSError("no free port on 127.0.0.1 between 20000 and 32000")


def _group(leader: int) -> list[int]:
    """Processes whose group is led by one."""
    found = []
    for entry in os.scandir("/proc") if leader else ():
        if entry.name.isdigit():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(int(entry.name)) == leader:
                    found.append(int(entry.name))
    return found


def _resident(pid: int) -> tuple[int, int]:
    """(VmRSS, VmHWM) in bytes; zeros for a process that has gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    values = dict(line.split(":", 1) for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM")))
    return tuple(int(values.get(name, "0 kB").split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]
