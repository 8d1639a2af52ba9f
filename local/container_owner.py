"""Who answers for a container of the local world, and removing those whose owner is gone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from local.containers import Engine

OWNER_LABEL = "tidegate.local.owner"
"""On every container that the local world starts: `<pid>-<start time>` of the process that answers for it."""


def this_process() -> str:
    """The value of the label for this process."""
    return _identity(os.getpid()) or f"{os.getpid()}-"


def removal(engine: Engine) -> tuple[str, ...]:
    """The command that kills a container at once, with SIGKILL, and removes it."""
    at_once = ("--ignore", "--time=0") if engine.name == "podman" else ()  # Docker never waits
    return ("rm", "--force", "--volumes", *at_once)


def remove_orphans(engine: Engine) -> tuple[str, ...]:
    """Kill and remove the containers of processes that no longer exist (they crashed); the ids of what was removed.

    Another stack's containers stay: their owner is alive. Called when a stand-in starts.
    """
    ids = engine.run("ps", "--all", "--quiet", "--no-trunc", f"--filter=label={OWNER_LABEL}").split()
    orphans = tuple(container for container in ids if not _owner_is_alive(engine, container))
    for container in orphans:
        with contextlib.suppress(RuntimeError):  # it went away by itself meanwhile
            engine.run(*removal(engine), container)
    return orphans


def _owner_is_alive(engine: Engine, container: str) -> bool:
    template = f'{{{{index .Config.Labels "{OWNER_LABEL}"}}}}'
    try:
        owner = engine.run("inspect", "--format", template, container).strip()
    except RuntimeError:
        return True  # it ended between the two calls; there is nothing to remove
    pid = owner.partition("-")[0]
    return pid.isdigit() and _identity(int(pid)) == owner


def _identity(pid: int) -> str | None:
    """A pid is used again; with its start time it is not. None when there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        if Path("/proc/self/stat").exists():
            return f"{pid}-{stat.read_text().rpartition(')')[2].split()[19]}"
        os.kill(pid, 0)
    except (OSError, IndexError):
        return None
    return f"{pid}-"
