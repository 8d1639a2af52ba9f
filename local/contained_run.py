"""Run one container to its end: labelled, limited, its output read without end, gone afterwards in every case."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
import uuid
from collections.abc import Callable, Sequence

from local.container_owner import OWNER_LABEL, removal, this_process
from local.containers import Engine

_log = logging.getLogger(__name__)

_CHUNK = 256 * 1024
_REMOVALS = 3
_REMOVAL_LIMIT_S = 30

type Sink = Callable[[bytes], None]


async def run_container(
    engine: Engine, options: Sequence[str], image: str, command: Sequence[str], *, backstop_s: int, output: Sink
) -> int:
    """Run a container of a local image; its exit status, or 125, 126, 127 as `docker run` gives them.

    Cancel it to kill the container: with SIGKILL from the engine, which no process can ignore. The container is removed
    in every case. `output` gets every byte of both streams. `backstop_s` is when Podman ends the container by itself,
    should this process have died (Docker cannot: then the next start removes it).
    """
    name = f"tidegate-run-{uuid.uuid4().hex}"
    own = ("--rm", f"--name={name}", f"--label={OWNER_LABEL}={this_process()}", "--pull=never", "--log-driver=none")
    arguments = ("run", *own, *_podman_only(engine, backstop_s), *options, image, *command)
    with tempfile.TemporaryDirectory(prefix="tidegate-run-") as folder:  # Podman may leave a file called `oom` there
        try:
            return await run_command(engine, arguments, output, folder)
        finally:
            await asyncio.shield(_remove(engine, name))


async def run_command(engine: Engine, arguments: Sequence[str], output: Sink, folder: str | None = None) -> int:
    """Run a command of the engine to its end and return its exit status. When cancelled, its client is killed."""
    client = await asyncio.create_subprocess_exec(
        *engine.command(*arguments),
        env=dict(engine.environment),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2 * _CHUNK,
        start_new_session=True,  # a Ctrl-C in the terminal ends the stand-in, and that ends the container
    )
    assert client.stdout is not None  # noqa: S101  it is a pipe
    try:
        while chunk := await client.stdout.read(_CHUNK):
            output(chunk)
        status = await client.wait()
        return status if status >= 0 else 128 - status
    finally:
        if client.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(client.pid, signal.SIGKILL)
            await asyncio.shield(client.wait())


def _podman_only(engine: Engine, backstop_s: int) -> tuple[str, ...]:
    """What makes Podman treat a container as Docker does."""
    if engine.name == "docker":
        return ()
    # Docker gives a read-only container no writable /tmp and /run.
    return ("--read-only-tmpfs=false", f"--timeout={backstop_s}", *engine.ulimits)


async def _remove(engine: Engine, name: str) -> None:
    """Kill and remove the container; `--rm` has done it already when the container ended by itself."""
    said = bytearray()
    for _ in range(_REMOVALS):
        said.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REMOVAL_LIMIT_S):
                status = await run_command(engine, (*removal(engine), name), said.extend)
            if status == 0 or b"no such container" in said.lower():
                return
    _log.error("container %s was not removed: %s", name, said.decode(errors="replace").strip()[-500:])
