"""The admin endpoint: subscriptions at run time, faults on demand, and the list of events."""

from __future__ import annotations

import asyncio
import collections
from pathlib import Path
from typing import Any, override

import pytest
from aiohttp import web

from local import world
from tests.event_grid.fakes import raw_event, until
from tests.event_grid.wire import Receiver, RunningCloud, running_cloud


async def subscribe(cloud: RunningCloud, receiver: Receiver, name: str = "hook") -> None:
    body = {"name": name, "topic": "tidegate-outcomes", "endpoint": receiver.url}
    assert (await cloud.post("/admin/subscriptions", body))[0] == 202


async def publish(cloud: RunningCloud, *numbers: int) -> None:
    for number in numbers:
        await cloud.grid.publish(world.OUTCOMES_TOPIC_ID, [raw_event(number)])


async def delivered_with(tmp_path: Path, faults: dict[str, Any], *, count: int, arrivals: int) -> list[str]:
    """Ids in the order of arrival, when `count` events are published one after another under the faults."""
    async with Receiver().listening() as receiver, running_cloud(tmp_path) as cloud:
        await subscribe(cloud, receiver)
        await publish(cloud, 0)
        await until(lambda: receiver.ids == ["event-0"])
        assert (await cloud.post("/admin/delivery-faults", {"subscription": "hook"} | faults))[0] == 200
        await publish(cloud, *range(1, count + 1))
        await until(lambda: len(receiver.ids) >= arrivals + 1)
        await asyncio.sleep(0.02)
        return receiver.ids[1:]


def test_every_delivery_is_duplicated_on_demand(tmp_path: Path) -> None:
    ids = asyncio.run(delivered_with(tmp_path, {"duplicates": 2}, count=3, arrivals=9))
    assert collections.Counter(ids) == {"event-1": 3, "event-2": 3, "event-3": 3}


def test_deliveries_are_reversed_on_demand(tmp_path: Path) -> None:
    ids = asyncio.run(delivered_with(tmp_path, {"hold": 4}, count=8, arrivals=8))
    assert ids == [f"event-{number}" for number in (4, 3, 2, 1, 8, 7, 6, 5)]


def test_a_random_order_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    shuffled = {"hold": 8, "order": "random", "seed": 7}
    first = asyncio.run(delivered_with(tmp_path / "1", shuffled, count=8, arrivals=8))
    again = asyncio.run(delivered_with(tmp_path / "2", shuffled, count=8, arrivals=8))
    assert first == again
    assert sorted(first) == [f"event-{number}" for number in range(1, 9)] != first


def test_what_is_held_back_is_released_in_the_end(tmp_path: Path) -> None:
    ids = asyncio.run(delivered_with(tmp_path, {"hold": 10, "holdSeconds": 0.05}, count=2, arrivals=2))
    assert ids == ["event-2", "event-1"]


def test_lost_deliveries_never_arrive_and_are_counted(tmp_path: Path) -> None:
    async def main() -> tuple[list[str], int]:
        async with Receiver().listening() as receiver, running_cloud(tmp_path) as cloud:
            await subscribe(cloud, receiver)
            await cloud.post("/admin/delivery-faults", {"drop": 1})
            await publish(cloud, 1)
            await until(lambda: cloud.grid.endpoints.lost["hook"] == 1)
            await cloud.post("/admin/delivery-faults", {})
            await publish(cloud, 2)
            await until(lambda: bool(receiver.ids))
            return receiver.ids, (await cloud.subscription("hook"))["counters"]["lost"]

    assert asyncio.run(main()) == (["event-2"], 1)


def test_a_delay_is_added_on_demand(tmp_path: Path) -> None:
    async def main() -> float:
        async with Receiver().listening() as receiver, running_cloud(tmp_path) as cloud:
            await subscribe(cloud, receiver)
            await cloud.post("/admin/delivery-faults", {"delaySeconds": 0.1})
            loop = asyncio.get_running_loop()
            started = loop.time()
            await publish(cloud, 1)
            await until(lambda: bool(receiver.ids))
            return loop.time() - started

    assert asyncio.run(main()) >= 0.1


def test_faults_in_force_are_shown_as_they_were_asked_for(tmp_path: Path) -> None:
    asked = {"duplicates": 1, "hold": 2, "holdSeconds": 3, "order": "random", "seed": 4, "drop": 0.5, "delaySeconds": 6}

    async def main() -> dict[str, Any]:
        async with running_cloud(tmp_path) as cloud:
            assert (await cloud.post("/admin/delivery-faults", asked))[0] == 200
            shown: dict[str, Any] = (await cloud.subscription("image-pushed"))["faults"]
            return shown

    assert asyncio.run(main()) == asked


@pytest.mark.parametrize(
    ("faults", "status", "reason"),
    [
        ({"duplicates": -1}, 400, "duplicates: -1 is less than the minimum of 0"),
        ({"order": "sorted"}, 400, "order: 'sorted' is not one of"),
        ({"hold": 99}, 400, "hold: 99 is greater than the maximum of 16"),
        ({"explode": True}, 400, "'explode' was unexpected"),
        ({"subscription": "nobody"}, 404, "There is no subscription named nobody"),
    ],
)
def test_faults_that_make_no_sense_are_refused(
    tmp_path: Path, faults: dict[str, Any], status: int, reason: str
) -> None:
    async def main() -> tuple[int, str]:
        async with running_cloud(tmp_path) as cloud:
            answered, body = await cloud.post("/admin/delivery-faults", faults)
            return answered, body["error"]["message"]

    answered, message = asyncio.run(main())
    assert answered == status
    assert reason in message


def test_a_subscription_made_at_run_time_survives_a_restart_and_can_be_removed(tmp_path: Path) -> None:
    async def main() -> list[int]:
        async with Receiver().listening() as receiver:
            async with running_cloud(tmp_path) as cloud:
                await subscribe(cloud, receiver)
            async with running_cloud(tmp_path) as cloud:
                await publish(cloud, 1)
                await until(lambda: receiver.ids == ["event-1"])
                statuses = []
                for _ in range(2):
                    async with cloud.client.delete(cloud.url + "/admin/subscriptions/HOOK") as response:
                        statuses.append(response.status)
            async with running_cloud(tmp_path) as cloud:
                assert [courier.subscription.name for courier in cloud.grid.couriers()].count("hook") == 0
            return statuses

    assert asyncio.run(main()) == [204, 404]


def test_a_subscription_of_the_data_file_is_changed_only_there(tmp_path: Path) -> None:
    async def main() -> tuple[int, int]:
        async with running_cloud(tmp_path) as cloud:
            body = {"name": "Image-Pushed", "topic": "tidegate-outcomes", "endpoint": "http://127.0.0.1:9/"}
            made, _ = await cloud.post("/admin/subscriptions", body)
            async with cloud.client.delete(cloud.url + "/admin/subscriptions/image-pushed") as response:
                return made, response.status

    assert asyncio.run(main()) == (409, 404)


def test_the_validation_url_can_be_opened_by_hand(tmp_path: Path) -> None:
    async def main() -> list[int]:
        statuses = []
        async with running_cloud(tmp_path, scale="1") as cloud, Mute().listening() as mute:
            await subscribe(cloud, mute)
            await until(lambda: bool(mute.requests))
            url = mute.requests[0].body[0]["data"]["validationUrl"]
            await until(lambda: cloud.grid.courier("hook").state == "AwaitingManualAction")  # type: ignore[union-attr]
            path = "/" + url.split("/", 3)[3]
            for opened in (path.replace("code=", "code=x"), path):
                async with cloud.client.get(cloud.url + opened) as response:
                    statuses.append(response.status)
            await publish(cloud, 1)
            await until(lambda: mute.ids == ["event-1"])
            assert (await cloud.subscription("hook"))["provisioningState"] == "Succeeded"
        return statuses

    assert asyncio.run(main()) == [404, 200]


class Mute(Receiver):
    """A webhook that takes everything and agrees to nothing."""

    @override
    async def answer(self, request: web.Request) -> web.Response:
        await super().answer(request)
        return web.Response()


def test_events_can_be_raised_for_any_topic_and_are_listed_in_order(tmp_path: Path) -> None:
    async def main() -> list[list[dict[str, Any]]]:
        async with running_cloud(tmp_path) as cloud:
            for topic in ("staging-registry", "tidegate-outcomes"):
                status, _ = await cloud.post("/admin/events", {"topic": topic, "events": [raw_event()]})
                assert status == 204
            every = (await cloud.get("/admin/events"))["events"]
            later = (await cloud.get(f"/admin/events?after={every[0]['sequence']}"))["events"]
            staging = (await cloud.get("/admin/events?topic=staging-registry"))["events"]
            return [every, later, staging]

    every, later, staging = asyncio.run(main())
    assert [item["topic"] for item in every] == [world.registry_id(world.STAGING), world.OUTCOMES_TOPIC_ID]
    assert later == every[1:]
    assert staging == every[:1]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"topic": "nowhere", "events": []}, id="no topic"),
        pytest.param({"topic": "workspaces", "events": []}, id="no single resource"),
        pytest.param({"topic": "staging-registry"}, id="no events"),
        pytest.param({"topic": "staging-registry", "events": [{}]}, id="malformed event"),
    ],
)
def test_events_that_cannot_be_raised_are_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    async def main() -> int:
        async with running_cloud(tmp_path) as cloud:
            return (await cloud.post("/admin/events", body))[0]

    assert asyncio.run(main()) == 400


@pytest.mark.parametrize("scale", ["0", "-1", "2", "fast"])
def test_a_time_scale_that_is_none_is_refused_at_the_start(tmp_path: Path, scale: str) -> None:
    async def main() -> None:
        async with running_cloud(tmp_path, scale=scale):
            pass

    with pytest.raises(ValueError, match="TIDEGATE_EVENT_GRID_TIME_SCALE"):
        asyncio.run(main())
