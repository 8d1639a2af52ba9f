"""Finds out before a deployment what Azure would refuse in its middle: VM sizes, quotas, names, permissions.

    python -m infra.scripts.preflight ENVIRONMENT

Exits with 1 and one line a problem; the decisions are pure functions over what `az` answers.
"""

from __future__ import annotations

import collections
import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from infra.scripts import environments
from infra.scripts.azure_cli import AzureCliError, ask
from infra.scripts.environments import Environment, Machines

NEEDED_ACTIONS = ("Microsoft.Resources/deployments/write", "Microsoft.Authorization/roleAssignments/write")

PROVIDERS = (
    "Microsoft.App",
    "Microsoft.ContainerInstance",
    "Microsoft.ContainerRegistry",
    "Microsoft.EventGrid",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.Logic",
    "Microsoft.MachineLearningServices",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    "Microsoft.Web",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """A VM size as a region offers it."""

    name: str
    family: str
    cores: int
    low_priority: bool
    restricted: str
    """Why this subscription cannot have it there; empty: it can."""


def sizes(skus: Sequence[Mapping[str, Any]]) -> dict[str, Size]:
    """Sizes by lower-case name, from `az vm list-skus --resource-type virtualMachines`."""
    return {size.name.lower(): size for size in map(_size, skus)}


def _size(sku: Mapping[str, Any]) -> Size:
    capabilities = {each["name"]: each["value"] for each in sku.get("capabilities") or ()}
    restrictions = [each for each in sku.get("restrictions") or () if each.get("type") == "Location"]
    return Size(
        sku["name"],
        sku.get("family") or "",
        int(capabilities.get("vCPUs", "0")),
        capabilities.get("LowPriorityCapable") == "True",
        str(restrictions[0].get("reasonCode", "restricted")) if restrictions else "",
    )


def size_problems(wanted: Iterable[Machines], offered: Mapping[str, Size]) -> Iterator[str]:
    """Machines of a size that the region does not offer to this subscription, or not as spot, or with too few cores."""
    for machines in wanted:
        size = offered.get(machines.size.lower())
        if size is None:
            yield f"{machines.what}: {machines.size} does not exist in {machines.location}"
        elif size.restricted:
            yield f"{machines.what}: {machines.size} in {machines.location} is closed to this subscription ({size.restricted})"
        elif machines.is_spot and not size.low_priority:
            yield f"{machines.what}: {machines.size} cannot be had as spot"
        elif machines.minimum_cores > size.cores * machines.fewest:
            yield (
                f"{machines.what}: {machines.fewest} x {machines.size} are {size.cores * machines.fewest} cores, "
                f"production needs {machines.minimum_cores}"
            )


def quota_problems(
    wanted: Iterable[Machines], offered: Mapping[str, Size], usages: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Families of which all machines together would need more cores than the quota has left, from `az vm list-usage`."""
    left = {each["name"]["value"].lower(): int(each["limit"]) - int(each["currentValue"]) for each in usages}
    needed: collections.Counter[str] = collections.Counter()
    for machines in wanted:
        if (size := offered.get(machines.size.lower())) is not None:
            needed["lowprioritycores" if machines.is_spot else size.family.lower()] += size.cores * machines.most
    for family, cores in sorted(needed.items()):
        if family not in left:
            yield f"quota of {family}: unknown in this region; {cores} cores are needed"
        elif cores > left[family]:
            yield f"quota of {family}: {cores} cores are needed, {left[family]} are left; ask for more before deploying"


def cluster_quota_problems(
    wanted: Iterable[Machines], offered: Mapping[str, Size], usages: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """The same for compute clusters, which count against quotas of Azure ML's own, from its usages API of a region.

    Names differ between versions of that API (`standardDSv2Family`, `Standard DSv2 Family Cluster Dedicated vCPUs`), so
    letters and digits are compared. Low-priority nodes have one quota for all families. A limit of -1 is none.
    """
    left = {
        _cluster_quota(each["name"].get("localizedValue") or each["name"]["value"]): each["limit"]
        - each["currentValue"]
        for each in usages
        if "/workspaces/" not in str(each.get("id")) and each["limit"] >= 0
    }
    needed: collections.Counter[str] = collections.Counter()
    for machines in wanted:
        if (size := offered.get(machines.size.lower())) is not None:
            total = _LOW_PRIORITY if machines.is_spot else _DEDICATED
            for name in [total] if machines.is_spot else [total, size.family]:
                needed[name] += size.cores * machines.most
    for name, cores in sorted(needed.items()):
        if (most := left.get(_cluster_quota(name), cores)) < cores:
            yield f"cluster quota of {name}: {cores} cores are needed, {most} are left; ask for more in Azure ML's quota page"


_DEDICATED, _LOW_PRIORITY = "Total Cluster Dedicated Regional vCPUs", "Total Cluster LowPriority Regional vCPUs"


def _cluster_quota(name: str) -> str:
    """A quota's name by what tells it from others."""
    letters = "".join(filter(str.isalnum, name.lower()))
    return letters.removesuffix("clusterdedicatedvcpus").removeprefix("standard")


def permission_problems(permissions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Actions that whoever is signed in lacks, from the permissions API of the subscription."""
    for action in NEEDED_ACTIONS:
        if not any(_grants(each, action) for each in permissions):
            yield f"permission: {action} is missing; see docs/how-to/deploy.md, who may deploy"


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


def problems(environment: Environment, az: Callable[[Sequence[str]], Any] = ask) -> Iterator[str]:
    """Everything that stands in the way of this environment."""
    subscription = az(["account", "show"])["id"]
    wanted = environment.machines()
    by_location: dict[str, list[Machines]] = collections.defaultdict(list)
    for each in wanted:
        by_location[each.location].append(each)
    for location, there in sorted(by_location.items()):
        skus = az(["vm", "list-skus", "--location", location, "--resource-type", "virtualMachines", "--all"])
        offered = sizes(skus)
        yield from size_problems(there, offered)
        outside = [each for each in there if not each.in_workspace]
        yield from quota_problems(outside, offered, az(["vm", "list-usage", "--location", location]))
        if clusters := [each for each in there if each.in_workspace]:
            yield from cluster_quota_problems(clusters, offered, _cluster_usages(location, subscription, az))
    yield from provider_problems(az(["provider", "list"]))
    url = f"/subscriptions/{subscription}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
    yield from permission_problems(az(["rest", "--method", "get", "--url", url])["value"])
    if network := environment.parameters.get("existingNetworkId"):
        yield from network_problems(az(["network", "vnet", "show", "--ids", network]))
    yield from name_problems(_names(environment, subscription, az))


def _cluster_usages(
    location: str, subscription: str, az: Callable[[Sequence[str]], Any]
) -> Sequence[Mapping[str, Any]]:
    provider = f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices"
    url = f"{provider}/locations/{location}/usages?api-version=2025-12-01"
    found: list[Mapping[str, Any]] = []
    while url:
        page = az(["rest", "--method", "get", "--url", url])
        found += page["value"]
        url = page.get("nextLink") or ""
    return found


def _names(environment: Environment, subscription: str, az: Callable[[Sequence[str]], Any]) -> dict[str, Any]:
    """Availability of the names that a first deployment takes; main.bicep derives them, so Azure is asked for them.

    Names end in a token of subscription, environment and region: somebody else has one only by intent, and the registries
    are where that would hurt. A group that already holds the registry owns the name.
    """
    if az(["group", "exists", "--name", environment.resource_group]):
        return {}
    query = ["--query", "properties.validatedResources[?contains(id, '/registries/')].id"]
    command = [
        "deployment",
        "sub",
        "validate",
        "--location",
        environment.location,
        "--name",
        f"tidegate-{environment.name}",
    ]
    files = ["--template-file", str(environments.INFRA / "main.bicep")]
    files += ["--parameters", f"@{environments.INFRA / f'main.parameters.{environment.name}.json'}"]
    url = f"/subscriptions/{subscription}/providers/Microsoft.ContainerRegistry/checkNameAvailability?api-version=2025-11-01"
    found: dict[str, Any] = {}
    for resource in az([*command, *files, *query]) or ():
        name = resource.rpartition("/")[2]
        body = f'{{"name": "{name}", "type": "Microsoft.ContainerRegistry/registries"}}'
        found[name] = az(["rest", "--method", "post", "--url", url, "--body", body])
    return found


def main(name: str) -> int:
    try:
        found = list(problems(environments.read(name)))
    except (AzureCliError, FileNotFoundError) as error:
        found = [str(error)]
    for each in found:
        print(f"preflight: {each}", file=sys.stderr)  # noqa: T201  # a program's output
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
