"""Scoring over HTTP beside a direct call of the model and beside the bare server: LiteRT, TensorFlow, an empty `run`.

`make bench-scoring` prints a table and writes build/bench-scoring.json. Client and server share the machine's cores.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from benchmarks.figures import Aim, Figure, compared, percentile, rounds, table, write
from benchmarks.scoring_refusals import memory_mb, refusal_figures
from scoring.local_service import LocalService

_EXAMPLES = Path(__file__).parents[1] / "scoring" / "examples"
_EMPTY = """
from azureml_inference_server_http.api.aml_request import rawhttp

def init():
    pass

@rawhttp
def run(request):
    return []
"""
_REQUESTS = int(os.environ.get("BENCH_REQUESTS", "300"))
_BLOCK = 20
"""Requests of one way before it is the turn of the next."""


def requests_ms(service: LocalService, image: bytes, count: int) -> list[float]:
    """Milliseconds of each of `count` requests by one client; a connection each, as the server closes them."""
    return [_once(service.port, image) for _ in range(count)]


def throughput(service: LocalService, image: bytes, clients: int = 4) -> float:
    """Answers a second to several clients at once."""
    count = _REQUESTS // clients
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda _: [_once(service.port, image) for _ in range(count)], range(clients)))
    return count * clients / (time.perf_counter() - began)


def _once(port: int, image: bytes) -> float:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/score", body=image, headers={"Content-Type": "application/octet-stream"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"status {answer.status}")
    return 1000 * (time.perf_counter() - began)


class Direct:
    """What `run` does without a server: decoding and the model, in a process of its own that is asked block by block."""

    def __init__(self, script: Path, model: Path, image: Path) -> None:
        code = (
            "import importlib.util, os, sys, time\n"
            f"os.environ['AZUREML_MODEL_DIR'] = {str(model)!r}\n"
            f"spec = importlib.util.spec_from_file_location('score', {str(script)!r})\n"
            "score = importlib.util.module_from_spec(spec); spec.loader.exec_module(score); score.init()\n"
            "from scoring.service import detections\n"
            f"image = open({str(image)!r}, 'rb').read()\n"
            "for line in sys.stdin:\n"
            "    taken = []\n"
            "    for _ in range(int(line)):\n"
            "        began = time.perf_counter(); detections(image, score._READY[0])\n"
            "        taken.append(1000 * (time.perf_counter() - began))\n"
            "    print('ms', *taken, flush=True)\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ms(self, count: int) -> list[float]:
        """Milliseconds of each of `count` calls."""
        streams = self._process.stdin, self._process.stdout
        if streams[0] is None or streams[1] is None:
            raise RuntimeError("the process has no pipes")
        streams[0].write(f"{count}\n")
        streams[0].flush()
        line = next((line for line in streams[1] if line.startswith("ms ")), "")
        return [float(word) for word in line.split()[1:]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


@contextlib.contextmanager
def started(script: Path, model: Path, warm: str) -> Iterator[tuple[LocalService, float]]:
    """A service and the seconds until it was ready."""
    began = time.perf_counter()
    with LocalService(script, model, warm=warm) as service:
        yield service, time.perf_counter() - began


def figures_of(name: str, warm: str, model: Path, image: Path, bare: LocalService) -> list[Figure]:
    """One example over HTTP, the direct call and the empty `run` by turns: what else the machine does meets all alike."""
    script = _EXAMPLES / name / "score.py"
    body = image.read_bytes()
    lite = warm == "litert"
    aim = Aim("value", "<=", 5) if lite else Aim("ratio", "<=", 1.5)
    with started(script, model, warm) as (service, seconds), Direct(script, model, image) as direct:
        over, called, empty = _by_turns(
            lambda count: requests_ms(service, body, count), direct.ms, lambda count: requests_ms(bare, body, count)
        )
        rate, bound = throughput(service, body), throughput(bare, body)
        memory = memory_mb(service.worker)
        refusals = refusal_figures(name, service)
        reload_s = service.reload()
    return [
        Figure(f"{name}: start to ready", seconds, "s", None, Aim("value", "<=", 5) if lite else None),
        Figure(f"{name}: memory of the worker", memory, "MB", None, Aim("value", "<=", 120) if lite else None),
        Figure(f"{name}: reload", reload_s, "s", None, Aim("value", "<", 2)),
        compared(f"{name}: p50 over HTTP / direct call", over, called, "ms", aim),
        compared(f"{name}: p50 over HTTP / an empty run", over, empty, "ms"),
        *(_tail(name, over, called, percent, "direct call") for percent in (95, 99)),
        *(_tail(name, over, empty, percent, "an empty run") for percent in (95, 99)),
        Figure(f"{name}: answers a second to 4 clients / an empty run", rate, "1/s", bound),
        Figure(
            f"{name}: answers a second to 4 clients / direct calls by one",
            rate,
            "1/s",
            1000 / statistics.median(called),
        ),
        *refusals,
    ]


def _by_turns(*ways: Callable[[int], list[float]]) -> list[list[float]]:
    """Milliseconds of as many calls of each way, in blocks; the first block of each only warms it up."""
    for way in ways:
        way(_BLOCK)
    taken: list[list[float]] = [[] for _ in ways]
    for number in rounds(range(len(ways)), _REQUESTS // _BLOCK):
        taken[number] += ways[number](_BLOCK)
    return taken


def _tail(name: str, over: list[float], beside: list[float], percent: float, what: str) -> Figure:
    label = f"{name}: p{percent:g} over HTTP / {what}"
    return Figure(label, percentile(over, percent), "ms", percentile(beside, percent))


def _export(folder: Path) -> Path:
    environment = os.environ | {"TRAINER_METADATA_URL": "off", "TF_CPP_MIN_LOG_LEVEL": "3"}
    config = folder / "config.toml"
    config.write_text('model = "mobilenet_v3_small"\nimage_size = 96\nepochs = 1\n')
    command = [sys.executable, "-m", "trainer", "--config", str(config), "--workdir", str(folder / "run")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return folder / "run" / "export"


def main() -> int:
    """0 whatever the figures are: a busy machine misses aims."""
    with tempfile.TemporaryDirectory(prefix="bench-scoring-") as name:
        folder = Path(name)
        model = _export(folder)
        empty = folder / "score.py"
        empty.write_text(_EMPTY)
        image = model / "samples" / "0.png"
        with started(empty, model, "litert") as (service, seconds):
            [bare] = _by_turns(lambda count: requests_ms(service, image.read_bytes(), count))
            figures = [
                Figure("an empty run: start to ready", seconds, "s"),
                Figure("an empty run: p50", statistics.median(bare), "ms"),
                Figure("an empty run: p99", percentile(bare, 99), "ms"),
                Figure("an empty run: answers a second to 4 clients", throughput(service, image.read_bytes()), "1/s"),
            ]
            figures += figures_of("classifier", "litert", model, image, service)
            figures += figures_of("classifier_tensorflow", "tensorflow", model, image, service)
    print(table(figures))
    conditions = f"{len(os.sched_getaffinity(0))} cores shared by client and server, load {os.getloadavg()[0]:.1f}"
    write(Path("build/bench-scoring.json"), conditions, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
