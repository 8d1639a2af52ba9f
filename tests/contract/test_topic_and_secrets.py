"""Outcomes and secrets, through Azure's own clients and the app's identity; the fakes beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from azure.core.credentials import TokenCredential
from azure.keyvault.secrets import SecretClient

from local import world
from tests.cloud.world import LocalCloud
from tests.contract.registries import SETTINGS
from tests.fakes import START, FakeSecrets
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.event_grid_topic import EventGridTopic
from tidegate.adapters.secrets import KeyVaultSecrets
from tidegate.errors import PermanentError, TransientError
from tidegate.ports import Outcome, Secrets

OUTCOME = Outcome(
    id="outcome-1",
    type="Tidegate.ImagePromoted",
    subject="training/litter:v1",
    at=START,
    data=(("digest", "sha256:1"), ("tags", ("v1", "latest")), ("attempt", 2), ("override", False)),
)


@pytest.fixture
def identity(cloud: LocalCloud) -> Iterator[TokenCredential]:
    with credential("") as one:  # type: ignore[attr-defined]  # a managed identity has connections to close
        yield one


@pytest.fixture
def topic(identity: TokenCredential) -> Iterator[EventGridTopic]:
    with contextlib.closing(EventGridTopic(SETTINGS, identity)) as one:
        yield one


@pytest.mark.stack
def test_an_outcome_is_published_as_a_cloud_event_with_its_own_id(topic: EventGridTopic, cloud: LocalCloud) -> None:
    topic.publish(OUTCOME)
    topic.publish(OUTCOME)
    calls = [call for call in cloud.calls() if call["host"].endswith("eventgrid.azure.net")]
    assert [call["status"] for call in calls] == [200, 200]


@pytest.mark.stack
@pytest.mark.parametrize(
    ("status", "error"),
    [(400, PermanentError), (413, PermanentError), (401, TransientError), (403, TransientError), (500, TransientError)],
)
def test_a_refused_event_is_permanent_and_a_missing_role_is_not(
    topic: EventGridTopic, cloud: LocalCloud, status: int, error: type[Exception]
) -> None:
    cloud.fault("status", {"path": "/api/events"}, status=status)
    with pytest.raises(error):
        topic.publish(OUTCOME)


@pytest.mark.stack
def test_a_busy_topic_says_when_to_come_back_and_is_not_waited_for(topic: EventGridTopic, cloud: LocalCloud) -> None:
    cloud.fault("status", {"path": "/api/events"}, status=429, retryAfter=3600)
    with pytest.raises(TransientError) as caught:
        topic.publish(OUTCOME)
    assert caught.value.retry_after == 3600


@pytest.fixture(params=["fake", pytest.param("key vault", marks=pytest.mark.stack)])
def secrets(request: pytest.FixtureRequest) -> Iterator[Secrets]:
    if request.param == "fake":
        yield FakeSecrets({"smtp-password": "hunter2"})
        return
    identity = request.getfixturevalue("identity")
    with SecretClient(world.VAULT_URL, identity) as client:
        client.set_secret("smtp-password", "hunter2")
    with contextlib.closing(KeyVaultSecrets(SETTINGS, identity)) as vault:
        yield vault


def test_a_secret_is_got_by_its_name(secrets: Secrets) -> None:
    assert secrets.get("smtp-password") == "hunter2"


@pytest.mark.parametrize("name", ["unknown", "", "../keys/x", "a b", "x" * 200])
def test_an_unknown_secret_is_refused(secrets: Secrets, name: str) -> None:
    with pytest.raises(PermanentError):
        secrets.get(name)


@pytest.mark.stack
def test_a_vault_that_does_not_answer_is_transient(identity: TokenCredential, cloud: LocalCloud) -> None:
    cloud.fault("status", {"host": "tidegate-kv.vault.azure.net"}, status=503)
    with contextlib.closing(KeyVaultSecrets(SETTINGS, identity)) as vault, pytest.raises(TransientError):
        vault.get("smtp-password")
