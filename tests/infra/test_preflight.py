"""What preflight finds, from answers of the shape that `az` gives."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.scripts import capacity, environments, preflight, traffic
from infra.scripts.environments import Machines
from tests.infra.conftest import INFRA

D4 = {
    "name": "Standard_D4s_v5",
    "family": "standardDSv5Family",
    "capabilities": [{"name": "vCPUs", "value": "4"}, {"name": "LowPriorityCapable", "value": "True"}],
    "restrictions": [],
}
T4 = {
    "name": "Standard_NC4as_T4_v3",
    "family": "Standard NCASv3_T4 Family",
    "capabilities": [{"name": "vCPUs", "value": "4"}, {"name": "LowPriorityCapable", "value": "False"}],
    "restrictions": [{"type": "Location", "reasonCode": "NotAvailableForSubscription"}],
}
OFFERED = capacity.sizes([D4, T4])


def machines(size: str = "Standard_D4s_v5", most: int = 2, *, spot: bool = False, cores: int = 0) -> Machines:
    return Machines("nodes", "westeurope", size, most, spot, cores, fewest=2)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (machines(), ""),
        (machines("standard_d4S_V5"), ""),
        (machines("Standard_X1"), "nodes: Standard_X1 does not exist in westeurope"),
        (machines("Standard_NC4as_T4_v3"), "closed to this subscription (NotAvailableForSubscription)"),
        (machines(spot=True), ""),
        (machines(cores=8), ""),
        (machines(cores=12), "2 x Standard_D4s_v5 are 8 cores, production needs 12"),
    ],
)
def test_a_size_that_cannot_be_had_is_named_with_its_reason(wanted: Machines, problem: str) -> None:
    found = list(capacity.size_problems([wanted], OFFERED))

    assert len(found) == bool(problem)
    assert problem in "".join(found)


def test_a_size_that_is_never_spot_is_named() -> None:
    offered = capacity.sizes([{**T4, "restrictions": []}])

    assert list(capacity.size_problems([machines("Standard_NC4as_T4_v3", spot=True)], offered)) == [
        "nodes: Standard_NC4as_T4_v3 cannot be had as spot"
    ]


def test_what_runs_already_needs_no_room_beside_itself() -> None:
    """A second deployment finds its own machines among those that are used."""
    mine = dataclasses.replace(machines(most=2), of="aks")
    quota = [usage("standardDSv5Family", 8, 10)]

    assert list(capacity.quota_problems([mine], OFFERED, quota, {"aks"})) == []
    assert "8 cores are needed, 2 are left" in "".join(capacity.quota_problems([mine], OFFERED, quota))
    grown = dataclasses.replace(mine, most=3)
    assert "12 cores are needed, the limit is 10" in "".join(capacity.quota_problems([grown], OFFERED, quota, {"aks"}))


def test_a_cluster_that_trains_does_not_stop_the_next_deployment() -> None:
    mine = dataclasses.replace(cluster(2), of="mlw-vision-dev")
    quota = [cluster_usage(FAMILY, 8, 8), cluster_usage("Total Cluster Dedicated Regional vCPUs", 8, 8)]

    assert list(capacity.cluster_quota_problems([mine], OFFERED, quota, {"mlw-vision-dev"})) == []


def test_machines_name_what_they_are_part_of() -> None:
    template = (INFRA / "main.bicep").read_text()
    environment = environments.read("pro")
    environment.parameters.update({"trainingVm": True, "trainingImage": "t", "gitlabRunners": True})

    assert {each.of for each in environment.machines()} == {
        *("aks-tidegate-pro", "vm-training", "mlw-vision-pro", "mlw-forecasting-pro")
    }
    for name in ("'aks-tidegate-${environmentName}'", "'vm-training'", "'mlw-${each.name}-${environmentName}'"):
        assert name in template


def usage(family: str, used: int, limit: int) -> dict[str, Any]:
    return {"name": {"value": family}, "currentValue": used, "limit": str(limit)}


@pytest.mark.parametrize(
    ("wanted", "usages", "problem"),
    [
        ([machines(most=2)], [usage("standardDSv5Family", 0, 8)], ""),
        ([machines(most=2)], [usage("standardDSv5Family", 1, 8)], "8 cores are needed, 7 are left"),
        ([machines(most=1), machines(most=2)], [usage("standardDSv5Family", 0, 8)], "12 cores are needed, 8 are left"),
        ([machines(most=2, spot=True)], [usage("lowPriorityCores", 0, 3)], "lowprioritycores: 8 cores are needed"),
        ([machines()], [], "unknown in this region"),
    ],
)
def test_a_quota_counts_every_machine_of_a_family(
    wanted: list[Machines], usages: list[dict[str, Any]], problem: str
) -> None:
    found = list(capacity.quota_problems(wanted, OFFERED, usages))

    assert len(found) == bool(problem)
    assert problem in "".join(found)


def cluster(most: int, *, spot: bool = False) -> Machines:
    return dataclasses.replace(machines(most=most, spot=spot), in_workspace=True)


def cluster_usage(name: str, used: int, limit: int, of: str = "/subscriptions/s/usages") -> dict[str, Any]:
    """As the usages API of Azure ML answers, by its published example."""
    return {"id": of, "name": {"value": name, "localizedValue": name}, "currentValue": used, "limit": limit}


FAMILY = "Standard DSv5 Family Cluster Dedicated vCPUs"
DEDICATED = cluster_usage("Total Cluster Dedicated Regional vCPUs", 14, 24)
LOW_PRIORITY = cluster_usage("Total Cluster LowPriority Regional vCPUs", 0, 4)


@pytest.mark.parametrize(
    ("wanted", "usages", "problem"),
    [
        ([cluster(2)], [DEDICATED, cluster_usage(FAMILY, 0, 8)], ""),
        ([cluster(2)], [DEDICATED, cluster_usage(FAMILY, 2, 8)], "standardDSv5Family: 8 cores are needed, 6 are left"),
        ([cluster(3)], [DEDICATED], "Total Cluster Dedicated Regional vCPUs: 12 cores are needed, 10 are left"),
        ([cluster(2, spot=True)], [LOW_PRIORITY], "LowPriority Regional vCPUs: 8 cores are needed, 4 are left"),
        ([cluster(2, spot=True)], [cluster_usage(FAMILY.replace("Dedicated", "LowPriority"), 0, -1)], ""),
        ([cluster(2)], [cluster_usage(FAMILY, 8, 8, "/subscriptions/s/resourceGroups/g/workspaces/w/usages")], ""),
    ],
)
def test_clusters_count_against_the_quotas_of_azure_ml(
    wanted: list[Machines], usages: list[dict[str, Any]], problem: str
) -> None:
    found = list(capacity.cluster_quota_problems(wanted, OFFERED, usages))

    assert len(found) == bool(problem)
    assert problem in "".join(found)


def test_a_region_without_room_for_a_cluster_stops_the_deployment() -> None:
    def az(arguments: Sequence[str]) -> Any:
        if "/usages?" in arguments[-1]:
            page = {"value": [], "nextLink": f"{arguments[-1]}&page=2"}
            return {"value": [DEDICATED]} if "page=2" in arguments[-1] else page
        return healthy(arguments)

    found = list(preflight.problems(environments.read("dev"), az))

    assert [each for each in found if each.startswith("cluster quota of Total Cluster Dedicated")]


@pytest.mark.parametrize(
    ("permissions", "missing"),
    [
        ([{"actions": ["*"], "notActions": []}], 0),
        ([{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}], 1),
        ([{"actions": ["*/read"], "notActions": []}], 2),
        (
            [
                {"actions": ["Microsoft.Resources/deployments/*"], "notActions": []},
                {"actions": ["Microsoft.Authorization/roleAssignments/write"], "notActions": []},
            ],
            0,
        ),
    ],
)
def test_missing_permissions_are_named(permissions: list[dict[str, Any]], missing: int) -> None:
    needed = [*preflight.SUBSCRIPTION_ACTIONS, preflight.GROUP_ACTIONS[0]]

    assert len(list(preflight.permission_problems(permissions, needed))) == missing


@pytest.mark.parametrize(("group_is_there", "problems"), [(True, 0), (False, 2)])
def test_a_pipeline_needs_its_rights_over_roles_in_its_group_alone(group_is_there: bool, problems: int) -> None:
    def az(arguments: Sequence[str]) -> Any:
        if "/Microsoft.Authorization/permissions" in arguments[-1]:
            of_group = [{"actions": ["Microsoft.Authorization/*/write"], "notActions": []}]
            of_subscription = [{"actions": ["Microsoft.Resources/deployments/*"], "notActions": []}]
            return {"value": of_group if "/resourceGroups/" in arguments[-1] else of_subscription}
        return group_is_there if arguments[0] == "group" else healthy(arguments)

    found = list(preflight.problems(environments.read("dev"), az))

    assert len(found) == problems
    assert all(each.startswith("permission: Microsoft.Authorization/role") for each in found)


def test_a_provider_that_is_not_registered_is_named_with_the_command_that_registers_it() -> None:
    states = [{"namespace": name, "registrationState": "Registered"} for name in preflight.PROVIDERS]
    states[0] = {**states[0], "registrationState": "NotRegistered"}

    (found,) = preflight.provider_problems(states)

    assert f"az provider register --namespace {preflight.PROVIDERS[0]}" in found


REGISTRY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/tidegatehealthyx"


def offered_sizes() -> list[dict[str, Any]]:
    wanted = {each.size for name in ("dev", "pro") for each in environments.read(name).machines()}
    return [{"name": size, "family": size, "capabilities": D4["capabilities"]} for size in wanted]


HEALTHY: dict[str, Any] = {
    "vm list-skus": offered_sizes(),
    "vm list-usage": [usage(size, 0, 100) for size in ("Standard_D4s_v5", "Standard_D2s_v5", "lowPriorityCores")],
    "provider list": [{"namespace": name, "registrationState": "Registered"} for name in preflight.PROVIDERS],
    "account show": {"id": "s"},
    "group exists": False,
    "deployment sub": [REGISTRY],
    "resource list": [],
    "rest --method": {"value": [{"actions": ["*"], "notActions": []}], "nameAvailable": True},
}
"""Answers of a subscription in which everything is there, by the first two words of the command."""


def healthy(arguments: Sequence[str]) -> Any:
    if "/usages?" in arguments[-1]:
        return {"value": []}
    return HEALTHY[" ".join(arguments[:2])]


TODAY = datetime.date(2026, 12, 24)


@pytest.mark.parametrize(
    ("start", "problems"), [("2026-12-01", 0), ("2027-01-01", 0), ("2026-11-01", 1), ("2026-12-02", 1)]
)
def test_a_new_budget_begins_in_this_month_or_later(start: str, problems: int) -> None:
    assert len(list(preflight.budget_problems(start, [], TODAY))) == problems
    assert list(preflight.budget_problems(start, [{"name": "budget-tidegate-dev"}], TODAY)) == []


def test_a_parameter_of_the_command_line_is_looked_at_like_one_of_the_file() -> None:
    environment = environments.read("dev", given=["kubernetes=create", "kubernetesNodeCount=3", 'workPackages=["a"]'])

    assert environment.parameters["workPackages"] == ["a"]
    assert [each.fewest for each in environment.machines() if each.what == "inference nodes"] == [3]


@pytest.mark.parametrize("name", ["dev", "int", "pro"])
def test_nothing_stands_in_the_way_where_everything_is_there(name: str) -> None:
    assert list(preflight.problems(environments.read(name), healthy, today=TODAY)) == []


def test_a_name_that_somebody_else_has_is_found_before_the_first_deployment() -> None:
    def az(arguments: Sequence[str], *, there: bool = False) -> Any:
        if "checkNameAvailability" in " ".join(arguments):
            return {"nameAvailable": False, "message": "The registry name is already in use."}
        return there if arguments[0] == "group" else healthy(arguments)

    (found,) = preflight.problems(environments.read("dev"), az)
    assert found == "name tidegatehealthyx: The registry name is already in use."
    assert list(preflight.problems(environments.read("dev"), lambda each: az(each, there=True))) == []


def test_a_network_that_lacks_a_subnet_is_found() -> None:
    there = {"name": "vnet", "subnets": [{"name": name} for name in preflight.SUBNETS - {"jobs"}]}
    environment = environments.read("pro")
    environment.parameters["existingNetworkId"] = "/subscriptions/s/resourceGroups/n/providers/v"

    found = preflight.problems(environment, lambda each: there if each[0] == "network" else healthy(each))

    assert list(found) == ["network vnet: there is no subnet jobs"]


AKS = "/subscriptions/s/resourceGroups/k/providers/Microsoft.ContainerService/managedClusters/theirs"


def pool(cores_label: str = "inference", count: int = 3, **more: Any) -> dict[str, Any]:
    return {"vmSize": "Standard_D4s_v5", "count": count, "nodeLabels": {"workload": cores_label}, **more}


@pytest.mark.parametrize(
    ("pools", "problem"),
    [
        ([pool()], ""),
        ([pool(count=1), pool(count=2)], ""),
        ([pool(count=9, minCount=2)], "have 8 cores, production needs 12"),
        ([pool("web", count=9), pool(count=1)], "have 4 cores, production needs 12"),
        ([{"vmSize": "Standard_D4s_v5", "count": 9, "nodeLabels": None}], "no pool has the label workload=inference"),
    ],
)
def test_a_cluster_that_is_attached_has_the_cores_that_production_needs(
    pools: list[dict[str, Any]], problem: str
) -> None:
    environment = environments.read("pro")
    environment.parameters.update({"kubernetes": "attach", "existingKubernetesId": AKS})
    cluster = {"name": "theirs", "location": "westeurope", "agentPoolProfiles": pools}

    def az(arguments: Sequence[str]) -> Any:
        if arguments[0] != "aks":
            return healthy(arguments)
        assert list(arguments[2:]) == ["--subscription", "s", "--resource-group", "k", "--name", "theirs"]
        return cluster

    found = list(preflight.problems(environment, az))

    assert len(found) == bool(problem)
    assert problem in "".join(found)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"trainingGpuProfile": "Consumption-GPU-NC24-A100"}, "Container Apps has no Consumption-GPU-NC24-A100"),
        ({"trainingGpuLocation": "swedencentral"}, "swedencentral is not the region of its network, westeurope"),
        ({"trainingGpuLocation": "swedencentral", "networkMode": "public"}, ""),
    ],
)
def test_a_gpu_job_needs_its_profile_in_its_region(changes: dict[str, str], problem: str) -> None:
    environment = environments.read("pro")
    environment.parameters.update({"trainingGpuJob": True, "trainingImage": "t@sha256:1", **changes})

    def az(arguments: Sequence[str]) -> Any:
        is_list = "WorkloadProfileTypes" in arguments[-1]
        return {"value": [{"name": "Consumption-GPU-NC8as-T4"}]} if is_list else healthy(arguments)

    found = list(preflight.problems(environment, az))

    assert len(found) == bool(problem)
    assert problem in "".join(found)


def test_runners_on_a_cluster_count_against_the_quota_of_spot_machines() -> None:
    environment = environments.read("pro")
    environment.parameters["gitlabRunners"] = True

    (runners,) = [each for each in environment.machines() if "GitLab" in each.what]
    assert (runners.most, runners.is_spot) == (4, True)


def test_the_subnets_are_those_that_the_template_makes_and_names() -> None:
    made = set(
        re.findall(
            r"^        name: '(\w+)'\n        properties", (INFRA / "modules/network.bicep").read_text(), re.MULTILINE
        )
    )
    used = set(re.findall(r"/subnets/(\w+)'", (INFRA / "main.bicep").read_text()))

    assert made == used == preflight.SUBNETS


def test_an_environment_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        environments.read("nowhere", tmp_path)


def test_pro_counts_its_cluster_at_its_largest_and_checks_it_at_its_smallest() -> None:
    inference = next(each for each in environments.read("pro", INFRA).machines() if each.what == "inference nodes")

    assert (inference.most, inference.fewest, inference.minimum_cores) == (6, 3, 12)


def test_traffic_is_read_from_every_endpoint_of_the_group() -> None:
    def az(arguments: Sequence[str]) -> Any:
        match arguments[0]:
            case "group":
                return True
            case "resource":
                return [{"id": "/w1"}, {"id": "/w2"}]
            case _:
                endpoint = {"name": f"e{arguments[-1][2]}", "properties": {"traffic": {"blue": 100}}}
                if "page=2" in arguments[-1]:
                    return {"value": [{"name": f"new{arguments[-1][2]}", "properties": {}}]}
                return {"value": [endpoint], "nextLink": f"{arguments[-1]}&page=2"}

    assert traffic.traffic("g", az) == {"e1": {"blue": 100}, "new1": {}, "e2": {"blue": 100}, "new2": {}}
    assert traffic.traffic("g", lambda _: False) == {}
