"""The fixed names of the local world: what an Azure subscription would hold, and the local part behind each name."""

from __future__ import annotations

import uuid

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
API_CLIENT = "00000000-0000-0000-0000-0000000a71c1"
"""Client id of the application that people sign in with."""
WORKSPACES = ("vision", "forecasting")
"""Those of infra/data/workspaces.json, without the environment that their names have on Azure."""
ENVIRONMENTS = ("dev", "int", "pro")
"""Every workspace is there once more for each, as `<workspace>-<environment>`: what models are delivered through."""
MODEL_REGISTRY = "mlr-tidegate"
"""The Azure ML registry through which models move between workspaces."""
KUBERNETES = "kubernetes"
"""The Kubernetes compute of every workspace."""

GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
_GROUP = f"{GROUP_ID}/providers"


SERVING_IDENTITY = f"{_GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/id-serving"
"""ARM id of the identity that endpoints pull images and read models as."""
FUNCTION_IDENTITY = "events-app"
"""Principal of infra/data/roles.json as which the function app runs: both apps of Azure in one, with what the larger may do."""
OWNER = "owner"
"""Stands for whoever set the local world up; may do everything."""


def client_id(principal: str) -> str:
    """Client id of a principal of infra/data/roles.json, for sign-in as it: with any secret."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"tidegate-local-{principal}"))


def identity_header(principal: str, header: str = "local") -> str:
    """IDENTITY_HEADER with which the managed identity endpoint answers as a principal; the function app has it bare."""
    return header if principal == FUNCTION_IDENTITY else f"{header}:{principal}"


def registry_id(name: str) -> str:
    """ARM resource id of a container registry."""
    return f"{_GROUP}/Microsoft.ContainerRegistry/registries/{name}"


def workspace_id(name: str) -> str:
    """ARM resource id of a machine learning workspace."""
    return f"{_GROUP}/Microsoft.MachineLearningServices/workspaces/{name}"


def model_registry_id(name: str) -> str:
    """ARM resource id of an Azure ML registry."""
    return f"{_GROUP}/Microsoft.MachineLearningServices/registries/{name}"


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
STORAGE_ACCOUNT_ID = f"{_GROUP}/Microsoft.Storage/storageAccounts/{STORAGE_ACCOUNT}"
