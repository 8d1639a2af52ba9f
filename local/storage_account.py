"""The storage account of the local stack: Azurite, its command line, its key and its connection string."""

from __future__ import annotations

import base64
import dataclasses
import secrets
import shutil
from pathlib import Path

from local import world
from local.kept_secret import kept_secret
from local.ports import Ports

_TOOLS = Path(__file__).parents[1] / ".tools"
_ENTRY = _TOOLS / "azurite/node_modules/azurite/dist/src/azurite.js"


@dataclasses.dataclass(frozen=True, slots=True)
class StorageAccount:
    """One account in Azurite. Its endpoints are path-style plain HTTP.

    Azurite answers table transactions with 500 at production-style host names (Azure/Azurite issues 1141 and 2322).
    It writes to disk every few seconds and when it is stopped: killed, it loses the last writes, as Azure would not.
    """

    ports: Ports
    key: str

    @property
    def connection_string(self) -> str:
        """For every storage client; the value of AzureWebJobsStorage."""
        endpoints = {
            "BlobEndpoint": self.ports.azurite_blob,
            "QueueEndpoint": self.ports.azurite_queue,
            "TableEndpoint": self.ports.azurite_table,
        }
        parts = [f"DefaultEndpointsProtocol=http;AccountName={world.STORAGE_ACCOUNT};AccountKey={self.key}"]
        parts += [f"{name}=http://127.0.0.1:{port}/{world.STORAGE_ACCOUNT}" for name, port in endpoints.items()]
        return ";".join(parts)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the Azurite process."""
        return {"AZURITE_ACCOUNTS": f"{world.STORAGE_ACCOUNT}:{self.key}"}

    def start_command(self, folder: Path) -> list[str]:
        """Command line of the Azurite process; FileNotFoundError says what to install when a part is missing.

        `--skipApiVersionCheck`: the storage SDKs are newer than the service versions that Azurite knows.
        """
        node = _TOOLS / "bin/node" if (_TOOLS / "bin/node").exists() else shutil.which("node")
        if node is None or not _ENTRY.exists():
            raise FileNotFoundError("Azurite, the emulator of Azure Storage, is not installed; install it: make setup")
        command = [str(node), str(_ENTRY), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        command += ["--location", str(folder)]
        for service, port in (
            ("blob", self.ports.azurite_blob),
            ("queue", self.ports.azurite_queue),
            ("table", self.ports.azurite_table),
        ):
            command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
        return command


def open_account(ports: Ports, key_file: Path) -> StorageAccount:
    """The account with the key kept in `key_file`, which is made at first and which only its owner can read."""
    return StorageAccount(ports, kept_secret(key_file, lambda: base64.b64encode(secrets.token_bytes(64)).decode()))
