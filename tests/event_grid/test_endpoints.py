"""Delivery over HTTP: webhooks, functions with their key, faults on demand, a killed process, real storage."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from azure.storage.blob import ContainerClient

from local import world
from local.cloud.event_grid_blobs import StorageAccount
from local.cloud.event_grid_dead_letters import StorageUnavailableError
from local.cloud.event_grid_endpoints import HttpEndpoints
from local.cloud.event_grid_schedule import Answer
from local.cloud.event_grid_store import Delivery
from local.cloud.event_grid_subscriptions import WebhookEndpoint
from tests.azurite import azurite
from tests.event_grid.fakes import EPOCH, WEBHOOK, event, raw_event, until, vector
from tests.event_grid.wire import Receiver, Request, RunningCloud, running_cloud

STAGING = world.registry_id(world.STAGING)


def pushed(number: int = 1) -> dict[str, Any]:
    """An ImagePushed event as the registry raises it."""
    sample = vector("acr_imagepushed.docs2021.eventgrid")[0]
    changes = {"id": f"push-{number}", "eventType": "Microsoft.ContainerRegistry.ImagePushed"}
    return {name: value for name, value in (sample | changes).items() if name not in {"topic", "metadataVersion"}}


def delivery() -> Delivery:
    return Delivery(1, WEBHOOK.name, event(), 100, EPOCH, EPOCH)


async def subscribe(cloud: RunningCloud, receiver: Receiver, **changes: Any) -> None:
    body = {"name": "hook", "topic": "tidegate-outcomes", "endpoint": receiver.url} | changes
    status, _ = await cloud.post("/admin/subscriptions", body)
    assert status == 202


async def publish(cloud: RunningCloud, *numbers: int) -> None:
    await cloud.grid.publish(world.OUTCOMES_TOPIC_ID, [raw_event(number) for number in numbers])


def write_keys(folder: Path, value: str) -> None:
    """The Functions host's key file."""
    system = [{"name": "other_extension", "value": "o"}, {"name": "eventgrid_extension", "value": value}]
    keys = {"masterKey": {"name": "master", "value": "m"}, "functionKeys": [], "systemKeys": system}
    folder.mkdir(exist_ok=True)
    (folder / "host.json").write_text(json.dumps(keys), encoding="utf-8")


@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
def test_a_webhook_is_asked_first_and_then_gets_the_event(tmp_path: Path, schema: str) -> None:
    async def main() -> list[Request]:
        async with Receiver().listening() as receiver, running_cloud(tmp_path) as cloud:
            await subscribe(cloud, receiver, schema=schema)
            await publish(cloud, 1)
            await until(lambda: bool(receiver.deliveries))
            state = await cloud.subscription("hook")
            assert (state["provisioningState"], state["counters"]["delivered"]) == ("Succeeded", 1)
            return receiver.requests

    question, delivery = asyncio.run(main())
    assert question.method == {"EventGridSchema": "POST", "CloudEventSchemaV1_0": "OPTIONS"}[schema]
    assert delivery.headers["aeg-event-type"] == "Notification"
    assert [event["data"] for event in delivery.events] == [{"number": 1}]
    assert isinstance(delivery.body, list) == (schema == "EventGridSchema")


def test_an_event_reaches_its_endpoint_within_ten_milliseconds(tmp_path: Path) -> None:
    async def main() -> float:
        async with Receiver().listening() as receiver, running_cloud(tmp_path) as cloud:
            await subscribe(cloud, receiver)
            await publish(cloud, 0)
            await until(lambda: len(receiver.deliveries) == 1)
            taken = []
            for number in range(1, 21):
                started = time.perf_counter()
                await publish(cloud, number)
                while len(receiver.deliveries) <= number:  # noqa: ASYNC110 - an event would add its own latency
                    await asyncio.sleep(0)
                taken.append(time.perf_counter() - started)
            return sorted(taken)[len(taken) // 2]

    assert asyncio.run(main()) < 0.010


def test_a_function_gets_its_events_with_the_system_key_of_the_host(tmp_path: Path) -> None:
    async def main() -> list[Request]:
        write_keys(tmp_path / "keys", "k&1")
        async with (
            Receiver().listening() as host,
            running_cloud(tmp_path, functions_url=host.url, functions_keys=tmp_path / "keys") as cloud,
        ):
            await cloud.grid.publish(STAGING, [pushed()])
            await until(lambda: bool(host.deliveries))
            return host.requests

    requests = asyncio.run(main())
    handshake, delivery = (each for each in requests if each.query["functionName"] == "image_pushed")
    assert handshake.method == "OPTIONS"
    assert handshake.query == delivery.query == {"functionName": "image_pushed", "code": "k&1"}
    assert delivery.body["type"] == "Microsoft.ContainerRegistry.ImagePushed"
    assert delivery.body["source"] == STAGING


def test_a_key_the_host_has_not_written_yet_or_has_changed_is_read_again(tmp_path: Path) -> None:
    valid = "first"

    def answer(request: Request) -> web.Response:
        return web.Response(status=202 if request.query["code"] == valid else 401)

    async def main() -> list[tuple[str, str]]:
        nonlocal valid
        async with (
            Receiver(answer).listening() as host,
            running_cloud(tmp_path, functions_url=host.url, functions_keys=tmp_path / "keys") as cloud,
        ):
            await cloud.grid.publish(STAGING, [pushed(1)])
            await asyncio.sleep(0.02)
            assert "eventgrid_extension" in (await cloud.subscription("image-pushed"))["lastError"]
            write_keys(tmp_path / "keys", "first")
            await until(lambda: len(host.deliveries) == 1)
            valid = "second"
            write_keys(tmp_path / "keys", "second")
            await cloud.grid.publish(STAGING, [pushed(2)])
            await until(lambda: len(host.deliveries) == 3)
            assert (await cloud.subscription("image-pushed"))["counters"]["retried"] == 0
            return [(request.query["code"], request.body["id"]) for request in host.deliveries]

    assert asyncio.run(main()) == [("first", "push-1"), ("first", "push-2"), ("second", "push-2")]


def test_an_endpoint_that_is_down_gets_its_events_when_it_is_up(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with running_cloud(tmp_path) as cloud:
            receiver = Receiver()
            async with receiver.listening():
                await subscribe(cloud, receiver)
                await publish(cloud, 1)
                await until(lambda: bool(receiver.deliveries))
            await publish(cloud, 2)
            await asyncio.sleep(0.02)
            state = await cloud.subscription("hook")
            assert state["lastError"].startswith("SocketError")
            async with Receiver().listening() as moved:
                await subscribe(cloud, moved)
                await until(lambda: bool(moved.deliveries))
                return moved.ids

    assert asyncio.run(main()) == ["event-2"]


def test_an_answer_that_comes_too_late_is_no_answer() -> None:
    async def main() -> Answer:
        silent = await asyncio.start_server(lambda _reader, writer: held.append(writer), "127.0.0.1", 0)
        held: list[asyncio.StreamWriter] = []
        host, port = silent.sockets[0].getsockname()
        subscription = dataclasses.replace(WEBHOOK, endpoint=WebhookEndpoint(f"http://{host}:{port}/"))
        async with silent, aiohttp.ClientSession() as session:
            answer = await HttpEndpoints(lambda: session, answer_limit=0.05).notify(subscription, [delivery()])
            for writer in held:
                writer.close()
            return answer

    assert asyncio.run(main()) == Answer(None, "TimedOut", "no answer within 0.05 s")


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    def redirect(request: Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async def main() -> tuple[int, str]:
        async with Receiver(redirect).listening() as receiver, running_cloud(tmp_path, scale="1") as cloud:
            await subscribe(cloud, receiver)
            await publish(cloud, 1)
            await until(lambda: cloud.grid.couriers()[-1].counts["retried"] == 1)
            return len(receiver.deliveries), (await cloud.subscription("hook"))["lastError"]

    assert asyncio.run(main()) == (1, "307: ")


def test_events_survive_a_process_that_is_killed(tmp_path: Path) -> None:
    """The process ends without any clean-up as soon as publish returned."""
    program = f"""
import asyncio, os
from tests.event_grid.fakes import raw_event
from tests.event_grid.wire import Receiver, running_cloud
from tests.event_grid.test_endpoints import publish, subscribe
from pathlib import Path

async def main():
    async with running_cloud(Path({str(tmp_path)!r})) as cloud:
        receiver = Receiver()
        receiver.url = "http://127.0.0.1:9/"
        await subscribe(cloud, receiver)
        await publish(cloud, 1, 2)
        os._exit(9)

asyncio.run(main())
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == 9

    async def main() -> list[str]:
        async with Receiver().listening() as receiver, running_cloud(tmp_path) as cloud:
            assert (await cloud.subscription("hook"))["waiting"] == 2
            await subscribe(cloud, receiver)
            await until(lambda: len(receiver.ids) == 2)
            return receiver.ids

    assert sorted(asyncio.run(main())) == ["event-1", "event-2"]


def test_dead_letters_arrive_in_a_container_that_is_made_for_them(tmp_path: Path) -> None:
    def refuse(_: Request) -> web.Response:
        return web.Response(status=400, text="malformed")

    async def main(storage: str) -> None:
        async with Receiver(refuse).listening() as receiver, running_cloud(tmp_path, storage=storage) as cloud:
            await subscribe(cloud, receiver, deadLetterContainer="dead-letters")
            await publish(cloud, 1)
            await until(lambda: cloud.grid.dead_letters.written["hook"] == 1)

    with azurite() as storage:
        asyncio.run(main(storage.connection_string))
        with ContainerClient.from_connection_string(storage.connection_string, "dead-letters") as container:
            (name,) = container.list_blob_names()
            (letter,) = json.loads(container.download_blob(name).readall())
    now = datetime.datetime.now(datetime.UTC)
    assert name.startswith(f"HOOK/{now.year}/{now.month}/")
    assert (letter["id"], letter["deadLetterReason"]) == ("event-1", "UndeliverableDueToHttpBadRequest")


def test_storage_that_is_down_is_reported_as_such() -> None:
    async def main() -> None:
        blobs = StorageAccount("AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:9/a")
        try:
            await blobs.write("dead-letters", "X/1.json", b"[]")
        finally:
            await blobs.close()

    with pytest.raises(StorageUnavailableError):
        asyncio.run(main())
