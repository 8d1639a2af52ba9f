"""Names of resources against the rules of their services: length, letters, and what a service derives from them."""

from __future__ import annotations

import re

from tests.infra.bicep import tree
from tests.infra.bicep.project import Project
from tests.infra.conftest import INFRA, data

LIMITS = {
    "stateAccount": (r"[a-z0-9]{3,24}", "Storage"),
    "mlAccount": (r"[a-z0-9]{3,24}", "Storage"),
    "dataAccount": (r"[a-z0-9]{3,24}", "Storage"),
    "shareAccount": (r"[a-z0-9]{3,24}", "Storage"),
    "stagingRegistry": (r"[a-zA-Z0-9]{5,50}", "Container Registry"),
    "healthyRegistry": (r"[a-zA-Z0-9]{5,50}", "Container Registry"),
    "keyVault": (r"[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]", "Key Vault"),
    "eventsApp": (r"[a-zA-Z0-9][a-zA-Z0-9-]{0,58}[a-zA-Z0-9]", "Functions"),
    "apiApp": (r"[a-zA-Z0-9][a-zA-Z0-9-]{0,58}[a-zA-Z0-9]", "Functions"),
    "outcomesTopic": (r"[a-zA-Z0-9-]{3,50}", "Event Grid"),
    "modelRegistry": (r"[a-zA-Z0-9][a-zA-Z0-9-]{2,32}", "Azure ML"),
    "scoring": (r"[a-z0-9](?!.*--)[a-z0-9-]{0,61}[a-z0-9]", "Container Instances, and a label of DNS"),
    "kubernetes": (r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,61}[a-zA-Z0-9]", "Kubernetes"),
    "communication": (r"[a-zA-Z0-9-]{1,58}", "Communication, with -mail at its end"),
}
"""Azure's rules for names, from its page of naming rules and restrictions, for the longest that the template makes."""


def names_of(project: Project) -> dict[str, str]:
    """The names of main.bicep with the longest environment name and a token as Azure makes it, of 13 letters."""
    declared = project.files[INFRA / "main.bicep"].named("names")
    assert declared is not None
    assert isinstance(declared.value, tree.Object)
    values = {"token": "t" * 13, "environmentName": "e" * 8}
    found = {}
    for key, value in declared.value.properties:
        assert isinstance(key, tree.Literal)
        assert isinstance(value, tree.Interpolated)
        found[str(key.value)] = "".join(
            str(part.value) if isinstance(part, tree.Literal) else values[part.name]
            for part in value.parts
            if isinstance(part, tree.Literal | tree.Name)
        )
    return found


def test_every_name_keeps_the_rules_of_its_service(project: Project) -> None:
    names = names_of(project)

    assert names.keys() == LIMITS.keys()
    assert {name for name, value in names.items() if not re.fullmatch(LIMITS[name][0], value)} == set()


def test_the_two_apps_get_ids_of_their_own_from_the_host(project: Project) -> None:
    """The host cuts an app's name after 32 letters for its id; two of one id on one storage account stop each other."""
    names = names_of(project)

    assert names["eventsApp"][:32] != names["apiApp"][:32]


def longest(kind: str) -> int:
    """Letters of the longest name that the schema of work packages lets through: one, some, one."""
    pattern = data("workspaces.schema")["$defs"][kind]["properties"]["name"]["pattern"]
    return 2 + int(re.fullmatch(r"\^\[a-z\]\[a-z0-9-\]\{1,(\d+)\}\[a-z0-9\]\$", pattern).group(1))  # type: ignore[union-attr]


def test_names_of_work_packages_leave_room_for_the_environment() -> None:
    assert longest("workspace") + len("mlw--") + 8 <= 33
    assert longest("endpoint") + len("--") + 8 + 5 <= 32
    assert longest("compute") <= 24
