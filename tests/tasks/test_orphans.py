"""A stand-in that is killed leaves a container behind, and the next one removes it; other stacks' containers stay."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from local.contained_run import run_container
from local.container_owner import OWNER_LABEL, remove_orphans, this_process
from local.containers import Engine
from tests.tasks.conftest import Pushed

STUBBORN = ("stubborn",)
CRASHING = """
import asyncio, os, signal, sys
from local.contained_run import run_container
from local.containers import find_engine

def crash(said):
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(run_container(find_engine(), ["--network=none"], sys.argv[1], ["stubborn"], backstop_s=60, output=crash))
"""


def test_containers_of_a_crashed_stand_in_are_removed_and_others_stay(engine: Engine, images: Pushed) -> None:
    name = "localhost/tidegate-hostile:1"
    crashed = subprocess.run([sys.executable, "-c", CRASHING, name], capture_output=True, timeout=60, check=False)
    assert crashed.returncode == -9, crashed.stderr.decode()

    async def sweep_while_another_runs() -> tuple[str, ...]:
        started = asyncio.Event()
        other = asyncio.create_task(
            run_container(engine, ("--network=none",), name, STUBBORN, backstop_s=60, output=lambda _: started.set())
        )
        await asyncio.wait_for(started.wait(), 20)
        removed = await asyncio.to_thread(remove_orphans, engine)
        assert len(own(engine)) == 1, "its owner is alive"
        other.cancel()
        await asyncio.wait([other])
        return removed

    removed = asyncio.run(sweep_while_another_runs())
    assert removed, "the crash left a container"
    assert own(engine) == []
    left = engine.run("ps", "--all", "--quiet", "--no-trunc", f"--filter=label={OWNER_LABEL}").split()
    assert not set(removed) & set(left)


def test_podman_ends_a_container_whose_stand_in_never_comes_back(engine: Engine, images: Pushed) -> None:
    if engine.name == "docker":  # has no such limit; the sweep above is what there is
        return
    run = run_container(
        engine, ("--network=none",), "localhost/tidegate-hostile:1", STUBBORN, backstop_s=2, output=lambda _: None
    )
    assert asyncio.run(asyncio.wait_for(run, 15)) != 0


def own(engine: Engine) -> list[str]:
    return engine.run("ps", "--all", "--quiet", f"--filter=label={OWNER_LABEL}={this_process()}").split()
