"""What bad requests cost a scoring service: how many of them are its own fault, and how much memory it keeps."""

from __future__ import annotations

import http.client
from pathlib import Path

from benchmarks.figures import Aim, Figure
from scoring.local_service import LocalService
from tests.scoring import pictures

_SERVERS_FAULT = 500


def refusal_figures(name: str, service: LocalService) -> list[Figure]:
    """The corpus of the tests with decompression bombs, as images and as JSON."""
    corpus = pictures.bad() | {"bomb": pictures.bomb(15_000, 15_000), "scans": pictures.scans(1000)}
    before = memory_mb(service.worker)
    statuses = [_status(service.port, body, kind) for body in corpus.values() for kind in ("octet-stream", "json")]
    growth = memory_mb(service.worker) - before
    faults = sum(status >= _SERVERS_FAULT for status in statuses)
    return [
        Figure(f"{name}: of {len(statuses)} bad requests answered with 5xx", faults, "", None, Aim("value", "<=", 0)),
        Figure(f"{name}: memory kept after them", max(0.0, growth), "MB", None, Aim("value", "<=", 100)),
    ]


def memory_mb(worker: int) -> float:
    """Of a process, as the kernel counts it."""
    return int(Path(f"/proc/{worker}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def _status(port: int, body: bytes, kind: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/score", body=body, headers={"Content-Type": f"application/{kind}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status
