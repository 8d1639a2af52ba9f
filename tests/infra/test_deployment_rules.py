"""What Azure refuses although the template is right by its types: limits, duplicates, and what cannot be changed later."""

from __future__ import annotations

import json
import re
from pathlib import Path

from infra import access
from tests.infra.bicep import tree
from tests.infra.bicep.project import Project
from tests.infra.bicep.tree import Declaration, Expr
from tests.infra.conftest import INFRA
from tests.infra.test_language_rules import planted

MODULES = INFRA / "modules"


def declared(project: Project, file: str, name: str) -> Declaration:
    found = project.files[project.root / "modules" / file].named(name)
    assert found is not None
    return found


def under(value: Expr | None, *path: str) -> Expr | None:
    for name in path:
        value = value.get(name) if isinstance(value, tree.Object) else None
    return value


def names(value: Expr | None) -> set[str]:
    return {node.name for node in tree.walk(value) if isinstance(node, tree.Name)} if value is not None else set()


# Container Instances: a standard group has 4 cores and 16 GB at most, and no security context: only confidential ones do.


def asked(project: Project, file: str, resource: str) -> int:
    """The most that all containers of a group ask for: what is written out, or the largest value of the parameter."""
    module = project.files[project.root / "modules" / file]
    total = 0
    for node in tree.walk(module.named("group").body()):  # type: ignore[union-attr]
        requests = under(node, "resources", "requests", resource) if isinstance(node, tree.Object) else None
        match requests:
            case tree.Literal(int(number)):
                total += number
            case tree.Name(name) if (of := module.named(name)) is not None:
                limit = of.decorator("maxValue")
                value = limit.arguments[0] if limit is not None else of.value
                assert isinstance(value, tree.Literal)
                assert isinstance(value.value, int)
                total += value.value
            case _:
                pass
    return total


def test_a_container_group_asks_for_no_more_than_there_is(project: Project) -> None:
    for file in ("training-container.bicep", "scoring-container.bicep"):
        assert 0 < asked(project, file, "cpu") <= 4, file
        assert 0 < asked(project, file, "memoryInGB") <= 16, file


def test_a_container_group_that_asks_for_too_much_is_found(project: Project, tmp_path: Path) -> None:
    wrong = planted(project, tmp_path, "modules/training-container.bicep", "@maxValue(3)", "@maxValue(4)")

    assert asked(wrong, "training-container.bicep", "cpu") == 5


def test_container_groups_have_no_property_of_confidential_ones() -> None:
    for path in MODULES.glob("*-container.bicep"):
        assert "securityContext" not in path.read_text(), path.name


# Flex Consumption: Azure refuses a site that has one of these ("for Flex Consumption sites is invalid").

REFUSED_BY_FLEX = {
    "siteConfig": {
        "alwaysOn",
        "ftpsState",
        "functionAppScaleLimit",
        "functionsRuntimeScaleMonitoringEnabled",
        "javaVersion",
        "linuxFxVersion",
        "netFrameworkVersion",
        "nodeVersion",
        "powerShellVersion",
        "preWarmedInstanceCount",
        "pythonVersion",
        "use32BitWorkerProcess",
        "windowsFxVersion",
    },
    "appsettings": {
        "ENABLE_ORYX_BUILD",
        "FUNCTIONS_EXTENSION_VERSION",
        "FUNCTIONS_WORKER_PROCESS_COUNT",
        "FUNCTIONS_WORKER_RUNTIME",
        "SCM_DO_BUILD_DURING_DEPLOYMENT",
        "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
        "WEBSITE_CONTENTSHARE",
        "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
        "WEBSITE_RUN_FROM_PACKAGE",
        "WEBSITE_TIME_ZONE",
    },
}


def keys(value: Expr | None) -> set[str]:
    if not isinstance(value, tree.Object):
        return set()
    return {str(key.value) for key, _ in value.properties if isinstance(key, tree.Literal)}


def refused_by_flex(project: Project) -> set[str]:
    file = project.files[project.root / "modules" / "function-app.bicep"]
    site = under(declared(project, "function-app.bicep", "app").body(), "properties", "siteConfig")
    settings = {key for each in file.of_kind("var") if "ettings" in each.name for key in keys(each.value)}
    return keys(site) & REFUSED_BY_FLEX["siteConfig"] | settings & REFUSED_BY_FLEX["appsettings"]


def test_the_function_apps_have_nothing_that_flex_consumption_refuses(project: Project) -> None:
    assert refused_by_flex(project) == set()


def test_what_flex_consumption_refuses_is_found(project: Project, tmp_path: Path) -> None:
    wrong = ("      minTlsVersion: '1.2'\n", "      minTlsVersion: '1.2'\n      ftpsState: 'Disabled'\n")

    assert refused_by_flex(planted(project, tmp_path, "modules/function-app.bicep", *wrong)) == {"ftpsState"}


# Role assignments: one name for each scope, principal and role, and a template makes each name once.


def test_a_group_that_is_two_things_would_get_one_role_twice() -> None:
    granted = access.read().grants
    of = {
        who: {(each.scope, each.role) for each in granted if each.principal == who}
        for who in ("model-developer", "ml-engineer")
    }

    assert of["model-developer"] & of["ml-engineer"]


def test_no_role_is_assigned_twice_in_one_deployment(project: Project) -> None:
    roles = project.files[INFRA / "modules" / "roles.bicep"]
    once = tree.Call("union", (tree.Name("granted"), tree.Name("granted")))
    lists = [each for each in roles.of_kind("var") if each.name.startswith("on")]

    assert declared(project, "roles.bicep", "assignments").value == once
    assert {each.value.arguments[0] for each in lists if isinstance(each.value, tree.Call)} == {
        tree.Name("assignments")
    }
    for each in roles.of_kind("resource"):
        if each.reference.startswith("Microsoft.Authorization/roleAssignments@"):
            assert isinstance(each.value, tree.For)
            assert each.value.source in {tree.Name(one.name) for one in lists}


# Virtual machines: the first boot of one that is there cannot be changed (PropertyChangeNotAllowed).


def reached(file: tree.File, value: Expr | None) -> set[str]:
    """Names that an expression is made of, by way of variables."""
    found, waiting = set[str](), names(value)
    while waiting:
        name = waiting.pop()
        found.add(name)
        of = file.named(name)
        if of is not None and of.kind == "var":
            waiting |= names(of.value) - found
    return found


def changeable(project: Project) -> set[str]:
    """Parameters that the first boot of the training machine depends on."""
    file = project.files[project.root / "modules" / "training-vm.bicep"]
    custom = under(declared(project, "training-vm.bicep", "machine").body(), "properties", "osProfile", "customData")
    assert custom is not None
    return {name for name in reached(file, custom) if (of := file.named(name)) is not None and of.kind == "param"}


def test_the_first_boot_of_a_machine_is_the_same_for_every_image_and_argument(project: Project) -> None:
    assert changeable(project) == set()


def test_a_first_boot_that_depends_on_a_parameter_is_found(project: Project, tmp_path: Path) -> None:
    wrong = ("customData: base64(cloudInit)", "customData: base64('${cloudInit}${image}')")

    assert changeable(planted(project, tmp_path, "modules/training-vm.bicep", *wrong)) == {"image"}


def test_the_machine_reads_the_settings_that_the_template_gives_it(project: Project) -> None:
    file = project.files[INFRA / "modules" / "training-vm.bicep"]
    given = under(declared(project, "training-vm.bicep", "machine").body(), "properties", "userData")
    settings = file.named("settings")
    assert settings is not None
    keys = {
        str(text.value).partition("=")[0]
        for node in tree.walk(settings.value or tree.Literal(None))
        if isinstance(node, tree.Interpolated)
        if isinstance(text := node.parts[0], tree.Literal)
    }
    boot = INFRA / "data" / "training-vm"
    read = set(re.findall(r"\$\{?([A-Z_]+)\b", (boot / "start-training").read_text()))

    assert given == tree.Call("base64", (tree.Name("settings"),))
    assert read == keys
    assert "compute/userData?" in (boot / "read-settings").read_text()
    assert "ExecStartPre=/usr/local/sbin/read-settings" in (boot / "cloud-init.yaml").read_text()


# Logic Apps, Kubernetes, registries.


def connections(project: Project) -> set[str]:
    """Connections that the workflow always has."""
    given = under(
        declared(project, "alert-email.bicep", "workflow").body(), "properties", "parameters", "$connections", "value"
    )
    if not isinstance(given, tree.Object):
        return set()
    return {str(key.value) for key, _ in given.properties if isinstance(key, tree.Literal)}


def test_the_workflow_has_every_connection_that_one_of_its_actions_names(project: Project) -> None:
    definition = json.dumps(json.loads((INFRA / "data" / "alert-email.workflow.json").read_text()))
    named = set(re.findall(r"parameters\('\$connections'\)\['(\w+)'\]", definition))

    assert named
    assert named <= connections(project)
    assert not isinstance(declared(project, "alert-email.bicep", "connection").value, tree.If)


def test_a_connection_that_is_there_with_one_transport_only_is_found(project: Project, tmp_path: Path) -> None:
    wrong = (
        "        value: {\n          office365: {",
        "        value: byCommunication ? {} : {\n          office365: {",
    )

    assert connections(planted(project, tmp_path, "modules/alert-email.bicep", *wrong)) == set()


def test_a_pool_of_nodes_never_has_a_maximum_below_its_minimum(project: Project) -> None:
    properties = declared(project, "kubernetes.bicep", "inference").body().get("properties")
    least, most = under(properties, "minCount"), under(properties, "maxCount")

    assert isinstance(least, tree.Ternary)
    assert isinstance(most, tree.Ternary)
    assert most.then == tree.Call("max", (least.then, tree.Name("maxNodeCount")))


def test_only_a_registry_with_network_rules_lets_anybody_past_them(project: Project) -> None:
    properties = declared(project, "registry.bicep", "registry").body().get("properties")
    rule = under(properties, "networkRuleBypassAllowedForTasks")

    assert rule == tree.Binary("&&", tree.Name("isPrivate"), tree.Name("allowTasks"))
