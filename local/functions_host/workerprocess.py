"""The worker as a child process on a socketpair: started again after a crash, an exit or a kill."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pathlib
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast, override

from local.functions_host.frames import FrameReader, pack
from local.functions_host.messages import (
    Completed,
    Failed,
    FromWorker,
    Index,
    Indexed,
    IndexFailed,
    Invocation,
    Logged,
    Outcome,
)

_log = logging.getLogger("Host.Worker")
_ROOT = pathlib.Path(__file__).parents[2]
_START = (
    "import sys; sys.path.append(sys.argv[1]); from local.functions_host.child import main; "
    "main(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))"
)
_ATTEMPTS = 3
"""Starts in a row that may die before the app is indexed; as many as Azure's host allows."""
_EXIT_S = 5
"""From the end of its socket to the end of the process, in seconds; then it is killed."""


class WorkerProcess:
    """Runs one app in a child process and hides that the process may be replaced.

    An invocation that runs when the process ends is `Failed`; one that comes while it is being replaced waits.
    """

    def __init__(
        self,
        app: pathlib.Path,
        environ: Mapping[str, str],
        logged: Callable[[Logged], None],
        restart_delay_s: float = 0.5,
    ) -> None:
        self._app = app
        self._environ = environ
        self._logged = logged
        self._restart_delay_s = restart_delay_s
        self._ready: asyncio.Future[_Child | IndexFailed] = asyncio.Future()
        self._given_up: asyncio.Future[IndexFailed] = asyncio.Future()
        self._child: _Child | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = False
        self._spawned = asyncio.Event()
        self.starts = 0

    async def start(self) -> None:
        """Start the process; return when it runs, long before it has indexed the app. OSError when it cannot be started."""
        self._supervisor = asyncio.create_task(self._supervise())
        spawned = asyncio.create_task(self._spawned.wait())
        await asyncio.wait([spawned, self._supervisor], return_when=asyncio.FIRST_COMPLETED)
        if self._supervisor.done():
            spawned.cancel()
            self._supervisor.result()

    async def index(self) -> Index:
        """Wait for what the process has found in the app."""
        match await asyncio.shield(self._ready):
            case IndexFailed() as failed:
                return failed
            case _Child(index=index):
                return await index

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run one invocation in the process that is ready now, or as soon as there is one."""
        match await asyncio.shield(self._ready):
            case IndexFailed(message):
                return Failed(f"The function app could not be loaded: {message}")
            case child:
                return await child.invoke(invocation)

    @property
    def pid(self) -> int | None:
        """The process that runs now; None while there is none."""
        return self._child.pid if self._child and not self._child.is_lost else None

    async def given_up(self) -> IndexFailed:
        """Wait until no process will be started again, and say why; while all goes well this does not return."""
        return await asyncio.shield(self._given_up)

    async def wait_ready(self) -> None:
        """Return when an indexed process runs. After a failed index this waits until cancelled."""
        if isinstance(await asyncio.shield(self._ready), IndexFailed):
            await asyncio.Event().wait()

    def kill(self) -> None:
        """End the process at once, whatever it does; it is replaced, and what ran in it has `Failed`."""
        if self._child:
            self._child.kill()

    async def stop(self, grace_s: float) -> None:
        """Let the process exit by itself for `grace_s` seconds, then kill it."""
        self._stopping = True
        if self._child:
            self._child.close()
        if self._supervisor:
            await asyncio.wait([self._supervisor], timeout=grace_s)
            self.kill()
            await self._supervisor

    async def _supervise(self) -> None:
        died = 0
        while not self._stopping:
            indexed, code = await self._run_child()
            if isinstance(indexed, IndexFailed) or self._stopping:
                break
            died = 0 if indexed else died + 1
            if died == _ATTEMPTS:
                reason = f"The worker process {describe_exit(code)} while it loaded the app, {died} times in a row."
                self._give_up(IndexFailed(reason))
                break
            _log.error("The worker process %s; starting another.", describe_exit(code))
            if died:
                await asyncio.sleep(self._restart_delay_s * 2 ** (died - 1))
        if not self._ready.done():
            self._ready.set_result(IndexFailed("The host is stopping."))

    async def _run_child(self) -> tuple[Index | None, int]:
        """One process from its start to its end: what it found in the app, and its exit code."""
        child = self._child = await _Child.spawn(self._app, self._environ, self._logged)
        self.starts += 1
        self._spawned.set()
        if self._stopping:
            child.kill()
        indexed = await child.indexed()
        match indexed:
            case Indexed():
                self._ready.set_result(child)
            case IndexFailed():
                self._give_up(indexed)
            case None:
                pass
        await child.lost()
        if isinstance(indexed, Indexed):
            self._ready = asyncio.Future()
        code = await child.ended()
        self._child = None
        return indexed, code

    def _give_up(self, failed: IndexFailed) -> None:
        self._ready.set_result(failed)
        self._given_up.set_result(failed)


class _Child(asyncio.Protocol):
    """One process, from its start to its end."""

    __match_args__ = ("index",)

    def __init__(self, process: asyncio.subprocess.Process, logged: Callable[[Logged], None]) -> None:
        self.index: asyncio.Future[Index] = asyncio.Future()
        self._logged = logged
        self._frames = FrameReader()
        self._pending: dict[str, asyncio.Future[Outcome]] = {}
        self._lost = asyncio.Event()
        self._transport: asyncio.Transport
        self._process = process
        self._output = asyncio.create_task(_log_lines(cast("asyncio.StreamReader", process.stdout)))

    @classmethod
    async def spawn(cls, app: pathlib.Path, environ: Mapping[str, str], logged: Callable[[Logged], None]) -> _Child:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                arguments = [str(_ROOT), str(theirs.fileno()), str(app), str(os.getpid())]
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-u", "-c", _START, *arguments),
                    env=environ,
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    process_group=0,  # Ctrl-C is for the host, which stops the worker in order; `kill` takes its children
                )
        except OSError:
            ours.close()
            raise
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        _, child = await loop.create_unix_connection(lambda: cls(process, logged), sock=ours)
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_lost(self) -> bool:
        return self._lost.is_set()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        message: FromWorker
        for message in self._frames.feed(data):
            match message:
                case Completed(invocation_id, outcome):
                    future = self._pending.get(invocation_id)
                    if future and not future.done():
                        future.set_result(outcome)
                case Logged():
                    self._logged(message)
                case Indexed() | IndexFailed():
                    self.index.set_result(message)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()

    async def indexed(self) -> Index | None:
        """What the process found in the app; None when it ended before it could say."""
        lost = asyncio.ensure_future(self._lost.wait())
        waits: list[asyncio.Future[Any]] = [self.index, lost]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        return self.index.result() if self.index.done() else None

    async def invoke(self, invocation: Invocation) -> Outcome:
        if self.is_lost:
            return Failed("The worker process has ended.")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._pending[invocation.id] = future
        try:
            self._transport.write(pack(invocation))
            return await future
        finally:
            del self._pending[invocation.id]

    async def lost(self) -> None:
        """Wait until the process has closed its end of the socket, which it does last of all."""
        await self._lost.wait()

    async def ended(self) -> int:
        """Wait for the end of the process; fail what ran in it. Negative is the signal that ended it."""
        await self._lost.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_S):
                await self._process.wait()
        self.kill()  # whatever lives on without its socket is of no use, its own children included
        code = await self._process.wait()
        await asyncio.wait([self._output], timeout=1)  # a process that left the group may hold the pipe
        self._output.cancel()
        for future in self._pending.values():
            if not future.done():
                future.set_result(Failed(f"The worker process {describe_exit(code)}."))
        return code

    def close(self) -> None:
        """Ask the process to end: it sees the end of the file."""
        self._transport.close()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def describe_exit(code: int) -> str:
    """`exited with code 3`, `was ended by SIGKILL`."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"


async def _log_lines(stream: asyncio.StreamReader) -> None:
    """What the app prints, and what the interpreter says when it crashes: one record a line."""
    rest = b""
    while chunk := await stream.read(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            _log.info("%s", line.decode(errors="replace"))
    if rest:
        _log.info("%s", rest.decode(errors="replace"))
