"""Tests a deployed environment from outside: what is set up, and one image from pushed to promoted.

    python -m infra.tests.smoke ENVIRONMENT

Reads the outputs of the deployment `tidegate-ENVIRONMENT` through `az`, or from a file with `--outputs`, and acts as
whoever is signed in (DefaultAzureCredential). AZURE_SUBSCRIPTION_ID: the subscription of the resource group.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, override

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.containerregistry.models import ImportImageParameters, ImportSource

from infra.azure import Arm, Registry, signed_in
from infra.scripts.azure_cli import ask
from infra.scripts.outputs import outputs

DATA = Path(__file__).parents[1] / "data"
SOURCE = "docker.io/library/debian:stable-slim"
"""A small public image that the shipped gates.yaml promotes without a test (gate base-images)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    fault: str = ""
    """Empty: it is as it should be."""


class Azure(Protocol):
    """As much of Azure as the checks look at."""

    def get(self, path: str, version: str) -> Any:
        """What a path below the resource group answers. AzureError: a refusal."""

    def import_image(self, source: str, registry: str, image: str) -> None:
        """Bring an image of another registry into one, and wait for it. AzureError: it could not be."""

    def digest(self, registry: str, repository: str, tag: str) -> str:
        """What a tag names; empty: there is none."""


class Signed(Azure):
    """Azure as one principal."""

    def __init__(self, who: TokenCredential, subscription: str, group: str) -> None:
        self._who = who
        self._arm = Arm(who, subscription, group)
        self._registries = ContainerRegistryManagementClient(who, subscription)
        self._group = group

    @override
    def get(self, path: str, version: str) -> Any:
        return self._arm.get(path, version)

    @override
    def import_image(self, source: str, registry: str, image: str) -> None:
        host, _, name = source.partition("/")
        wanted = ImportImageParameters(source=ImportSource(registry_uri=host, source_image=name), target_tags=[image])
        self._registries.registries.begin_import_image(self._group, registry, wanted).result(300)

    @override
    def digest(self, registry: str, repository: str, tag: str) -> str:
        return Registry(self._who, registry).digest(repository, tag)


def data(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


def registries(names: dict[str, str], azure: Azure) -> Iterator[Check]:
    """No admin user, no anonymous pull; the healthy registry cannot be deleted."""
    kind = "/providers/Microsoft.ContainerRegistry/registries/"
    for name in (names["STAGING_REGISTRY"], names["HEALTHY_REGISTRY"]):
        found = azure.get(f"{kind}{name}", "2025-11-01")["properties"]
        open_ways = [way for way in ("adminUserEnabled", "anonymousPullEnabled") if found[way]]
        yield Check(f"registry {name} has no back door", ", ".join(open_ways))
    locks = azure.get("/providers/Microsoft.Authorization/locks", "2020-05-01")["value"]
    healthy = f"{kind}{names['HEALTHY_REGISTRY']}/".lower()
    locked = any(healthy in each["id"].lower() for each in locks)
    yield Check("the healthy registry is locked", "" if locked else "no lock")


def functions(names: dict[str, str], azure: Azure) -> Iterator[Check]:
    """Each app runs its own functions only; where one app is both, all of them."""
    wanted: dict[str, set[str]] = {}
    for output, key in (("EVENTS_APP_NAME", "events"), ("API_APP_NAME", "api")):
        wanted.setdefault(names[output], set()).update(data("functions")[key])
    for app, mine in wanted.items():
        found = azure.get(f"/providers/Microsoft.Web/sites/{app}/functions", "2025-03-01")["value"]
        running = {each["name"].rpartition("/")[2] for each in found if not each["properties"]["isDisabled"]}
        yield Check(f"{app} runs its functions", ", ".join(sorted(running ^ mine)))


def subscriptions(_names: dict[str, str], azure: Azure) -> Iterator[Check]:
    """Every subscription of events.json is there and was accepted."""
    kind, version = "/providers/Microsoft.EventGrid/systemTopics", "2025-02-15"
    every = [each["name"] for each in azure.get(kind, version)["value"]]
    topics = {"staging-registry": [name for name in every if name == "evgt-staging-registry"]}
    topics["workspaces"] = [name for name in every if name not in topics["staging-registry"]]
    for wanted in data("events")["subscriptions"]:
        for topic in topics[wanted["source"]] or ["no topic"]:
            listed = azure.get(f"{kind}/{topic}/eventSubscriptions", version)["value"] if topic in every else []
            found = {each["name"]: each["properties"] for each in listed}
            state = found.get(wanted["name"], {}).get("provisioningState", "missing")
            yield Check(f"subscription {wanted['name']} of {topic}", "" if state == "Succeeded" else state)


def storage(names: dict[str, str], azure: Azure) -> Iterator[Check]:
    """Queues, tables and containers are there, and no key opens the account."""
    account = f"/providers/Microsoft.Storage/storageAccounts/{names['STATE_ACCOUNT']}"
    services = {"queues": ("queueServices", "queues"), "tables": ("tableServices", "tables")}
    services["containers"] = ("blobServices", "containers")
    for kind, (service, path) in services.items():
        found = {each["name"] for each in azure.get(f"{account}/{service}/default/{path}", "2025-08-01")["value"]}
        yield Check(f"the {kind} are there", ", ".join(sorted(set(data("state")[kind]) - found)))
    keyed = azure.get(account, "2025-08-01")["properties"].get("allowSharedKeyAccess") is not False
    yield Check("no key opens the state account", "allowSharedKeyAccess" if keyed else "")


def sign_in(names: dict[str, str], _azure: Azure) -> Iterator[Check]:
    """Strangers get nothing from the API, whatever they say they are."""
    wrong = {
        "nobody": {},
        "a forged sign-in": {"X-MS-CLIENT-PRINCIPAL": "e30="},
        "a made-up key": {"X-Api-Key": "0" * 43},
        "a made-up token": {"Authorization": "Bearer e30.e30.e30"},
    }
    for who, headers in wrong.items():
        status = _status(urllib.request.Request(f"{names['API_URL']}/api/promotions", headers=headers))
        yield Check(f"{who} is refused", "" if status in {401, 403} else f"status {status}")


def buttons(names: dict[str, str], _azure: Azure) -> Iterator[Check]:
    """Buttons of mails reach the app without sign-in, which refuses a link that nobody signed."""
    status = _status(urllib.request.Request(f"{names['API_URL']}/api/actions/mute"))
    closed = "; nobody may call the app while signInClientId and apiKeys are empty" if status == 403 else ""
    fault = "" if status == 400 else f"status {status}, not the app's own 400{closed}"
    yield Check("a button opens without sign-in", fault)


def promotion(names: dict[str, str], azure: Azure, limit: float = 600, pause: float = 2) -> Iterator[Check]:
    """An image put into staging arrives in healthy, with the same digest."""
    repository, tag = names.get("SMOKE_REPOSITORY", "base/debian"), f"smoke-{uuid.uuid4().hex[:12]}"
    staging, healthy = names["STAGING_REGISTRY"], names["HEALTHY_REGISTRY"]
    azure.import_image(names.get("SMOKE_SOURCE", SOURCE), staging, f"{repository}:{tag}")
    pushed = azure.digest(staging, repository, tag)
    deadline = time.monotonic() + limit
    while not (promoted := azure.digest(healthy, repository, tag)) and time.monotonic() < deadline:
        time.sleep(pause)
    fault = "" if promoted == pushed else f"{promoted} is not {pushed}"
    yield Check(f"{repository}:{tag} was promoted", fault if promoted else f"nothing arrived in {limit:.0f} s")


def _status(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


CHECKS = (registries, functions, subscriptions, storage, sign_in, buttons, promotion)


def run(names: dict[str, str], azure: Azure) -> Iterator[Check]:
    """Every check; one that cannot be made is a fault of its own."""
    for check in CHECKS:
        try:
            yield from check(names, azure)
        except (AzureError, OSError) as error:
            yield Check(check.__name__, str(error).partition("\n")[0])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.tests.smoke", description="Tests a deployed environment.")
    parser.add_argument("environment", help="dev, int, pro ...")
    parser.add_argument("--outputs", type=Path, help="JSON file of outputs instead of those of the deployment")
    parsed = parser.parse_args(arguments)
    names = json.loads(parsed.outputs.read_text()) if parsed.outputs else outputs(parsed.environment)
    subscription = os.environ.get("AZURE_SUBSCRIPTION_ID") or str(ask(["account", "show"])["id"])
    azure = Signed(signed_in(), subscription, names["AZURE_RESOURCE_GROUP"])
    passed = failed = 0
    for each in run(names, azure):
        passed, failed = passed + (not each.fault), failed + bool(each.fault)
        sys.stdout.write(f"{'FAIL' if each.fault else 'ok  '} {each.name}{': ' if each.fault else ''}{each.fault}\n")
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
