"""What deploys by pipeline may do all of it: each type that the templates make, and each question that the scripts ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from infra import access
from infra.access import Role
from infra.scripts import environments, preflight, traffic
from tests.infra.bicep import tree
from tests.infra.bicep.project import Project
from tests.infra.conftest import INFRA

ABOVE = {"Microsoft.Resources/resourceGroups"}
"""Made by the subscription's role, or by an owner."""

BOOTSTRAP = {"pipeline-identity.bicep", "subscription-roles.bicep", "bootstrap.bicep"}
"""Deployed by an owner, who gives the pipeline its role."""


def types(project: Project) -> set[str]:
    """Resource types that a deployment of an environment makes."""
    found = {
        each.reference.partition("@")[0]
        for path, file in project.files.items()
        if path.name not in BOOTSTRAP
        for each in file.of_kind("resource")
        if not each.existing
    }
    return found - ABOVE


def test_the_pipeline_may_make_every_type_of_the_templates(project: Project) -> None:
    granted = access.read()
    refused = {each for each in types(project) if not granted.allows("pipeline", "resource-group", f"{each}/write")}
    refused -= {each for each in refused if granted.allows("pipeline", "staging-registry", f"{each}/write")}

    assert refused == set()


def test_preflight_looks_at_every_provider_that_can_be_missing(project: Project) -> None:
    always = {"Microsoft.Authorization", "Microsoft.Consumption", "Microsoft.Resources"}

    assert set(preflight.PROVIDERS) == {each.partition("/")[0] for each in types(project)} - always


def starter(project: Project) -> Role:
    """The pipeline's role at the subscription, as its module defines it."""
    declared = project.files[INFRA / "modules" / "subscription-roles.bicep"].named("definition")
    assert declared is not None
    (actions,) = [
        value
        for node in tree.walk(declared.body())
        if isinstance(node, tree.Object)
        if isinstance(value := node.get("actions"), tree.Array)
    ]
    written = tuple(str(each.value) for each in actions.items if isinstance(each, tree.Literal))
    return Role("deployment-starter", written, (), (), ())


ASKED: dict[str, tuple[str, Any]] = {
    "account show": ("", {"id": "s"}),  # answered on the machine
    "aks show": (
        "Microsoft.ContainerService/managedClusters/read",
        {"name": "c", "location": "westeurope", "agentPoolProfiles": []},
    ),
    "deployment sub": ("Microsoft.Resources/deployments/validate/action", ["/registries/r"]),
    "group exists": ("Microsoft.Resources/subscriptions/resourceGroups/read", True),
    "network vnet": ("Microsoft.Network/virtualNetworks/read", {"name": "v", "subnets": []}),
    "provider list": ("Microsoft.Resources/subscriptions/providers/read", []),
    "resource list": ("Microsoft.Resources/subscriptions/resourceGroups/resources/read", [{"id": "/w", "name": "w"}]),
    "vm list-skus": ("Microsoft.Compute/skus/read", []),
    "vm list-usage": ("Microsoft.Compute/locations/usages/read", []),
    "/budgets?": ("Microsoft.Consumption/budgets/read", {"value": []}),
    "/permissions?": ("Microsoft.Authorization/permissions/read", {"value": []}),
    "/usages?": ("Microsoft.MachineLearningServices/locations/usages/read", {"value": []}),
    "/checkNameAvailability?": ("Microsoft.ContainerRegistry/checkNameAvailability/read", {"nameAvailable": True}),
    "WorkloadProfileTypes?": (
        "Microsoft.App/locations/availableManagedEnvironmentsWorkloadProfileTypes/read",
        {"value": []},
    ),
    "/onlineEndpoints?": ("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/read", {"value": []}),
}
"""What a command, or a path of `az rest`, asks for of Azure, and an answer."""

IN_THE_GROUP = {"/onlineEndpoints?", "/budgets?", "resource list", "aks show", "network vnet"}
"""What is of the environment, or brought along by its owner, who lets the pipeline read it."""


def questions(*, there: bool) -> set[str]:
    """What preflight and the look at the traffic ask, for an environment with everything; KeyError: something new."""
    asked: set[str] = set()

    def az(arguments: Sequence[str]) -> Any:
        command, text = " ".join(arguments[:2]), " ".join(arguments)
        question = command if command in ASKED else next((each for each in ASKED if each in text), text)
        asked.add(question)
        return there if question == "group exists" else ASKED[question][1]

    environment = environments.read("pro")
    more = {"trainingGpuJob": True, "trainingImage": "i", "existingNetworkId": "/v"}
    environment.parameters.update(
        more
        | {
            "kubernetes": "attach",
            "existingKubernetesId": "/subscriptions/s/resourceGroups/g/providers/p/managedClusters/c",
        }
    )
    list(preflight.problems(environment, az))
    traffic.traffic("g", az)
    return asked


@pytest.mark.parametrize("there", [False, True])
def test_the_pipeline_may_ask_what_preflight_asks(there: bool, project: Project) -> None:
    asked = questions(there=there)
    above = {ASKED[each][0] for each in asked - IN_THE_GROUP} - {""}
    inside = {ASKED[each][0] for each in asked & IN_THE_GROUP}

    assert above
    assert [each for each in above if not starter(project).allows(each)] == []
    assert [each for each in inside if not access.read().allows("pipeline", "resource-group", each)] == []


def test_the_role_above_the_group_makes_nothing_but_the_group(project: Project) -> None:
    changing = [each for each in starter(project).actions if not each.endswith("/read")]

    assert changing == ["Microsoft.Resources/deployments/*", "Microsoft.Resources/subscriptions/resourceGroups/write"]


def test_the_pipeline_may_look_for_a_deleted_vault(project: Project) -> None:
    assert starter(project).allows("Microsoft.KeyVault/deletedVaults/read")
