"""What a model developer does with the local stack: trains, registers, asks the endpoint; and what they see of a delivery."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from local import world
from local.containers import Engine
from local.images import build, push
from local.job_site import arm, until
from local.site import Answer, Site, send

WORKSPACE = "vision"
"""Where models are registered; stages serve in workspaces of their own."""
IMAGE = ("training/digits", "v1")
"""Repository and tag of the image that trains and serves, in both registries once it is promoted."""

_SERVING = Path(__file__).parents[1] / ".tools" / "serving" / "bin" / "python"
_TRAIN = Path(__file__).parent / "demo" / "digits" / "train.py"


def train(folder: Path, *options: str) -> dict[str, float]:
    """Train the digits model into a folder; gives its metrics. `--worse`, `--big MIB`, `--seed N`."""
    done = subprocess.run(
        [_SERVING, _TRAIN, folder, *options], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise RuntimeError(f"training: {done.stderr.strip()[-800:]}")
    metrics: dict[str, float] = json.loads(done.stdout)
    return metrics


def register(site: Site, name: str, folder: Path, image: str, metrics: dict[str, float], **tags: str) -> str:
    """Register a folder as the next version, with all that a gate asks for; gives the version."""
    every = {
        "task": "classification",
        "run": f"train-{name}",
        "data": "scikit-learn digits",
        "image": image,
        **{f"metrics.{key}": str(value) for key, value in metrics.items()},
        **tags,
    }
    command = [sys.executable, "-m", "local.model_registration", WORKSPACE, name, str(folder), json.dumps(every)]
    environment = os.environ | site.stack.client_environment(world.OWNER)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"registration of {name}: {done.stderr.strip()[-1500:]}")
    return done.stdout.split()[-1]


def ensure_image(site: Site, engine: Engine) -> str:
    """The image that trains and serves, by digest in the healthy registry; pushed to staging where healthy lacks it."""
    repository, tag = IMAGE
    if site.digest(world.HEALTHY, repository, tag) is None:
        push(build("passes", engine=engine), site.stack.ports.staging_registry, repository, tag, engine=engine)
    digest = until(lambda: site.digest(world.HEALTHY, repository, tag), 90)
    if digest is None:
        raise RuntimeError(f"{repository}:{tag} was not promoted within 90 s: {site.promotions(repository)}")
    return f"{world.login_server(world.HEALTHY)}/{repository}@{digest}"


def delivery(site: Site, name: str, version: str) -> dict[str, Any] | None:
    """The delivery of a version with everything the API says of it; None: there is none."""
    listed = site.api("GET", f"/deliveries?model={name}").json()["items"]
    found = next((each for each in listed if each["version"] == version), None)
    return None if found is None else site.api("GET", f"/deliveries/{found['id']}").json()


def endpoint_path(workspace: str, endpoint: str) -> str:
    """Path of an online endpoint at ARM."""
    return f"{world.workspace_id(workspace)}/onlineEndpoints/{endpoint}"


def weights(site: Site, workspace: str, endpoint: str) -> tuple[dict[str, int], dict[str, int]]:
    """How the endpoint divides its traffic, live and mirrored, by deployment; empty where there is no endpoint."""
    status, body = arm(site, "GET", endpoint_path(workspace, endpoint))
    properties = body["properties"] if status == 200 else {}
    return properties.get("traffic") or {}, properties.get("mirrorTraffic") or {}


def deployments(site: Site, workspace: str, endpoint: str) -> set[str]:
    """Names of the endpoint's deployments."""
    status, body = arm(site, "GET", f"{endpoint_path(workspace, endpoint)}/deployments")
    return {each["name"] for each in body["value"]} if status == 200 else set()


@dataclasses.dataclass(slots=True)
class Callers:
    """People who use an endpoint all the time, at a steady rate, and count what they get. A context manager."""

    site: Site
    workspace: str
    endpoint: str
    body: bytes
    rate: float = 20.0
    """Requests a second, by all together."""
    callers: int = 4
    answers: dict[int, int] = dataclasses.field(default_factory=dict)
    """How many answers of each status; 0: none came."""
    seconds: list[float] = dataclasses.field(default_factory=list)
    _stop: threading.Event = dataclasses.field(default_factory=threading.Event)
    _threads: list[threading.Thread] = dataclasses.field(default_factory=list)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._call_on) for _ in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    @property
    def failed(self) -> int:
        return self.total - self.answers.get(200, 0)

    def _call_on(self) -> None:
        key = ""
        pause = self.callers / self.rate
        while not self._stop.wait(pause):
            key = key or score_key(self.site, self.workspace, self.endpoint)
            if not key:  # there is no endpoint, yet or any more
                continue
            since = time.monotonic()
            status = score(self.site, self.endpoint, key, self.body).status
            with self._lock:
                self.answers[status] = self.answers.get(status, 0) + 1
                self.seconds.append(time.monotonic() - since)
            if status in (401, 404):
                key = ""


def score_key(site: Site, workspace: str, endpoint: str) -> str:
    """The endpoint's primary key; empty: there is no endpoint."""
    status, body = arm(site, "POST", f"{endpoint_path(workspace, endpoint)}/listKeys")
    return str(body["primaryKey"]) if status == 200 else ""


def score(site: Site, endpoint: str, key: str, body: bytes) -> Answer:
    """One request to the endpoint as anybody sends it; status 0: no answer."""
    host = f"{endpoint}.{world.LOCATION}.inference.ml.azure.com"
    headers = {"Host": host, "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        return send("POST", f"http://127.0.0.1:{site.stack.ports.cloud}/score", body, headers)
    except OSError as error:
        return Answer(0, {}, str(error).encode())
