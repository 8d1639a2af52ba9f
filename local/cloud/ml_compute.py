"""Emulated compute: a job's command is a real process of this machine, or a container when its environment names an image."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.cloud.task_arguments import TaskRefusedError
from local.cloud.task_images import AgentImages, PullFailedError
from local.contained_run import run_container
from local.containers import Engine

NOTICE_S = 30
"""Seconds between an eviction's notice (SIGTERM) and the end (SIGKILL): the least that Azure promises."""
_BACKSTOP_S = 3600
_REFERENCE = re.compile(r"\$\{\{\s*(inputs|outputs)\.([A-Za-z0-9_]+)\s*\}\}")

type Sink = Callable[[bytes], None]


class ImageMissingError(Exception):
    """The environment's image cannot be had; the message is what a node says then."""


class Places:
    """Where inputs and outputs are: folders of this machine that stand for datastores. A job of the same path finds them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self, job: str, name: str, described: Mapping[str, Any]) -> str:
        """The folder or the value behind `${{inputs.x}}` and `${{outputs.x}}`."""
        if described.get("value") is not None:
            return str(described["value"])
        uri = str(
            described.get("uri") or f"azureml://datastores/workspaceartifactstore/paths/ExperimentRun/{job}/{name}"
        )
        path = re.sub(r"[^A-Za-z0-9_./-]", "_", uri.partition("/datastores/")[2] or uri.partition("://")[2])
        place = self._folder / path.replace("..", "_").strip("/")
        place.mkdir(parents=True, exist_ok=True)
        return str(place)

    def command(self, job: str, properties: Mapping[str, Any]) -> str:
        """The job's command with its inputs and outputs in it."""

        def place(found: re.Match[str]) -> str:
            described = (properties.get(found[1]) or {}).get(found[2]) or {}
            return shlex.quote(self.folder(job, found[2], described))

        return _REFERENCE.sub(place, str(properties.get("command") or "true"))


async def run_process(command: str, environment: Mapping[str, str], folder: Path, output: Sink) -> int:
    """Run the command in a shell of its own session; cancelled: SIGTERM, then SIGKILL when its time is up."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        "HOME": str(folder),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", command),
        env=variables,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    reader = asyncio.create_task(_copy(process, output))
    try:
        await asyncio.shield(reader)
        return await process.wait()
    except asyncio.CancelledError:
        await asyncio.shield(_end(process, reader))
        raise


async def _copy(process: asyncio.subprocess.Process, output: Sink) -> None:
    assert process.stdout is not None  # noqa: S101  it is a pipe
    while chunk := await process.stdout.read(64 * 1024):
        output(chunk)


async def _end(process: asyncio.subprocess.Process, reader: asyncio.Task[None]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(NOTICE_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.gather(reader, return_exceptions=True)


async def run_image(
    engine: Engine, images: AgentImages, image: str, command: str, environment: Mapping[str, str], output: Sink
) -> int:
    """Run the command in a container of the image, without network. ImageMissingError: the registry does not give it."""
    variables = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    limits = ["--network", "none", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--memory", "2g"]
    try:
        async with images.pulled(image, None) as local:
            # The shell form of the image's own: Azure runs a command with bash.
            options = [*limits, *engine.ulimits, *variables, "--entrypoint", "/bin/sh"]
            return await run_container(engine, options, local, ["-c", command], backstop_s=_BACKSTOP_S, output=output)
    except (PullFailedError, TaskRefusedError) as error:
        raise ImageMissingError(str(error)) from error
