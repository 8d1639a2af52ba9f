"""Two workers share each batch; killed or told to leave, and resumed together, they end as if nothing had been."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.children import command_line
from tests.trainer.runs import SHORT
from trainer import workers
from trainer.drill import CONTEXT, Life, live

PAIR = dataclasses.replace(SHORT, name="PAIR", epochs=1, batch=64, save_every_steps=4, threads=1)


def both(workdir: Path, kill_at: int | None = None, second: Path | None = None) -> list[Life]:
    """Two processes on loopback, started together as Azure ML does it; `second`: another work directory for one of them."""
    cluster = tasks()

    def worker(index: int) -> Life:
        kill = None if kill_at is None else (kill_at, 0.0)
        return live(PAIR, second if second and index else workdir, kill, environment={"TF_CONFIG": cluster[index]})

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(worker, range(2)))


def told_to_leave(workdir: Path) -> list[tuple[int | None, dict[str, Any]]]:
    """Status and last line of each of two workers, of which the one that does not write gets SIGTERM."""
    config = workdir.with_suffix(".json")
    config.write_text(json.dumps(PAIR.as_json()))
    arguments = ["--config", str(config), "--workdir", str(workdir)]
    environments = [{"TF_CONFIG": task, "TRAINER_METADATA_URL": "off"} for task in tasks()]
    pipes = [CONTEXT.Pipe(duplex=False) for _ in environments]
    processes = [
        CONTEXT.Process(target=command_line, args=(arguments, environment, theirs))
        for environment, (_, theirs) in zip(environments, pipes, strict=True)
    ]
    for process, (_, theirs) in zip(processes, pipes, strict=True):
        process.start()
        theirs.close()
    last: list[dict[str, Any]] = [{}, {}]
    for number, (ours, _) in reversed([*enumerate(pipes)]):
        with contextlib.suppress(EOFError):
            while ours.poll(120):
                last[number] = json.loads(ours.recv())
                if number == 1 and (last[1]["event"], last[1].get("step")) == ("progress", 3):
                    os.kill(processes[1].pid, signal.SIGTERM)
    for process in processes:
        process.join(60)
    return [(process.exitcode, line) for process, line in zip(processes, last, strict=True)]


def tasks() -> list[str]:
    """TF_CONFIG of two workers on free ports."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    return [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}, "environment": "cloud"})
        for index in range(2)
    ]


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "count", "chief"),
    [
        ({}, "worker", 0, 1, True),
        ({"worker": ["a", "b"]}, "worker", 0, 2, True),
        ({"worker": ["a", "b"]}, "worker", 1, 2, False),
        ({"chief": ["a"], "worker": ["b"]}, "chief", 0, 2, True),
        ({"chief": ["a"], "worker": ["b"]}, "worker", 0, 2, False),
    ],
)
def test_one_worker_writes(
    cluster: dict[str, list[str]], kind: str, index: int, count: int, chief: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))
    assert (workers.count(), workers.is_chief()) == (count, chief)


def test_two_workers_resume_exactly_and_refuse_to_begin_from_different_checkpoints(tmp_path: Path) -> None:
    undisturbed = both(tmp_path / "undisturbed")
    digests = {life.result["digest"] if life.result else None for life in undisturbed}
    assert len(digests) == 1, undisturbed
    assert None not in digests, undisturbed
    killed = both(tmp_path / "killed", kill_at=9)
    # Whoever hears first that the other one is gone fails; neither has ended the run.
    assert not any("digest" in (life.result or {}) for life in killed), killed
    resumed = both(tmp_path / "killed")
    assert resumed[0].resumed_at == resumed[1].resumed_at
    assert max(life.reached for life in killed) - resumed[0].resumed_at <= PAIR.save_every_steps
    assert {life.result["digest"] if life.result else None for life in resumed} == digests

    noticed = told_to_leave(tmp_path / "noticed")
    assert [status for status, _ in noticed] == [75, 75], noticed
    assert len({last["step"] for _, last in noticed}) == 1, "all of them hear it in the same step"
    ended = both(tmp_path / "noticed")
    assert ended[0].resumed_at == ended[1].resumed_at == noticed[0][1]["step"]
    assert {life.result["digest"] if life.result else None for life in ended} == digests

    apart = both(tmp_path / "killed", second=tmp_path / "not mounted")
    assert all("different checkpoints" in (life.result or {}).get("message", "") for life in apart), apart
