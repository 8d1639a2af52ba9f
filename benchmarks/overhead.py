"""What automation adds between a push and the promoted image, without the test's own time and the copy's own time.

From the moment the push was answered to the transition to Promoted, less what the run's record says that the test took
(startTime to finishTime) and what the import operation took. Everything else counts: notification, Event Grid, the queue, the
time in which a run waits for its agent, the time until somebody notices that a test has ended, and every call.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import IO, Any, cast

from benchmarks.figures import Aim, Figure, compared, percentile
from benchmarks.stage import GATES, Arm, arm, staged
from local import world
from local.app_settings import app_settings
from local.base_image import ensure_base_image
from local.containers import find_engine
from local.image_blobs import Descriptor, push_variant
from local.images import push
from local.parts import Launch
from local.site import Site

_LIMIT_S = 120
_API = "2025-03-01-preview"
_SEED = ("seed/base", "v1")
_AIMS = {50: Aim("value", "<", 1.5), 95: Aim("value", "<", 3.0)}


@dataclasses.dataclass(frozen=True, slots=True)
class Passage:
    """One image's way; Unix times and durations in seconds."""

    pushed: float
    promoted: float
    test: float
    copy: float

    @property
    def overhead(self) -> float:
        return self.promoted - self.pushed - self.test - self.copy


def measure(*, quick: bool) -> Sequence[Figure]:
    """Images go one at a time, in turn by the product and by a straight-line script. The first of each is shown apart."""
    count = 0 if quick else 20
    with staged() as site, _straight_line(site) as script:
        engine = find_engine()
        push(ensure_base_image(engine), site.stack.ports.staging_registry, *_SEED, engine=engine)
        clock = _Stopwatch(site, arm(site), script)
        pairs = [(clock.by_product(number), clock.by_script(number)) for number in range(count + 1)]
    ours, theirs = ([passage.overhead for passage in way] for way in zip(*pairs, strict=True))
    kinds = [
        compared(
            f"overhead push to promoted, p{percent} of {max(count, 1)} / straight-line script",
            ours[1:] or ours,
            theirs[1:] or theirs,
            "s",
            aim,
            summary=functools.partial(percentile, percent=percent),
        )
        for percent, aim in _AIMS.items()
    ]
    return (*kinds, Figure("overhead of the first image after start / script", ours[0], "s", theirs[0]))


@dataclasses.dataclass(frozen=True, slots=True)
class _Stopwatch:
    site: Site
    arm: Arm
    script: _Script

    def by_product(self, number: int) -> Passage:
        repository, tag = f"tested/app-{number}", "v1"
        image, pushed = self._push(repository, tag, number)
        ends = time.monotonic() + _LIMIT_S
        # The tag is looked for in the registry: questions to the app would take time from its work.
        while self.site.digest(world.HEALTHY, repository, tag) != image.digest:
            self._check(repository, ends)
            time.sleep(0.1)
        while (promotion := self._promotion(repository))["state"] != "Promoted":
            self._check(repository, ends)
            time.sleep(0.1)
        promoted = datetime.datetime.fromisoformat(promotion["history"][-1]["at"]).timestamp()
        return self._passage(pushed, promoted, promotion["verdict"]["run"])

    def by_script(self, number: int) -> Passage:
        repository, tag = f"script/app-{number}", "v1"
        image, pushed = self._push(repository, tag, number)
        answer = self.script.promote(
            {"repository": repository, "tag": tag, "digest": image.digest, "like": "tested/app"}
        )
        return self._passage(pushed, answer["promoted"], answer["run"])

    def _push(self, repository: str, tag: str, number: int) -> tuple[Descriptor, float]:
        url = self.site.registry_url(world.STAGING)
        image = push_variant(url, _SEED, repository, tag, environment={"NUMBER": f"{repository} {number}"})
        return image, time.time()

    def _passage(self, pushed: float, promoted: float, run: str) -> Passage:
        path = f"{world.registry_id(world.STAGING)}/runs/{run}?api-version={_API}"
        properties = self.arm.call("GET", path).json()["properties"]
        started, finished = (_unix(properties[name]) for name in ("startTime", "finishTime"))
        operations = self.site.cloud("GET", "/admin/operations").json()["operations"]
        copy = sum(each["finished"] - each["started"] for each in operations if pushed <= each["started"] <= promoted)
        return Passage(pushed, promoted, finished - started, copy)

    def _promotion(self, repository: str) -> dict[str, Any]:
        (entry,) = self.site.promotions(repository)
        return self.site.promotion(entry["id"])

    def _check(self, repository: str, ends: float) -> None:
        if time.monotonic() > ends:
            raise RuntimeError(f"not promoted within {_LIMIT_S} s: {self.site.promotions(repository)}")


@dataclasses.dataclass(frozen=True, slots=True)
class _Script:
    """A running straight_line.py."""

    orders: IO[str]
    answers: IO[str]

    def promote(self, image: dict[str, str]) -> dict[str, Any]:
        self.orders.write(json.dumps(image) + "\n")
        self.orders.flush()
        line = self.answers.readline()
        if not line:
            raise RuntimeError("the straight-line script ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def _straight_line(site: Site) -> Iterator[_Script]:
    settings = app_settings(site.stack.storage_connection) | {"TIDEGATE_GATES_FILE": str(GATES)}
    launch = Launch([sys.executable, "-m", "benchmarks.straight_line"], site.stack.client_environment() | settings)
    with subprocess.Popen(
        launch.command,
        env=launch.process_environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        orders, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        yield _Script(orders, answers)
        orders.close()


def _unix(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
