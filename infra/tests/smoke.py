"""Tests a deployed environment from outside: what is set up, and one image from pushed to promoted.

    python -m infra.tests.smoke ENVIRONMENT

Reads the outputs of the deployment `tidegate-ENVIRONMENT` through `az`, and acts as whoever is signed in.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.scripts.azure_cli import AzureCliError, ask
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


type Az = Callable[[Sequence[str]], Any]


def registries(names: dict[str, str], az: Az) -> Iterator[Check]:
    """No admin user, no anonymous pull; the healthy registry cannot be deleted."""
    for name in (names["STAGING_REGISTRY"], names["HEALTHY_REGISTRY"]):
        found = az(["acr", "show", "--name", name])
        open_ways = [way for way in ("adminUserEnabled", "anonymousPullEnabled") if found[way]]
        yield Check(f"registry {name} has no back door", ", ".join(open_ways))
    locks = az(["lock", "list", "--resource-group", names["AZURE_RESOURCE_GROUP"]])
    healthy = f"/registries/{names['HEALTHY_REGISTRY']}/".lower()
    yield Check(
        "the healthy registry is locked", "" if any(healthy in each["id"].lower() for each in locks) else "no lock"
    )


def functions(names: dict[str, str], az: Az) -> Iterator[Check]:
    """Both apps know every function; each runs its own only."""
    wanted = json.loads((DATA / "functions.json").read_text())
    for app, mine in ((names["EVENTS_APP_NAME"], wanted["events"]), (names["API_APP_NAME"], wanted["api"])):
        found = az(
            ["functionapp", "function", "list", "--resource-group", names["AZURE_RESOURCE_GROUP"], "--name", app]
        )
        running = {each["name"].rpartition("/")[2] for each in found if not each["isDisabled"]}
        yield Check(f"{app} runs its functions", ", ".join(sorted(running ^ set(mine))))


def subscriptions(names: dict[str, str], az: Az) -> Iterator[Check]:
    """Every subscription of events.json is there and was accepted."""
    group = names["AZURE_RESOURCE_GROUP"]
    topics = {
        "staging-registry": ["evgt-staging-registry"],
        "workspaces": [each["name"] for each in az(["eventgrid", "system-topic", "list", "--resource-group", group])],
    }
    topics["workspaces"] = [name for name in topics["workspaces"] if name not in topics["staging-registry"]]
    for wanted in json.loads((DATA / "events.json").read_text())["subscriptions"]:
        for topic in topics[wanted["source"]]:
            command = ["eventgrid", "system-topic", "event-subscription", "list", "--resource-group", group]
            found = {each["name"]: each for each in az([*command, "--system-topic-name", topic])}
            state = found.get(wanted["name"], {}).get("provisioningState", "missing")
            yield Check(f"subscription {wanted['name']} of {topic}", "" if state == "Succeeded" else state)


def storage(names: dict[str, str], az: Az) -> Iterator[Check]:
    """Queues, tables and containers are there, and no key opens the account."""
    account = names["STATE_ACCOUNT"]
    wanted = json.loads((DATA / "state.json").read_text())
    shown = az(["storage", "account", "show", "--name", account])
    services = {"queues": ("queueServices", "queues"), "tables": ("tableServices", "tables")}
    services["containers"] = ("blobServices", "containers")
    for kind, (service, path) in services.items():
        url = f"{shown['id']}/{service}/default/{path}?api-version=2025-08-01"
        found = {each["name"] for each in az(["rest", "--method", "get", "--url", url])["value"]}
        yield Check(f"the {kind} are there", ", ".join(sorted(set(wanted[kind]) - found)))
    yield Check(
        "no key opens the state account", "allowSharedKeyAccess" if shown["allowSharedKeyAccess"] is not False else ""
    )


def sign_in(names: dict[str, str], _az: Az) -> Iterator[Check]:
    """A forged principal header is worth nothing from outside."""
    request = urllib.request.Request(f"{names['API_URL']}/api/promotions", headers={"X-MS-CLIENT-PRINCIPAL": "e30="})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    yield Check("a forged sign-in is refused", "" if status in {401, 403} else f"status {status}")


def promotion(names: dict[str, str], az: Az, limit: float = 600, pause: float = 10) -> Iterator[Check]:
    """An image put into staging arrives in healthy, with the same digest."""
    image = f"base/debian:smoke-{uuid.uuid4().hex[:12]}"
    repository, _, tag = image.partition(":")
    staging, healthy = names["STAGING_REGISTRY"], names["HEALTHY_REGISTRY"]
    az(["acr", "import", "--name", staging, "--source", SOURCE, "--image", image])
    pushed = az(["acr", "manifest", "show-metadata", "--registry", staging, "--name", image])["digest"]
    deadline = time.monotonic() + limit
    promoted = ""
    while not promoted and time.monotonic() < deadline:
        promoted = _digest(az, healthy, repository, tag)
        if not promoted:
            time.sleep(pause)
    fault = (
        f"nothing arrived in {limit:.0f} s"
        if not promoted
        else ""
        if promoted == pushed
        else f"{promoted} is not {pushed}"
    )
    yield Check(f"{image} was promoted", fault)


def _digest(az: Az, registry: str, repository: str, tag: str) -> str:
    try:
        return str(
            az(["acr", "manifest", "show-metadata", "--registry", registry, "--name", f"{repository}:{tag}"])["digest"]
        )
    except AzureCliError:
        return ""


CHECKS = (registries, functions, subscriptions, storage, sign_in, promotion)


def main(environment: str, az: Az = ask) -> int:
    deployed = outputs(environment, az)
    checks: list[Check] = []
    for check in CHECKS:
        try:
            checks += check(deployed, az)
        except AzureCliError as error:
            checks.append(Check(check.__name__, str(error)))
    for each in checks:
        sys.stdout.write(f"{'FAIL' if each.fault else 'ok  '} {each.name}{': ' if each.fault else ''}{each.fault}\n")
    failed = sum(bool(each.fault) for each in checks)
    sys.stdout.write(f"{len(checks) - failed} passed, {failed} failed\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
