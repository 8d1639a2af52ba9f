"""Finds out before a deployment what Azure would refuse in its middle: VM sizes, quotas, names, permissions, budget.

    python -m infra.scripts.preflight ENVIRONMENT [PARAMETER=VALUE ...]

Exits with 1 and one line a problem; the decisions are pure functions over what `az` answers.
"""

from __future__ import annotations

import collections
import datetime
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from infra.scripts import capacity, environments
from infra.scripts.azure_cli import AzureCliError, ask, listed
from infra.scripts.environments import Environment, Machines

Az = Callable[[Sequence[str]], Any]
"""`az` with its arguments, and its answer as JSON."""

SUBSCRIPTION_ACTIONS = ("Microsoft.Resources/deployments/write",)
GROUP_ACTIONS = ("Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleDefinitions/write")
"""What a deployment needs above the resource group and in it: a pipeline holds the second in its own group alone."""

PROVIDERS = (
    "Microsoft.App",
    "Microsoft.Communication",
    "Microsoft.Compute",
    "Microsoft.ContainerInstance",
    "Microsoft.ContainerRegistry",
    "Microsoft.ContainerService",
    "Microsoft.EventGrid",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.KubernetesConfiguration",
    "Microsoft.Logic",
    "Microsoft.MachineLearningServices",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    "Microsoft.Web",
)


def permission_problems(permissions: Sequence[Mapping[str, Any]], needed: Iterable[str]) -> Iterator[str]:
    """Actions that whoever is signed in lacks, from the permissions API of a scope."""
    for action in needed:
        if not any(_grants(each, action) for each in permissions):
            yield f"permission: {action} is missing; see docs/how-to/deploy.md, Before the first time"


def _grants(permission: Mapping[str, Any], action: str) -> bool:
    def matches(pattern: str) -> bool:
        head, star, tail = pattern.lower().partition("*")
        wanted = action.lower()
        return wanted == pattern.lower() if not star else wanted.startswith(head) and wanted.endswith(tail)

    return any(map(matches, permission["actions"])) and not any(map(matches, permission.get("notActions") or ()))


def provider_problems(providers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Resource providers that are not registered, from `az provider list`."""
    state = {each["namespace"].lower(): each["registrationState"] for each in providers}
    for name in PROVIDERS:
        if state.get(name.lower()) != "Registered":
            yield f"provider {name}: not registered; az provider register --namespace {name} --wait"


SUBNETS = frozenset({"endpoints", "functions", "api", "containers", "jobs", "compute", "kubernetes"})
"""Those that modules/network.bicep makes, and that a network which was there must have."""


def network_problems(network: Mapping[str, Any]) -> Iterator[str]:
    """Subnets that a network to be used lacks, from `az network vnet show`."""
    for name in sorted(SUBNETS - {each["name"] for each in network["subnets"]}):
        yield f"network {network['name']}: there is no subnet {name}"


def name_problems(registries: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Registry names that somebody else has, from the checkNameAvailability API: they are unique in all of Azure."""
    for name, answer in registries.items():
        if not answer["nameAvailable"]:
            yield f"name {name}: {answer.get('message') or 'is taken'}"


def budget_problems(start: str, budgets: Sequence[Mapping[str, Any]], today: datetime.date) -> Iterator[str]:
    """A first month that Azure takes for no new budget. One that is there keeps its own, so it is not looked at."""
    if budgets:
        return
    first = datetime.date.fromisoformat(start)
    if first.day != 1 or first < today.replace(day=1):
        yield f"budgetStartDate: {start} is not the first day of this month or a later one, as a new budget needs"


def problems(
    environment: Environment, az: Az = ask, given: Sequence[str] = (), today: datetime.date | None = None
) -> Iterator[str]:
    """Everything that stands in the way of this environment. `given`: parameters that its file does not have so."""
    subscription = az(["account", "show"])["id"]
    is_there = bool(az(["group", "exists", "--name", environment.resource_group]))
    group = f"/subscriptions/{subscription}/resourceGroups/{environment.resource_group}"
    there = _names_in(environment, az) if is_there else frozenset()
    yield from _machine_problems(environment, subscription, there, az)
    yield from _training_job_problems(environment, subscription, az)
    yield from provider_problems(az(["provider", "list"]))
    yield from _permission_problems(subscription, group if is_there else "", az)
    if network := environment.parameters.get("existingNetworkId"):
        yield from network_problems(az(["network", "vnet", "show", "--ids", network]))
    url = f"{group}/providers/Microsoft.Consumption/budgets?api-version=2024-08-01"
    budgets = az(["rest", "--method", "get", "--url", url])["value"] if is_there else []
    yield from budget_problems(environment.budget_start, budgets, today or datetime.datetime.now(datetime.UTC).date())
    if not is_there:
        yield from name_problems(_names(environment, subscription, az, given))


def _names_in(environment: Environment, az: Az) -> frozenset[str]:
    """Names of everything in the environment's group."""
    found = az(["resource", "list", "--resource-group", environment.resource_group])
    return frozenset(each["name"] for each in found)


def _machine_problems(environment: Environment, subscription: str, there: Collection[str], az: Az) -> Iterator[str]:
    by_location: dict[str, list[Machines]] = collections.defaultdict(list)
    for each in environment.machines():
        by_location[each.location].append(each)
    for location, wanted in sorted(by_location.items()):
        offered = _offered(location, az)
        yield from capacity.size_problems(wanted, offered)
        outside = [each for each in wanted if not each.in_workspace]
        usages = az(["vm", "list-usage", "--location", location])
        yield from capacity.quota_problems(outside, offered, usages, there)
        if clusters := [each for each in wanted if each.in_workspace]:
            of_workspaces = _cluster_usages(location, subscription, az)
            yield from capacity.cluster_quota_problems(clusters, offered, of_workspaces, there)
    if attached := environment.attached_cluster:
        _, _, of, _, group, *_, name = attached.split("/")
        cluster = az(["aks", "show", "--subscription", of, "--resource-group", group, "--name", name])
        yield from capacity.pool_problems(cluster, _offered(cluster["location"], az), environment.minimum_cores)


def _offered(location: str, az: Az) -> dict[str, capacity.Size]:
    return capacity.sizes(
        az(["vm", "list-skus", "--location", location, "--resource-type", "virtualMachines", "--all"])
    )


def _training_job_problems(environment: Environment, subscription: str, az: Az) -> Iterator[str]:
    if not environment.has_training_job:
        return
    location, profile = environment.training_job
    if environment.is_private and location != environment.location:
        yield f"training job: {location} is not the region of its network, {environment.location}"
    kind = "availableManagedEnvironmentsWorkloadProfileTypes?api-version=2025-07-01"
    url = f"/subscriptions/{subscription}/providers/Microsoft.App/locations/{location}/{kind}"
    yield from capacity.profile_problems(profile, location, az(["rest", "--method", "get", "--url", url])["value"])


def _permission_problems(subscription: str, group: str, az: Az) -> Iterator[str]:
    """A group that is there is asked itself: a pipeline may do more in its group than in the subscription."""
    scope = f"/subscriptions/{subscription}"
    for where, needed in ((scope, SUBSCRIPTION_ACTIONS), (group or scope, GROUP_ACTIONS)):
        url = f"{where}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
        yield from permission_problems(az(["rest", "--method", "get", "--url", url])["value"], needed)


def _cluster_usages(location: str, subscription: str, az: Az) -> Sequence[Mapping[str, Any]]:
    provider = f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices"
    return listed(f"{provider}/locations/{location}/usages?api-version=2025-12-01", az)


def _names(environment: Environment, subscription: str, az: Az, given: Sequence[str]) -> dict[str, Any]:
    """Availability of the names that a first deployment takes; main.bicep derives them, so Azure is asked for them.

    Names end in a token of subscription, environment and region: somebody else has one only by intent, and the registries
    are where that would hurt. A group that is there already owns its names.
    """
    query = ["--query", "properties.validatedResources[?contains(id, '/registries/')].id"]
    name = f"tidegate-{environment.name}"
    command = ["deployment", "sub", "validate", "--location", environment.location, "--name", name]
    command += ["--template-file", str(environments.INFRA / "main.bicep")]
    command += ["--parameters", f"@{environments.INFRA / f'main.parameters.{environment.name}.json'}", *given]
    url = f"/subscriptions/{subscription}/providers/Microsoft.ContainerRegistry/checkNameAvailability?api-version=2025-11-01"
    found: dict[str, Any] = {}
    for resource in az([*command, *query]) or ():
        name = resource.rpartition("/")[2]
        body = f'{{"name": "{name}", "type": "Microsoft.ContainerRegistry/registries"}}'
        found[name] = az(["rest", "--method", "post", "--url", url, "--body", body])
    return found


def main(name: str, given: Sequence[str] = ()) -> int:
    try:
        found = list(problems(environments.read(name, given=given), given=given))
    except (AzureCliError, FileNotFoundError) as error:
        found = [str(error)]
    for each in found:
        print(f"preflight: {each}", file=sys.stderr)  # noqa: T201  # a program's output
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
