"""What a hostile image gets: nothing of the machine, and no more of it than its limits. The machine stays fine."""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from local.cloud.core import Options
from local.containers import Engine, find_engine
from tests.tasks.conftest import Pushed, serving
from tests.tasks.tasks import SANDBOX, Tasks
from tests.tasks.test_runs import containers, wait_for

BARE = "--rm"
"""A task that asks for no limit at all: the stand-in's own must hold."""


def facts(log: str) -> dict[str, Any]:
    """What the image says that it got."""
    line = next(line for line in log.splitlines() if line.startswith("FACTS "))
    found: dict[str, Any] = json.loads(line.removeprefix("FACTS "))
    return found


def attempt(tasks: Tasks, image: str, mode: str, options: str, timeout: int = 40) -> tuple[str, str]:
    run = tasks.run(f"docker run {options} {image} {mode}", timeout=timeout)
    return run.status, tasks.log(run)


@pytest.mark.parametrize("options", [BARE, SANDBOX], ids=["bare", "sandbox"])
def test_it_reaches_no_network_not_even_the_registry_on_loopback(
    tasks: Tasks, images: Pushed, registry_port: int, options: str
) -> None:
    _, log = attempt(tasks, images.hostile, f"network {registry_port}", options)
    assert facts(log) == {"reached": [], "names": [], "interfaces": ["lo"]}


@pytest.mark.parametrize(("options", "limit"), [(BARE, 512), (SANDBOX, 64)], ids=["bare", "sandbox"])
def test_a_fork_bomb_stops_at_the_limit_of_processes(tasks: Tasks, images: Pushed, options: str, limit: int) -> None:
    _, log = attempt(tasks, images.hostile, "fork", options)
    assert limit // 2 < facts(log)["processes"] < limit


def test_a_memory_hog_is_killed(tasks: Tasks, images: Pushed) -> None:
    status, log = attempt(tasks, images.hostile, "memory", SANDBOX)
    assert status == "Failed"
    assert "exit status 137\n" in log, "killed, and not by itself"
    assert not Path("oom").exists(), "Podman leaves such a file where it was started"


def test_a_memory_limit_above_the_ceiling_is_lowered(tasks: Tasks, images: Pushed) -> None:
    run = tasks.run(
        f"docker run --memory 64g --memory-swap 128g --entrypoint sh {images.hostile} "
        '-c "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true"'
    )
    assert f"\n{2 * 2**30}\n" in tasks.log(run)


def test_a_gibibyte_of_output_is_bounded_and_keeps_both_ends(tasks: Tasks, images: Pushed) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status, log = attempt(tasks, images.hostile, "output 1024", SANDBOX)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert status == "Succeeded"
    assert len(log) < 1.1 * 2**20
    assert "BEGIN\nspam" in log
    assert "spam\nEND\n" in log
    assert f"[... {2**30 + len('BEGIN') + len('END') + 3 - 2**20} bytes of output were not kept ...]" in log
    assert grown < 64, f"the stand-in grew by {grown} MiB"


def test_it_writes_nowhere_but_in_the_memory_it_was_given(tasks: Tasks, images: Pushed) -> None:
    _, bare = attempt(tasks, images.hostile, "write", BARE)
    _, sandboxed = attempt(tasks, images.hostile, "write", SANDBOX)
    assert facts(bare) in ({"written": [], "large": None}, {"written": ["/dev"], "large": None}), "/dev is in memory"
    assert facts(sandboxed) == {"written": ["/tmp"], "large": 15}


def test_it_finds_no_socket_no_credential_and_no_name_of_the_machine(
    cloud_options: Options, images: Pushed, tmp_path: Path
) -> None:
    canaries = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "AZURE_CLIENT_SECRET"), "http://user:canary@proxy.invalid")
    own = Options(registries=cloud_options.registries, state=tmp_path, storage=cloud_options.storage)
    with serving(own, lambda: find_engine({**os.environ, **canaries})) as tasks:
        _, log = attempt(tasks, images.hostile, "secrets", f"{BARE} --env AZURE_CLIENT_SECRET --env MINE=1")
    got = facts(log)
    assert "canary" not in log
    assert got["environment"].pop("MINE") == "1"
    assert got["environment"].pop("AZURE_CLIENT_SECRET") == "", "the step's, not the stand-in's"
    assert set(got["environment"]) <= {"PATH", "HOME", "HOSTNAME", "TERM", "LC_CTYPE", "container"}
    assert got["found"] == []
    assert set(got["mounts"]) <= {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"}
    assert os.uname().nodename not in got["hosts"].split()
    assert set(got["capabilities"]) == {"0" * 16}
    assert got["no_new_privileges"] == "1"
    assert got["processes"] == 1, "it sees its own processes only"
    assert not {name for name in got["devices"] if name.startswith(("sd", "vd", "nvme", "mem", "kmsg"))}


def test_the_stand_in_answers_while_hostile_images_run(tasks: Tasks, images: Pushed, engine: Engine) -> None:
    slowest = 0.0
    done = threading.Event()

    def ask() -> None:
        nonlocal slowest
        while not done.is_set():
            started = time.monotonic()
            tasks.get(run)
            slowest = max(slowest, time.monotonic() - started)

    run = tasks.schedule(f"docker run {SANDBOX} {images.hostile} output 64")
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        tasks.ended(run)
    finally:
        done.set()
        asking.join()
    assert slowest < 1.0
    assert containers(engine) == []


def test_the_engine_keeps_no_copy_of_what_a_hostile_image_writes(tasks: Tasks, images: Pushed, engine: Engine) -> None:
    run = tasks.schedule(f"docker run {images.hostile} stubborn")
    try:
        wait_for(lambda: "staying" in tasks.log(tasks.until(run, frozenset({"Running"}))))
        (container,) = containers(engine)
        kind = engine.run("inspect", "--format", "{{.HostConfig.LogConfig.Type}}", container).strip()
    finally:
        tasks.cancel(run)
    assert kind == "none", "a log file of the engine would fill the disk"
