"""Two workers share each batch; killed and resumed together, they end as if they had never been."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import socket
from pathlib import Path

from tests.trainer.runs import SHORT
from trainer.drill import Life, live

PAIR = dataclasses.replace(SHORT, name="PAIR", epochs=1, batch=64, save_every_steps=4, threads=1)


def both(workdir: Path, kill_at: int | None = None, second: Path | None = None) -> list[Life]:
    """Two processes on loopback, started together as Azure ML does it; `second`: another work directory for one of them."""
    ports = free_ports(2)
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}

    def worker(index: int) -> Life:
        task = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}, "environment": "cloud"})
        kill = None if kill_at is None else (kill_at, 0.0)
        return live(PAIR, second if second and index else workdir, kill, environment={"TF_CONFIG": task})

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(worker, range(2)))


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


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

    apart = both(tmp_path / "killed", second=tmp_path / "not mounted")
    assert all("different checkpoints" in (life.result or {}).get("message", "") for life in apart), apart
