"""The secret that signs the buttons of mails is made once, and nobody sees it on the way."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.scripts import environments, link_key
from infra.scripts.azure_cli import AzureCliError
from tidegate.settings import Settings
from tidegate.signed_links import LEAST_KEY

VAULT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv"


class Vault:
    """The resource manager's view of a vault: names of secrets in two pages, never a value."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.values: list[str] = []
        self.calls: list[str] = []

    def __call__(self, arguments: Sequence[str]) -> Any:
        self.calls.append(" ".join(arguments))
        method, url = arguments[2], arguments[4]
        if method == "put":
            file = Path(arguments[6].removeprefix("@"))
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            self.values.append(json.loads(file.read_text())["properties"]["value"])
            self.names.append(url.partition("/secrets/")[2].partition("?")[0])
            return {}
        half = len(self.names) // 2
        if "page=2" in url:
            return {"value": [{"name": each} for each in self.names[half:]]}
        return {"value": [{"name": each} for each in self.names[:half]], "nextLink": f"{VAULT}/secrets?page=2"}


def test_the_secret_is_made_where_there_is_none_and_long_enough_to_sign() -> None:
    vault = Vault("alert-email-url")
    assert link_key.ensure(VAULT, vault)
    [value] = vault.values
    assert len(value) >= LEAST_KEY
    assert not any(value in call for call in vault.calls), "the value is on a command line"


def test_a_second_time_makes_nothing() -> None:
    vault = Vault("a", "b", "alert-email-url")
    assert link_key.ensure(VAULT, vault)
    assert not link_key.ensure(VAULT, vault)
    assert len(vault.values) == 1


def test_two_vaults_have_two_keys() -> None:
    one, other = Vault(), Vault()
    link_key.ensure(VAULT, one)
    link_key.ensure(VAULT, other)
    assert one.values != other.values


def test_a_refusal_is_an_error_and_makes_nothing() -> None:
    def refuses(_arguments: Sequence[str]) -> Any:
        raise AzureCliError("az rest --method get: AuthorizationFailed")

    with pytest.raises(AzureCliError):
        link_key.ensure(VAULT, refuses)


def test_it_is_the_secret_that_the_app_reads_and_the_template_names() -> None:
    field = next(each for each in Settings.__dataclass_fields__.values() if each.name == "link_key_secret")
    assert field.default == link_key.NAME
    assert f"TIDEGATE_LINK_KEY_SECRET: '{link_key.NAME}'" in (environments.INFRA / "main.bicep").read_text()


def test_an_environment_with_a_vault_of_its_own_is_asked_for_that_one() -> None:
    environment = environments.Environment("dev", {"location": "westeurope", "existingKeyVaultId": VAULT}, ())
    assert link_key.vault_id(environment, Vault()) == VAULT


def test_else_the_vault_is_the_one_that_the_deployment_made() -> None:
    def az(arguments: Sequence[str]) -> Any:
        return {"id": "s"} if arguments[0] == "account" else {"vaulT_NAME": {"value": "kv"}}

    environment = environments.Environment("dev", {"location": "westeurope", "resourceGroupName": "rg"}, ())
    assert link_key.vault_id(environment, az) == VAULT
