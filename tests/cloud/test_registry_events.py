"""Notifications of docker-registry as events of the registry's topic."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from local import world
from local.cloud import registry_events
from local.cloud.core import Cloud, Options
from local.cloud.importer import Image, Importer, Target
from local.cloud.manifests import OCI_INDEX, OCI_MANIFEST
from local.cloud.registries import Registries, Registry
from local.cloud.registry_events import event_of
from local.cloud.untagging import remove_tag
from local.registry import RegistryProcess, start_command
from tests.cloud.images import Pusher
from tests.cloud.world import eventually, free_ports, in_thread, running

DIGEST = "sha256:" + "1" * 64


def _notification(action: str, **target: Any) -> dict[str, Any]:
    """As docker-registry 2.8.2 posts it."""
    return {
        "id": "74eece39-73e6-4fe3-9e44-3067abd48421",
        "timestamp": "2026-01-02T03:04:05.439808773Z",
        "action": action,
        "target": target,
        "request": {
            "id": "feeae301-4f5e-4212-8330-8ee6b59f78ef",
            "addr": "127.0.0.1:51102",
            "host": "127.0.0.1:17501",
            "method": "PUT",
            "useragent": "docker/27",
        },
        "actor": {},
        "source": {"addr": "host:17501", "instanceID": "e72b8f4e-d325-4748-af71-caaad70e1210"},
    }


def _push(media_type: str, **more: Any) -> dict[str, Any]:
    details = {"size": 9, "digest": DIGEST, "length": 9, "repository": "a/b", "url": "/v2/a/b/manifests/v1"}
    return _notification("push", mediaType=media_type, **details, **more)


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, OCI_INDEX])
def test_a_push_is_an_image_pushed_event_of_the_login_server(media_type: str) -> None:
    event = event_of(world.STAGING, _push(media_type, tag="v1"))
    assert event is not None
    assert (event["eventType"], event["subject"]) == ("Microsoft.ContainerRegistry.ImagePushed", "a/b:v1")
    assert event["data"]["target"] == {
        "mediaType": media_type,
        "size": 9,
        "digest": DIGEST,
        "length": 9,
        "repository": "a/b",
        "tag": "v1",
    }
    assert event["data"]["request"]["host"] == world.login_server(world.STAGING)


def test_a_push_by_digest_has_no_tag() -> None:
    event = event_of(world.STAGING, _push(OCI_MANIFEST))
    assert event is not None
    assert event["subject"] == "a/b"
    assert "tag" not in event["data"]["target"]


def test_a_deletion_is_an_image_deleted_event_of_the_repository() -> None:
    event = event_of(world.STAGING, _notification("delete", digest=DIGEST, repository="a/b"))
    assert event is not None
    assert (event["eventType"], event["subject"]) == ("Microsoft.ContainerRegistry.ImageDeleted", "a/b")


@pytest.mark.parametrize(
    "notification",
    [
        _push("application/octet-stream"),
        _notification("pull", mediaType=OCI_MANIFEST, digest=DIGEST, repository="a/b", tag="v1"),
        _notification("delete", repository="a/b", tag="v1"),
    ],
    ids=["a blob", "a pull", "a tag that went with its manifest"],
)
def test_what_azure_raises_no_event_for_is_none(notification: dict[str, Any]) -> None:
    assert event_of(world.STAGING, notification) is None


class Published:
    """Stands for Event Grid: keeps what was published."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    async def publish(self, topic_id: str, events: list[dict[str, Any]]) -> None:
        self.events += [(topic_id, event) for event in events]


@dataclasses.dataclass(frozen=True)
class Source:
    """A docker-registry whose notifications reach a cloud, and what that cloud published."""

    pusher: Pusher
    registry: Registry
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    published: Published


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    cloud_port, registry_port = free_ports(2)
    url = f"http://127.0.0.1:{registry_port}"
    cloud = Cloud(Options({world.STAGING: url}, tmp_path / "state"))
    cloud.event_grid = published = Published()
    registries = Registries(cloud)
    registry_events.install(cloud, registries)

    async def serve(stack: contextlib.AsyncExitStack) -> None:
        runner = web.AppRunner(cloud.build(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", cloud_port).start()

    process = RegistryProcess(world.STAGING, registry_port, tmp_path, f"http://127.0.0.1:{cloud_port}")
    command = start_command(process.write_configuration())
    with in_thread(serve) as run, running(command, registry_port, tmp_path / "log"):
        yield Source(Pusher(url, "a/b"), registries.named(world.STAGING), run, published)


@pytest.mark.stack
def test_a_push_to_docker_registry_reaches_the_registrys_topic(source: Source) -> None:
    digest = source.pusher.image("v1", b"layer")
    eventually(lambda: source.published.events, "no event was published")
    ((topic, event),) = source.published.events
    assert topic == world.registry_id(world.STAGING)
    assert (event["subject"], event["data"]["target"]["digest"]) == ("a/b:v1", digest)


@pytest.mark.stack
def test_removing_a_tag_raises_no_event(source: Source) -> None:
    source.pusher.image("v1")
    source.run(remove_tag(source.registry, "a/b", "v1"))
    source.pusher.image("last")
    eventually(lambda: len(source.published.events) >= 2, "the last push was not published")
    assert [event["subject"] for _, event in source.published.events] == ["a/b:v1", "a/b:last"]


@pytest.mark.stack
def test_an_imported_index_raises_one_event_with_its_tag(source: Source) -> None:
    """Children have no tag at any moment, so nobody takes one of them for the image."""
    index = source.pusher.index("v1", [source.pusher.image(None, name.encode()) for name in ("amd64", "arm64")])
    source.run(Importer().copy(Image(source.registry, "a/b", index), source.registry, [Target("c/d", "v1")]))

    def subjects() -> list[str]:
        return [event["subject"] for _, event in source.published.events if event["subject"].startswith("c/d")]

    eventually(lambda: len(subjects()) >= 3, f"not all manifests were published: {subjects()}")
    assert subjects() == ["c/d", "c/d", "c/d:v1"]


def test_an_unknown_registrys_notification_is_refused(tmp_path: Path) -> None:
    async def post() -> int:
        cloud = Cloud(Options({}, tmp_path))
        registry_events.install(cloud, Registries(cloud))
        async with TestClient(TestServer(cloud.build())) as client:
            answer = await client.post("/notifications/nowhere", data=json.dumps({"events": []}))
            return answer.status

    assert asyncio.run(post()) == 404
