"""The key vault, by the real client with its challenge checks on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from local import world
from tests.cloud.world import LocalCloud

pytestmark = pytest.mark.stack


@pytest.fixture
def vault(credential: TokenCredential) -> Iterator[SecretClient]:
    with SecretClient(world.VAULT_URL, credential, retry_total=0) as client:
        yield client


def test_a_secret_is_read_back_as_it_was_set(vault: SecretClient, repository: str) -> None:
    name = repository.replace("/", "-")
    vault.set_secret(name, "s3cret ü", content_type="text/plain", tags={"purpose": "test"})
    secret = vault.get_secret(name)
    assert (secret.value, secret.properties.content_type, secret.properties.tags) == (
        "s3cret ü",
        "text/plain",
        {"purpose": "test"},
    )


def test_every_version_stays_and_the_newest_is_the_default(vault: SecretClient, repository: str) -> None:
    name = repository.replace("/", "-")
    first, second = vault.set_secret(name, "first"), vault.set_secret(name, "second")
    assert vault.get_secret(name).value == "second"
    assert vault.get_secret(name, first.properties.version).value == "first"
    versions = {one.version for one in vault.list_properties_of_secret_versions(name)}
    assert versions == {first.properties.version, second.properties.version}
    assert name in {one.name for one in vault.list_properties_of_secrets()}


def test_a_missing_secret_is_not_found(vault: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError) as missing:
        vault.get_secret("nothing-here")
    assert missing.value.error is not None
    assert missing.value.error.code == "SecretNotFound"


def test_a_token_of_another_service_is_refused(data_plane: requests.Session, credential: TokenCredential) -> None:
    token = credential.get_token("https://management.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}"}
    answer = data_plane.get(f"{world.VAULT_URL}/secrets?api-version=7.4", headers=headers, timeout=10)
    assert answer.status_code == 401
    assert "vault.azure.net" in answer.headers["WWW-Authenticate"]


def test_secrets_are_in_no_record_of_calls(cloud: LocalCloud, vault: SecretClient, repository: str) -> None:
    name = repository.replace("/", "-")
    vault.set_secret(name, "do-not-write-me")
    recorded = cloud.calls(host="vault.azure.net")
    assert (recorded[-1]["method"], recorded[-1]["status"]) == ("PUT", 200)
    assert "do-not-write-me" not in str(cloud.calls())
