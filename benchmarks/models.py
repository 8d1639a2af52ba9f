"""What a delivery adds to its deployment's own start, how long traffic takes to move, and what an endpoint adds to a request.

`python -m benchmarks.models [--versions N] [--requests N]` writes build/bench-models.json. Every version is a real model behind a
real inference server; the time of the server's start, which neither the product nor the script can shorten, is taken off both.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from benchmarks import figures, machine
from benchmarks.figures import Aim, Figure, compared, percentile, rounds
from local import job_site, model_site
from local.app_settings import app_settings
from local.containers import find_engine
from local.parts import Launch
from local.ports import free_ports
from local.site import Site, send
from local.stack import Stack

OUT = Path(__file__).parents[1] / "build" / "bench-models.json"
GATES = Path(__file__).with_name("model_gates.yaml")
ENDPOINT = "product-dev"
SOAK_S = 1.0
_LIMIT_S = 180.0
_AIMS = {50: Aim("value", "<", 3.0), 95: Aim("value", "<", 6.0)}


def main() -> int:
    """Exit status 0, whether aims are met or not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--versions", type=int, default=12)
    parser.add_argument("--requests", type=int, default=400)
    options = parser.parse_args()
    conditions = machine.conditions()
    print(conditions, flush=True)
    measured = measure(options.versions, options.requests)
    print(figures.table(measured))
    figures.write(OUT, conditions, measured)
    print(OUT)
    return 0


def measure(versions: int, requests: int) -> Sequence[Figure]:
    """All figures."""
    settings = {"TIDEGATE_GATES_FILE": str(GATES)}
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder) / "stack", free_ports(), settings=settings) as stack,
    ):
        site = Site(stack)
        image = model_site.ensure_image(site, find_engine())
        metrics = model_site.train(Path(folder) / "model")
        register = functools.partial(
            model_site.register, site, folder=Path(folder) / "model", image=image, metrics=metrics
        )
        with _script(site) as script:
            pairs = [
                (_by_product(site, register("product")), _by_script(site, script, register("script")))
                for _ in range(versions)
            ]
        return (*_deliveries(pairs), *_scoring(site, Path(folder) / "model", requests))


type Passage = tuple[float, float]
"""Seconds without the server's start (and the soak), and seconds that moving the traffic took."""


def _deliveries(pairs: Sequence[tuple[Passage, Passage]]) -> Iterator[Figure]:
    warm = pairs[1:] or pairs  # the first one imports, and makes the endpoint
    ours, theirs = ([passage[0] for passage in way] for way in zip(*warm, strict=True))
    for percent, aim in _AIMS.items():
        name = f"delivery without the deployment's start, p{percent} of {len(warm)} / straight-line script"
        yield compared(name, ours, theirs, "s", aim, summary=functools.partial(percentile, percent=percent))
    ours, theirs = ([passage[1] for passage in way] for way in zip(*warm, strict=True))
    yield compared("traffic shift, asked to read back, median / straight-line script", ours, theirs, "s")


def _by_product(site: Site, version: str) -> Passage:
    found = job_site.until(functools.partial(_ended, site, version), _LIMIT_S)
    if not found or found["state"] != "Delivered":
        raise RuntimeError(f"product:{version}: {found}")
    began, ended = (datetime.datetime.fromisoformat(found["history"][place]["at"]).timestamp() for place in (0, -1))
    first = len(found["history"]) and version == "1"
    return ended - began - _started(site, ENDPOINT) - (0 if first else SOAK_S), _shift(site)


def _ended(site: Site, version: str) -> dict[str, Any] | None:
    found = model_site.delivery(site, "product", version)
    return found if found and found["state"] in ("Delivered", "Rejected", "Failed", "Errored", "RolledBack") else None


def _by_script(site: Site, script: _Script, version: str) -> Passage:
    answer = script.ask(
        {"workspace": model_site.WORKSPACE, "name": "script", "version": version, "endpoint": "script-dev"}
    )
    return answer["seconds"] - _started(site, "script-dev"), answer["shift"]


def _started(site: Site, endpoint: str) -> float:
    """Seconds that the newest server of an endpoint took to start."""
    return float(_processes(site, endpoint)[-1]["startedSeconds"])


def _processes(site: Site, endpoint: str) -> list[dict[str, Any]]:
    listed = site.cloud("GET", "/admin/endpoints").json()["endpoints"]
    found = next(each for each in listed if each["name"] == endpoint)
    return [each for each in found["deployments"] if "port" in each]


_LINE = re.compile(
    r"^(\d\d):(\d\d):(\d\d\.\d+) .*endpoint-rollout.*\"event\": \"(SmokePassed|EndpointFound)\", \"before\": \"(\w+)\"",
    re.MULTILINE,
)


def _shift(site: Site) -> float:
    """From the decision to move the traffic to the look that saw it moved, by the app's own log."""
    asked = moved = 0.0
    for hours, minutes, seconds, event, before in _LINE.findall(
        (site.stack.state / "logs" / "functions.log").read_text()
    ):
        at = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        if event == "SmokePassed":
            asked = at
        elif before == "ShiftingTraffic" and moved < asked:
            moved = at
    return (moved - asked) % 86400


def _scoring(site: Site, folder: Path, count: int) -> Iterator[Figure]:
    """The same request through the endpoint and at the server itself, in turn."""
    body = json.dumps(json.loads((folder / "samples.json").read_text())[0]["request"]).encode()
    key = model_site.score_key(site, "vision-dev", ENDPOINT)
    port = _processes(site, ENDPOINT)[-1]["port"]
    headers = {"Content-Type": "application/json"}
    ways = {
        "endpoint": lambda: model_site.score(site, ENDPOINT, key, body),
        "direct": lambda: send("POST", f"http://127.0.0.1:{port}/score", body, headers),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for way in rounds(tuple(ways), count):
        since = time.perf_counter()
        if ways[way]().status != 200:
            raise RuntimeError(f"scoring by {way}: no good answer")
        seconds[way].append((time.perf_counter() - since) * 1000)
    for percent in (50, 95):
        name = f"scoring through the endpoint, p{percent} of {count} / the inference server itself"
        yield compared(
            name, seconds["endpoint"], seconds["direct"], "ms", summary=functools.partial(percentile, percent=percent)
        )


class _Script:
    """A running model_line.py."""

    def __init__(self, orders: IO[str], answers: IO[str]) -> None:
        self._orders, self._answers = orders, answers

    def ask(self, order: dict[str, str]) -> dict[str, float]:
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        line = self._answers.readline()
        if not line:
            raise RuntimeError("the straight-line script ended")
        answer: dict[str, float] = json.loads(line)
        return answer


@contextlib.contextmanager
def _script(site: Site) -> Iterator[_Script]:
    settings = app_settings(site.stack.storage_connection) | {"TIDEGATE_GATES_FILE": str(GATES)}
    launch = Launch([sys.executable, "-m", "benchmarks.model_line"], site.stack.client_environment() | settings)
    environment = launch.process_environment(os.environ)
    pipe = subprocess.PIPE
    with subprocess.Popen(launch.command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        orders, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        yield _Script(orders, answers)
        orders.close()


if __name__ == "__main__":
    sys.exit(main())
