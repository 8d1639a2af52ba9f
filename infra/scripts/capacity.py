"""Whether a region has the machines of an environment: VM sizes, quotas, pools of an attached cluster, GPU profiles."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from infra.scripts.environments import Machines


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
    wanted: Iterable[Machines],
    offered: Mapping[str, Size],
    usages: Sequence[Mapping[str, Any]],
    there: Collection[str] = (),
) -> Iterator[str]:
    """Families of which all machines together would need more cores than their quota has, from `az vm list-usage`.

    `there`: names of what is deployed already. Its machines may be among those that Azure counts as used.
    """
    quotas = {each["name"]["value"].lower(): _Quota.of(each) for each in usages}
    needs: dict[str, _Need] = collections.defaultdict(_Need)
    for machines in wanted:
        if (size := offered.get(machines.size.lower())) is not None:
            needs["lowprioritycores" if machines.is_spot else size.family.lower()].add(machines, size, there)
    for family, need in sorted(needs.items()):
        if family not in quotas:
            yield f"quota of {family}: unknown in this region; {need.all} cores are needed"
        elif problem := need.beyond(quotas[family]):
            yield f"quota of {family}: {problem}; ask for more before deploying"


def cluster_quota_problems(
    wanted: Iterable[Machines],
    offered: Mapping[str, Size],
    usages: Sequence[Mapping[str, Any]],
    there: Collection[str] = (),
) -> Iterator[str]:
    """The same for compute clusters, which count against quotas of Azure ML's own, from its usages API of a region.

    Names differ between versions of that API (`standardDSv2Family`, `Standard DSv2 Family Cluster Dedicated vCPUs`), so
    letters and digits are compared. Low-priority nodes have one quota for all families. A limit of -1 is none.
    """
    quotas = {
        _cluster_quota(each["name"].get("localizedValue") or each["name"]["value"]): _Quota.of(each)
        for each in usages
        if "/workspaces/" not in str(each.get("id")) and each["limit"] >= 0
    }
    needs: dict[str, _Need] = collections.defaultdict(_Need)
    for machines in wanted:
        if (size := offered.get(machines.size.lower())) is not None:
            for name in [_LOW_PRIORITY] if machines.is_spot else [_DEDICATED, size.family]:
                needs[name].add(machines, size, there)
    for name, need in sorted(needs.items()):
        quota = quotas.get(_cluster_quota(name))
        if quota and (problem := need.beyond(quota)):
            yield f"cluster quota of {name}: {problem}; ask for more in Azure ML's quota page"


@dataclasses.dataclass(frozen=True, slots=True)
class _Quota:
    """Cores that a subscription may have of a kind, and has."""

    limit: int
    used: int

    @classmethod
    def of(cls, usage: Mapping[str, Any]) -> _Quota:
        return cls(int(usage["limit"]), int(usage["currentValue"]))


@dataclasses.dataclass(slots=True)
class _Need:
    """Cores that are asked for of a kind: all of them, and those of what is not deployed yet."""

    all: int = 0
    new: int = 0

    def add(self, machines: Machines, size: Size, there: Collection[str]) -> None:
        cores = size.cores * machines.most
        self.all += cores
        self.new += 0 if machines.of in there else cores

    def beyond(self, quota: _Quota) -> str:
        """What is wrong; empty: there is room. What runs already needs no room beside itself."""
        if self.new > (left := quota.limit - quota.used):
            return f"{self.new} cores are needed, {left} are left"
        return f"{self.all} cores are needed, the limit is {quota.limit}" if self.all > quota.limit else ""


_DEDICATED, _LOW_PRIORITY = "Total Cluster Dedicated Regional vCPUs", "Total Cluster LowPriority Regional vCPUs"


def _cluster_quota(name: str) -> str:
    """A quota's name by what tells it from others."""
    letters = "".join(filter(str.isalnum, name.lower()))
    return letters.removesuffix("clusterdedicatedvcpus").removeprefix("standard")


def pool_problems(cluster: Mapping[str, Any], offered: Mapping[str, Size], minimum_cores: int) -> Iterator[str]:
    """What a cluster that is attached lacks, from `az aks show`: nodes that inference is placed on, and enough cores of them."""
    pools = [
        each for each in cluster["agentPoolProfiles"] if (each.get("nodeLabels") or {}).get("workload") == "inference"
    ]
    if not pools:
        yield f"cluster {cluster['name']}: no pool has the label workload=inference, on which models are placed"
        return
    sizes_of_pools = [(each, offered.get(each["vmSize"].lower())) for each in pools]
    cores = sum((each.get("minCount") or each["count"]) * size.cores for each, size in sizes_of_pools if size)
    if cores < minimum_cores:
        yield f"cluster {cluster['name']}: its inference pools have {cores} cores, production needs {minimum_cores}"


def profile_problems(profile: str, location: str, profiles: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A workload profile that Container Apps does not have in a region, from its list of the region."""
    if profile.lower() not in {each["name"].lower() for each in profiles}:
        yield f"training job: Container Apps has no {profile} in {location}; choose another trainingGpuLocation"
