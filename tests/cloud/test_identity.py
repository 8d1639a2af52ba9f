"""Tokens, by the real identity client and by hand."""

from __future__ import annotations

import time

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import ClientSecretCredential, DefaultAzureCredential, ManagedIdentityCredential
from azure.mgmt.containerregistry import ContainerRegistryManagementClient

from local import world
from local.cloud.tokens import issue_token, token_claims
from tests.cloud.world import LocalCloud

pytestmark = pytest.mark.stack

SCOPE = "https://management.azure.com/.default"


def test_the_default_credential_finds_the_managed_identity(cloud: LocalCloud) -> None:
    with DefaultAzureCredential() as credential:
        token = credential.get_token(SCOPE)
    claims = token_claims(token.token)
    assert (claims["aud"], claims["tid"]) == ("https://management.azure.com", world.TENANT)
    assert token.expires_on > time.time() + 3000
    assert [call["path"] for call in cloud.calls()] == ["/msi/token"]


def test_a_wrong_identity_header_gets_no_token(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "guess")
    with ManagedIdentityCredential() as credential, pytest.raises(ClientAuthenticationError):
        credential.get_token(SCOPE)


def test_a_client_secret_gets_a_token_from_the_login_host(cloud: LocalCloud) -> None:
    with ClientSecretCredential(world.TENANT, "00000000-0000-0000-0000-00000000c11e", "secret") as credential:
        claims = token_claims(credential.get_token(SCOPE).token)
    assert (claims["aud"], claims["appid"]) == (
        "https://management.azure.com",
        "00000000-0000-0000-0000-00000000c11e",
    )
    assert {call["host"] for call in cloud.calls()} == {"login.microsoftonline.com"}


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "client_id": "a"}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "a", "client_secret": "b", "scope": "x"}, "invalid_scope"),
    ],
)
def test_a_login_that_lacks_something_is_refused(data_plane: requests.Session, form: dict[str, str], code: str) -> None:
    url = f"https://login.microsoftonline.com/{world.TENANT}/oauth2/v2.0/token"
    answer = data_plane.post(url, data=form, timeout=10)
    assert (answer.status_code // 100, answer.json()["error"]) == (4, code)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "AuthenticationFailed"),
        ("not-a-token", "InvalidAuthenticationTokenAudience"),
        (issue_token("https://vault.azure.net"), "InvalidAuthenticationTokenAudience"),
        (issue_token("https://management.azure.com", now=0), "ExpiredAuthenticationToken"),
    ],
    ids=["missing", "nonsense", "other service", "expired"],
)
def test_arm_refuses_a_token_that_is_not_for_it(data_plane: requests.Session, token: str | None, code: str) -> None:
    url = f"https://management.azure.com{world.registry_id(world.HEALTHY)}?api-version=2025-11-01"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = data_plane.get(url, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [("", "MissingApiVersionParameter"), ("?api-version=latest", "InvalidApiVersionParameter")],
)
def test_arm_wants_an_api_version(data_plane: requests.Session, query: str, code: str) -> None:
    headers = {"Authorization": f"Bearer {issue_token('https://management.azure.com/')}"}
    url = f"https://management.azure.com{world.registry_id(world.HEALTHY)}{query}"
    answer = data_plane.get(url, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_arm_compares_paths_without_case(data_plane: requests.Session) -> None:
    headers = {"Authorization": f"Bearer {issue_token('https://management.azure.com/')}"}
    for path in (world.registry_id(world.HEALTHY).upper(), world.registry_id(world.HEALTHY).lower() + "/"):
        answer = data_plane.get(
            f"https://management.azure.com{path}?api-version=2025-11-01", headers=headers, timeout=10
        )
        assert (answer.status_code, answer.json()["name"]) == (200, world.HEALTHY)


def test_another_subscription_is_not_found(cloud: LocalCloud) -> None:
    with (
        ManagedIdentityCredential() as credential,
        ContainerRegistryManagementClient(credential, "00000000-0000-0000-0000-000000000bad") as client,
        pytest.raises(HttpResponseError) as refusal,
    ):
        client.registries.get(world.RESOURCE_GROUP, world.HEALTHY)
    assert refusal.value.error is not None
    assert refusal.value.error.code == "SubscriptionNotFound"
