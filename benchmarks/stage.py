"""Local stacks for benchmarks, with gates of their own, on free ports; gone afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local import world
from local.ports import free_ports
from local.site import Answer, Site, send
from local.stack import Stack

GATES = Path(__file__).with_name("gates.yaml")
_SCRATCH = Path(__file__).parents[1] / "build"
"""On the disk of the repository, not in a memory file system: registries write as they do otherwise."""


_shared: list[Site] = []


@contextlib.contextmanager
def staged() -> Iterator[Site]:
    """A running stack, empty at first; inside `shared` the one stack that there is."""
    if _shared:
        yield _shared[0]
        return
    with fresh() as site:
        yield site


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """One stack for everything in the block: quick, and every benchmark meets what others left behind."""
    with fresh() as site:
        _shared.append(site)
        try:
            yield
        finally:
            _shared.clear()


@contextlib.contextmanager
def fresh() -> Iterator[Site]:
    """A running stack that nobody else uses."""
    _SCRATCH.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=_SCRATCH) as folder,
        Stack(Path(folder), free_ports(), settings={"TIDEGATE_GATES_FILE": str(GATES)}) as stack,
    ):
        yield Site(stack)


@dataclasses.dataclass(frozen=True, slots=True)
class Arm:
    """The stand-in's management plane, called without the TLS in front of it."""

    site: Site
    token: str

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """`path` with its api-version."""
        headers = {"Host": "management.azure.com", "Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        headers |= {} if body is None else {"Content-Type": "application/json"}
        return send(method, f"http://127.0.0.1:{self.site.stack.ports.cloud}{path}", data, headers)


def arm(site: Site) -> Arm:
    """With a token of the local identity."""
    url = f"http://127.0.0.1:{site.stack.ports.cloud}/msi/token"
    query = "?api-version=2019-08-01&resource=https://management.azure.com"
    return Arm(site, send("GET", url + query, None, {"X-IDENTITY-HEADER": "local"}).json()["access_token"])


def push_event(repository: str, tag: str, digest: str, identity: str, at: str) -> dict[str, Any]:
    """What Event Grid delivers for a push, in the CloudEvents schema; `at` is RFC 3339."""
    return {
        "specversion": "1.0",
        "id": identity,
        "source": world.registry_id(world.STAGING),
        "subject": f"{repository}:{tag}",
        "type": "Microsoft.ContainerRegistry.ImagePushed",
        "time": at,
        "data": {
            "id": identity,
            "timestamp": at,
            "action": "push",
            "target": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "size": 500,
                "digest": digest,
                "length": 500,
                "repository": repository,
                "tag": tag,
            },
            "request": {"id": identity, "host": world.login_server(world.STAGING), "method": "PUT"},
        },
    }
