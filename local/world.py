"""The fixed names of the local world: what an Azure subscription would hold, and the local part behind each name."""

from __future__ import annotations

SUBSCRIPTION = "00000000-0000-0000-0000-00000000c0de"
TENANT = "00000000-0000-0000-0000-0000000071de"
RESOURCE_GROUP = "rg-tidegate"
LOCATION = "westeurope"

STAGING = "tidegatestaging"
HEALTHY = "tidegatehealthy"
KEY_VAULT = "tidegate-kv"
STORAGE_ACCOUNT = "tidegatestate"
OUTCOMES_TOPIC = "tidegate-outcomes"
FUNCTION_APP = "func-tidegate"

_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers"


def registry_id(name: str) -> str:
    """ARM resource id of a container registry."""
    return f"{_GROUP}/Microsoft.ContainerRegistry/registries/{name}"


def login_server(name: str) -> str:
    """Host name of a container registry."""
    return f"{name}.azurecr.io"


def topic_host(name: str) -> str:
    """Host name of a custom Event Grid topic."""
    return f"{name}.{LOCATION}-1.eventgrid.azure.net"


VAULT_URL = f"https://{KEY_VAULT}.vault.azure.net"
OUTCOMES_TOPIC_ID = f"{_GROUP}/Microsoft.EventGrid/topics/{OUTCOMES_TOPIC}"
FUNCTION_APP_ID = f"{_GROUP}/Microsoft.Web/sites/{FUNCTION_APP}"
KEY_VAULT_ID = f"{_GROUP}/Microsoft.KeyVault/vaults/{KEY_VAULT}"
