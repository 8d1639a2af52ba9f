"""Everything that differs between two installations; read once, from app settings, by the composition root."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping

from tidegate.errors import MalformedEvent, SettingsError
from tidegate.identity import key_holders
from tidegate.references import registry, workspace

PREFIX = "TIDEGATE_"

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """App settings `TIDEGATE_<FIELD>`; the storage account is the one the Functions host uses (`AzureWebJobsStorage`)."""

    staging_registry: str
    """Name of the registry that images are pushed to, for example `contosostaging`. The only one events are accepted from."""
    healthy_registry: str
    """Name of the registry that holds promoted images, for example `contosohealthy`."""
    subscription_id: str
    """Subscription of the registries, for example `00000000-0000-0000-0000-000000000000`."""
    resource_group: str
    """Resource group of the registries, for example `rg-tidegate`."""
    outcomes_endpoint: str
    """Event Grid topic for outcomes, `https://<topic>.<region>-1.eventgrid.azure.net/api/events`; empty: none is published."""
    key_vault_url: str
    """Key Vault with the secrets that no identity can replace, `https://<vault>.vault.azure.net`; empty: none is needed."""
    identity_client_id: str = ""
    """Client id of the user-assigned identity the app acts as; empty: its system-assigned identity."""
    gates_file: str = "gates.yaml"
    """Path of the gates, relative to the app; a file of its own makes it part of the deployment, and of the review."""
    table: str = "tidegate"
    """Prefix of the tables: `<table>state` and `<table>list`."""
    evidence_container: str = "evidence"
    """Blob container of test logs and reports."""
    dead_letter_container: str = "dead-letters"
    """Blob container where Event Grid and Tidegate put events that nobody could take; as in infra/data/events.json."""
    workspaces: str = ""
    """Machine learning workspaces whose runs and models are watched, separated by commas, for example `vision,forecasting`;
    in the resource group of the registries. Events of other workspaces are parked."""
    alert_url_secret: str = "alert-email-url"  # noqa: S105  its name
    """Secret with the signed address of the workflow that sends mails; without it in the vault no mail is
    sent. The key that signs the buttons in mails follows from it."""
    public_url: str = ""
    """Where people reach the app, for example `https://func-tidegate.azurewebsites.net`; empty: mails have no buttons."""
    tenant_id: str = ""
    """Entra tenant whose tokens say who asks, for example `00000000-0000-0000-0000-000000000000`; empty: no token is taken."""
    api_audience: str = ""
    """Client id of the application that people sign in with; a token must be for it, or for `api://<client id>`.
    Empty: no token is taken."""
    api_keys: str = ""
    """API keys of machines, `name:<sha256 of the key>:Role,Role`, separated by `;`; `tidegate new-key` makes one. No secret:
    they are hashes. A key without roles may look and ask."""

    serving_identity_id: str = ""
    """ARM id of the user-assigned identity that endpoints and container groups made by deliveries pull images and read models
    as, `/subscriptions/.../userAssignedIdentities/<name>`; empty: endpoints have a system-assigned one, container groups none."""
    serving_subnet_id: str = ""
    """ARM id of the subnet of container groups made by deliveries; empty: they have public addresses."""
    local_endpoints: str = ""
    """Folder where targets of the kind local keep their deployments, for example `.local/endpoints`; empty: there are none."""
    local_python: str = ""
    """Python of an environment with azureml-inference-server-http, for those, for example `.tools/serving/bin/python`."""
    devops_token_secret: str = "azure-devops-token"  # noqa: S105  its name
    """Secret with the token that starts pipelines of Azure DevOps; needed only where a stage names one."""
    github_token_secret: str = "github-token"  # noqa: S105  its name
    """Secret with the token that starts workflows of GitHub; needed only where a stage names one."""

    @property
    def watched(self) -> tuple[str, ...]:
        """The workspaces, one by one."""
        return tuple(filter(None, self.workspaces.split(",")))


def load(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment. SettingsError lists every missing, empty, unresolved or malformed one at once."""
    values: dict[str, str] = {}
    problems: list[str] = []
    for field in dataclasses.fields(Settings):
        name = f"{PREFIX}{field.name.upper()}"
        optional = field.default is not dataclasses.MISSING or field.name in _MAY_BE_EMPTY
        text = environ.get(name, "").strip()
        if text.startswith("@Microsoft.KeyVault("):
            # Azure leaves the literal reference where it could not resolve it (azure-docs: app-service-key-vault-references).
            problems.append(f"{name}: unresolved Key Vault reference; check the identity's access and the name")
        elif text:
            values[field.name] = text
        elif not optional:
            problems.append(f"{name}: missing")
        elif field.default is dataclasses.MISSING:
            values[field.name] = ""
    problems += _malformed(values)
    if problems:
        raise SettingsError("app settings: " + "; ".join(problems))
    return Settings(**values)


_MAY_BE_EMPTY = ("outcomes_endpoint", "key_vault_url")


def _malformed(values: dict[str, str]) -> typing.Iterator[str]:
    for field in ("staging_registry", "healthy_registry"):
        if field in values:
            try:
                values[field] = registry(values[field], f"{PREFIX}{field.upper()}")
            except MalformedEvent as error:
                yield str(error)
    if values.get("staging_registry") is not None and values.get("staging_registry") == values.get("healthy_registry"):
        yield f"{PREFIX}HEALTHY_REGISTRY: is the staging registry; promotion needs two"
    yield from _malformed_workspaces(values)
    yield from _malformed_people(values)
    for field in ("outcomes_endpoint", "key_vault_url"):
        url = values.get(field, "")
        if url and not url.startswith("https://"):
            yield f"{PREFIX}{field.upper()}: must start with https://"
    public_url = values.get("public_url", "")
    if public_url and not public_url.startswith(("https://", "http://127.0.0.1:")):
        yield f"{PREFIX}PUBLIC_URL: must start with https:// (or http://127.0.0.1: where everything runs on one machine)"


def _malformed_people(values: dict[str, str]) -> typing.Iterator[str]:
    for field in ("tenant_id", "api_audience"):
        if field in values and not _ID.match(values[field]):
            yield f"{PREFIX}{field.upper()}: must be an id, 32 of 0-9 and a-f in five groups"
    try:
        key_holders(values.get("api_keys", ""), f"{PREFIX}API_KEYS")
    except MalformedEvent as error:
        yield str(error)


def _malformed_workspaces(values: dict[str, str]) -> typing.Iterator[str]:
    names = [name.strip() for name in values.get("workspaces", "").split(",") if name.strip()]
    try:
        values["workspaces"] = ",".join(workspace(name, f"{PREFIX}WORKSPACES") for name in names)
    except MalformedEvent as error:
        yield str(error)
