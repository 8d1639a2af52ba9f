"""Secrets in Azure Key Vault."""

from __future__ import annotations

import re

from azure.core.credentials import TokenCredential
from azure.keyvault.secrets import SecretClient

from tidegate.adapters.azure_calls import BOUNDED, translated
from tidegate.errors import PermanentError
from tidegate.settings import Settings

_NAME = re.compile(r"[0-9A-Za-z-]{1,127}\Z")


class KeyVaultSecrets:
    """The Secrets port, as the app's identity."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        url = settings.key_vault_url
        self._client = SecretClient(url, credential, **BOUNDED) if url else None

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.close()

    def get(self, name: str) -> str:
        if self._client is None:
            raise PermanentError(f"secret {name!a}: no Key Vault is set (TIDEGATE_KEY_VAULT_URL)")
        if not _NAME.match(name):
            raise PermanentError(f"secret {name[:80]!a}: not a name of a secret")
        with translated(f"secret {name}", {404: PermanentError}):
            value = self._client.get_secret(name).value
        if value is None:
            raise PermanentError(f"secret {name}: it has no value")
        return value
