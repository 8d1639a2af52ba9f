"""Publishing to the custom topic as clients do: azure-eventgrid, and requests that must be refused."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken, AzureKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient, generate_sas

from local import world
from local.cloud.tokens import issue_token
from tests.event_grid.fakes import raw_event
from tests.event_grid.wire import RunningCloud, running_cloud

PATH = "/api/events?api-version=2018-01-01"
type Credential = AzureKeyCredential | AzureSasCredential | LocalIdentity


class LocalIdentity:
    """A credential whose tokens are of the local identity, for one audience."""

    def __init__(self, audience: str = "https://eventgrid.azure.net") -> None:
        self._audience = audience

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(issue_token(self._audience), 2**31)


def key(state: Path) -> str:
    kept = json.loads((state / "event-grid" / "tidegate-outcomes.keys.json").read_text(encoding="utf-8"))
    return str(kept["key1"])


def signature(url: str, of_key: str, lifetime: datetime.timedelta) -> AzureSasCredential:
    expiry = datetime.datetime.now(datetime.UTC) + lifetime
    return AzureSasCredential(generate_sas(url + "/api/events", of_key, expiry))


async def send(url: str, credential: Any, *events: EventGridEvent | CloudEvent[Any]) -> None:
    """Through the SDK, in a thread of its own. Its tokens need https; that check is about transport, not about us."""

    def publish() -> None:
        with EventGridPublisherClient(url + "/api/events", credential) as client:
            options: dict[str, Any] = {"enforce_https": False} if hasattr(credential, "get_token") else {}
            client.send(list(events), **options)

    await asyncio.to_thread(publish)


def outcome() -> EventGridEvent:
    return EventGridEvent(
        subject="training/litter:v1", event_type="Tidegate.ImagePromoted", data={"digest": "sha256:1"}, data_version="1"
    )


async def published(cloud: RunningCloud) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await cloud.get("/admin/events?topic=tidegate-outcomes"))["events"]
    return listed


@pytest.mark.parametrize(
    "credential",
    [
        pytest.param(lambda url, state: AzureKeyCredential(key(state)), id="key"),
        pytest.param(lambda url, state: signature(url, key(state), datetime.timedelta(hours=1)), id="sas"),
        pytest.param(lambda url, state: LocalIdentity(), id="token"),
    ],
)
def test_the_sdk_publishes_with_every_kind_of_credential(
    tmp_path: Path, credential: Callable[[str, Path], Credential]
) -> None:
    async def main() -> list[dict[str, Any]]:
        async with running_cloud(tmp_path) as cloud:
            await send(cloud.url, credential(cloud.url, tmp_path), outcome())
            return await published(cloud)

    (kept,) = asyncio.run(main())
    assert kept["topic"] == kept["event"]["topic"] == world.OUTCOMES_TOPIC_ID
    assert (kept["event"]["eventType"], kept["event"]["data"]) == ("Tidegate.ImagePromoted", {"digest": "sha256:1"})


@pytest.mark.parametrize(
    "credential",
    [
        pytest.param(lambda url, state: AzureKeyCredential("bm90IHRoZSBrZXk="), id="wrong key"),
        pytest.param(
            lambda url, state: signature(url, "bm90IHRoZSBrZXk=", datetime.timedelta(hours=1)), id="wrong sas"
        ),
        pytest.param(lambda url, state: signature(url, key(state), datetime.timedelta(hours=-1)), id="expired sas"),
        pytest.param(lambda url, state: AzureSasCredential("r=x&e=never&s=nothing"), id="malformed sas"),
        pytest.param(lambda url, state: LocalIdentity("https://vault.azure.net"), id="token for another service"),
    ],
)
def test_a_wrong_credential_is_401(tmp_path: Path, credential: Callable[[str, Path], Credential]) -> None:
    async def main() -> list[dict[str, Any]]:
        async with running_cloud(tmp_path) as cloud:
            with pytest.raises(ClientAuthenticationError) as refused:
                await send(cloud.url, credential(cloud.url, tmp_path), outcome())
            assert refused.value.status_code == 401
            return await published(cloud)

    assert asyncio.run(main()) == []


def test_the_sdk_publishes_cloud_events(tmp_path: Path) -> None:
    async def main() -> list[dict[str, Any]]:
        async with running_cloud(tmp_path) as cloud:
            event = CloudEvent("tidegate", "Tidegate.ImagePromoted", data={"digest": "sha256:1"}, subject="a:v1")
            await send(cloud.url, AzureKeyCredential(key(tmp_path)), event, event)
            return await published(cloud)

    assert [(kept["event"]["topic"], kept["event"]["subject"]) for kept in asyncio.run(main())] == [
        ("tidegate", "a:v1")
    ] * 2


@pytest.mark.parametrize(
    ("body", "media_type", "status", "reason"),
    [
        pytest.param("{", "application/json", 400, "the body is not JSON", id="no JSON"),
        pytest.param("{}", "application/json", 400, "must be an array", id="no array"),
        pytest.param("[{}]", "application/json", 400, "event 0: 'id' is missing", id="no event"),
        pytest.param("[]", "text/plain", 415, "'text/plain' is no event format", id="media type"),
        pytest.param("{}", "application/cloudevents+json", 400, "'specversion' must be '1.0'", id="cloud event"),
        pytest.param(
            json.dumps([raw_event(data="x" * 2**20)]), "application/json", 413, "the limit is 1048576", id="too large"
        ),
        pytest.param(
            json.dumps([raw_event(data="x" * 2**19)] * 2), "application/json", 413, "the request is", id="too many"
        ),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(
    tmp_path: Path, body: str, media_type: str, status: int, reason: str
) -> None:
    async def main() -> tuple[int, str]:
        async with running_cloud(tmp_path) as cloud:
            headers = {"aeg-sas-key": key(tmp_path), "Content-Type": media_type}
            async with cloud.client.post(cloud.url + PATH, data=io.BytesIO(body.encode()), headers=headers) as response:
                return response.status, (await response.json())["error"]["message"]

    answered, message = asyncio.run(main())
    assert (answered, reason in message) == (status, True), message


def test_another_api_version_is_refused(tmp_path: Path) -> None:
    async def main() -> list[int]:
        statuses = []
        async with running_cloud(tmp_path) as cloud:
            for path in ("/api/events", "/api/events?api-version=2024-06-01"):
                headers = {"aeg-sas-key": key(tmp_path)}
                async with cloud.client.post(cloud.url + path, json=[raw_event()], headers=headers) as response:
                    statuses.append(response.status)
        return statuses

    assert asyncio.run(main()) == [400, 400]


def test_the_topic_answers_at_its_own_host_name(tmp_path: Path) -> None:
    async def main() -> int:
        async with running_cloud(tmp_path) as cloud:
            headers = {"aeg-sas-key": key(tmp_path), "Host": world.topic_host(world.OUTCOMES_TOPIC)}
            async with cloud.client.post(cloud.url + PATH, json=[raw_event()], headers=headers) as response:
                return response.status

    assert asyncio.run(main()) == 200


def test_the_keys_stay_the_same_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    async def main() -> list[str]:
        found = []
        for _ in range(2):
            async with running_cloud(tmp_path):
                found.append(key(tmp_path))
        return found

    first, second = asyncio.run(main())
    assert first == second
    file = tmp_path / "event-grid" / "tidegate-outcomes.keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
