"""Tokens of people: signed by a key that is served where Entra serves its own, and taken by what verifies Entra's."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.identity import ClientSecretCredential

from local import world
from local.cloud.entra_signing import SigningKey, of_person
from local.cloud.tokens import token_claims
from tests.cloud.world import LocalCloud
from tidegate.adapters.entra_tokens import EntraTokens
from tidegate.adapters.signing_keys import SigningKeys
from tidegate.errors import NotSignedIn

pytestmark = pytest.mark.stack

KEYS = f"https://login.microsoftonline.com/{world.TENANT}/discovery/v2.0/keys"
_VERIFY = """
import sys
from tidegate.adapters.entra_tokens import EntraTokens
from tidegate.adapters.signing_keys import SigningKeys, of_tenant
print(EntraTokens(sys.argv[1], sys.argv[2], SigningKeys(of_tenant(sys.argv[1]))).verified(sys.argv[3]))
"""


def ask(cloud: LocalCloud, **asked: Any) -> str:
    return str(cloud.admin("POST", "tokens", asked)["access_token"])


@pytest.fixture
def verifier(cloud: LocalCloud, data_plane: requests.Session) -> EntraTokens:
    return EntraTokens(world.TENANT, world.API_CLIENT, SigningKeys(lambda: data_plane.get(KEYS, timeout=10).content))


@pytest.mark.parametrize("version", [1, 2])
def test_a_person_is_verified_with_their_roles(version: int, cloud: LocalCloud, verifier: EntraTokens) -> None:
    person = verifier.verified(ask(cloud, name="alice", roles=["Approver.pro", "Operator"], version=version))

    assert (person.name, person.roles) == ("alice@tidegate.example", ("Approver.pro", "Operator"))
    assert person.id.startswith(f"{world.TENANT}/")


def test_a_person_stays_the_same_and_two_people_are_two(cloud: LocalCloud, verifier: EntraTokens) -> None:
    alice, again, bob = (verifier.verified(ask(cloud, name=name)) for name in ("alice", "alice", "bob"))

    assert alice == again
    assert alice.id != bob.id
    assert alice.roles == ()


def test_the_product_reads_the_keys_where_it_reads_them_on_azure(cloud: LocalCloud) -> None:
    token = ask(cloud, name="alice", roles=["Approver.pro"])

    done = cloud.run(sys.executable, "-c", _VERIFY, world.TENANT, world.API_CLIENT, token)

    assert "name='alice@tidegate.example', roles=('Approver.pro',)" in done.stdout
    assert [call["path"] for call in cloud.calls(host="login.microsoftonline.com")] == [KEYS.partition(".com")[2]]


def test_an_application_gets_a_token_that_is_verified_and_has_no_role(cloud: LocalCloud, verifier: EntraTokens) -> None:
    with ClientSecretCredential(world.TENANT, "00000000-0000-0000-0000-00000000c11e", "secret") as credential:
        person = verifier.verified(credential.get_token(f"api://{world.API_CLIENT}/.default").token)

    assert (person.name, person.roles) == ("00000000-0000-0000-0000-00000000c11e", ())


def test_tokens_for_other_services_prove_nothing_here(cloud: LocalCloud, verifier: EntraTokens) -> None:
    with ClientSecretCredential(world.TENANT, "00000000-0000-0000-0000-00000000c11e", "secret") as credential:
        token = credential.get_token("https://management.azure.com/.default").token

    with pytest.raises(NotSignedIn):
        verifier.verified(token)


def test_the_tenants_document_says_where_the_keys_are(cloud: LocalCloud, data_plane: requests.Session) -> None:
    url = f"https://login.microsoftonline.com/{world.TENANT}/v2.0/.well-known/openid-configuration"
    document = data_plane.get(url, timeout=10).json()

    assert document["jwks_uri"] == KEYS
    assert document["issuer"] == token_claims(ask(cloud, name="alice"))["iss"]


def test_a_token_of_nobody_is_not_made(cloud: LocalCloud) -> None:
    with pytest.raises(AssertionError, match=r"name.* is required"):
        ask(cloud, roles=["Operator"])


def test_the_key_survives_a_restart_and_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "cloud" / "signing.pem"
    first = SigningKey(path).key_set()

    assert SigningKey(path).key_set() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = SigningKeys(lambda: json.dumps(first).encode())
    token = SigningKey(path).sign(of_person("alice", [], seconds=60))
    assert EntraTokens(world.TENANT, world.API_CLIENT, keys).verified(token).name == "alice@tidegate.example"
