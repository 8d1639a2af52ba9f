"""The worker process: runs a `Worker` at one end of a socket, and sends the app's log records to the other end."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import pathlib
import signal
import socket
import sys
import threading
import traceback
from typing import override

from azure_functions_runtime import invocation_id_cv  # type: ignore[import-untyped]
from azure_functions_runtime.bindings.context import _invocation_id_local  # type: ignore[import-untyped]

from local.functions_host.frames import FrameReader, pack
from local.functions_host.messages import Completed, FromWorker, Index, Indexed, Invocation, Logged
from local.functions_host.worker import Worker, running

_PR_SET_PDEATHSIG = 1


def main(fd: int, app: str, parent: int) -> None:
    """Serve the app in folder `app` on socket `fd` until the host closes it; never outlives process `parent`."""
    _die_with(parent)
    os.chdir(app)
    link = Link(socket.socket(fileno=fd))
    _send_logs_to(link)
    try:
        asyncio.run(_serve(pathlib.Path(app), link))
    except SystemExit as exit_:
        # A function called sys.exit(). Leave at once, as Azure's worker does: other functions' threads are not waited for.
        sys.stdout.flush()
        os._exit(exit_.code if isinstance(exit_.code, int) else 1)


class Link:
    """The child's end of the socket. Any thread may send; only the event loop reads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sending = threading.Lock()
        self._frames = FrameReader()

    def send(self, message: FromWorker) -> None:
        """Blocks while the host does not read. A host that is gone is not an error: the end of file is about to be seen."""
        frame = pack(message)
        try:
            with self._sending:
                self._sock.sendall(frame)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self) -> list[Invocation] | None:
        """What has arrived, without waiting; None when the host has closed its end."""
        try:
            data = self._sock.recv(1 << 18, socket.MSG_DONTWAIT)  # the socket itself stays blocking, for the senders
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        return list(self._frames.feed(data)) if data else None

    def fileno(self) -> int:
        return self._sock.fileno()


async def _serve(app: pathlib.Path, link: Link) -> None:
    worker = Worker(app)
    index: Index = await worker.start()
    link.send(index)
    if not isinstance(index, Indexed):
        return
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    def read() -> None:
        invocations = link.receive()
        if invocations is None:
            closed.set()
            loop.remove_reader(link)
            return
        for invocation in invocations:
            task = loop.create_task(_complete(worker, link, invocation))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    loop.add_reader(link, read)
    await closed.wait()


async def _complete(worker: Worker, link: Link, invocation: Invocation) -> None:
    link.send(Completed(invocation.id, await worker.invoke(invocation)))


class _ToLink(logging.Handler):
    """Sends every record from the thread that logs it, so nothing is lost when the event loop is blocked or killed."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    @override
    def emit(self, record: logging.LogRecord) -> None:
        exception = "".join(traceback.format_exception(*record.exc_info)).rstrip() if record.exc_info else None
        try:
            message = record.getMessage()
        except (TypeError, ValueError) as error:
            message = f"{record.msg!r} {record.args!r} (a log call whose arguments do not fit: {error})"
        self._link.send(Logged(_invocation_id(), record.levelno, record.name, message, exception))


def _invocation_id() -> str | None:
    """The invocation that is logging: by task, else by the library's context variable, else by its thread-local.

    The library leaves the thread-local set on the event loop's thread, where it is another invocation's: not read there.
    """
    known: str | None = running.get() or invocation_id_cv.get()
    if known is None and threading.current_thread() is not threading.main_thread():
        known = getattr(_invocation_id_local, "invocation_id", None)
    return known


def _send_logs_to(link: Link) -> None:
    debug = os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in {"1", "true", "yes", "y", "t"}
    root = logging.getLogger()
    root.addHandler(_ToLink(link))
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    if not debug:
        # The library's own chatter; its errors come back as IndexFailed and Failed, with their traceback.
        logging.getLogger("azure.functions").setLevel(logging.CRITICAL)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the host dies, so a killed host leaves nothing running (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the host died before the line above
            os._exit(1)
