"""One stack for all end-to-end tests, on free ports beside a running one, and images that say what their test shall do."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local import world
from local.base_image import ensure_base_image
from local.containers import find_engine
from local.image_blobs import Descriptor, push_variant
from local.images import push
from local.ports import free_ports
from local.site import Site
from local.stack import Stack

GATES = Path(__file__).with_name("gates.yaml")
FINAL = {"Promoted", "Rejected", "Superseded", "Ignored", "Errored"}
_NUMBERS = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A running stack and a repository of its own for each test."""

    site: Site

    def repository(self, kind: str) -> str:
        """A fresh repository under one of the gates: `fixed`, `moving`, `strict`."""
        return f"{kind}/image-{next(_NUMBERS)}"

    def push(
        self, repository: str, tag: str | None, *, labels: dict[str, str] | None = None, **environment: object
    ) -> Descriptor:
        """Push a real image to staging; CODE is its test's exit status, SECONDS_LONG how long the test takes."""
        variables = {name: str(value) for name, value in environment.items()}
        url = self.site.registry_url(world.STAGING)
        return push_variant(url, ("seed/base", "v1"), repository, tag, environment=variables, labels=labels)

    def wait(self, repository: str, digest: str, *states: str, within: float = 60) -> dict[str, Any]:
        """The promotion of a digest once it is in one of the states (any final one when none is named)."""
        wanted = set(states) or FINAL
        found = self.until(lambda: self._in_state(repository, digest, wanted), within)
        assert found is not None, (
            f"{repository}@{digest} is not {wanted} after {within} s: {self.site.promotions(repository)}"
        )
        return found

    def _in_state(self, repository: str, digest: str, wanted: set[str]) -> dict[str, Any] | None:
        for entry in self.site.promotions(repository):
            if entry["digest"] == digest:
                promotion = self.site.promotion(entry["id"])
                if promotion["state"] in wanted:
                    return promotion
        return None

    def until[T](self, look: Callable[[], T | None], within: float = 30) -> T | None:
        """What `look` finds, as soon as it finds something; None after `within` seconds."""
        end = time.monotonic() + within
        while (found := look()) is None and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def healthy(self, repository: str, reference: str) -> str | None:
        """The digest in the healthy registry."""
        return self.site.digest(world.HEALTHY, repository, reference)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = {"TIDEGATE_GATES_FILE": str(GATES)}
    with Stack(tmp_path_factory.mktemp("stack"), free_ports(), settings=settings) as stack:
        engine = find_engine()
        push(ensure_base_image(engine), stack.ports.staging_registry, "seed/base", "v1", engine=engine)
        yield Site(stack)


@pytest.fixture
def scene(site: Site) -> Scene:
    return Scene(site)


def kill_workers(site: Site) -> int:
    """Kill the processes that run the functions, not the host around them, without a warning."""
    host = next(each.pid for each in site.stack.status() if each.part == "functions")
    killed = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, StopIteration):
            parent = next(line for line in status.read_text().splitlines() if line.startswith("PPid:"))
            if int(parent.split()[1]) == host:
                os.kill(int(status.parent.name), signal.SIGKILL)
                killed += 1
    return killed
