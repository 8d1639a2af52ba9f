"""Makes the secret that signs the buttons of mails, if the vault of an environment has none.

python -m infra.scripts.link_key ENVIRONMENT | RESOURCE-ID-OF-A-VAULT

A template cannot: what it can compute is the same for everybody who knows its inputs (uniqueString), or new with every
deployment (newGuid), and buttons of mails would end with it. So the value is drawn here, once, and given to the resource
manager in a file: it is on no command line, in no log and in no deployment's record.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from infra.scripts import environments
from infra.scripts.azure_cli import ask
from infra.scripts.outputs import outputs

NAME = "alert-link-key"
_VERSION = "api-version=2025-05-01"


def vault_id(environment: environments.Environment, az: Callable[[Sequence[str]], Any] = ask) -> str:
    """Resource id of the environment's vault: the one it was told to use, or its own."""
    if existing := str(environment.parameters.get("existingKeyVaultId") or ""):
        return existing
    subscription = az(["account", "show"])["id"]
    name = outputs(environment.name, az)["VAULT_NAME"]
    group = environment.resource_group
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}"


def ensure(vault: str, az: Callable[[Sequence[str]], Any] = ask) -> bool:
    """Whether it was made. Twice: the first stays, and with it the buttons of mails that were sent."""
    url = f"{vault}/secrets?{_VERSION}"
    while url:
        page = az(["rest", "--method", "get", "--url", url])
        if any(each["name"] == NAME for each in page["value"]):
            return False
        url = page.get("nextLink") or ""
    body = {"properties": {"contentType": "key that signs the buttons of mails", "value": secrets.token_urlsafe(48)}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # readable by its owner alone
        json.dump(body, file)
        file.flush()
        az(["rest", "--method", "put", "--url", f"{vault}/secrets/{NAME}?{_VERSION}", "--body", f"@{file.name}"])
    return True


if __name__ == "__main__":
    asked = sys.argv[1]
    made = ensure(asked if asked.startswith("/") else vault_id(environments.read(asked)))
    sys.stderr.write(f"secret {NAME}: {'made' if made else 'is there'}\n")
