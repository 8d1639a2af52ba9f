"""Rules of Bicep's linter that infra/bicepconfig.json has as errors, as far as the tree shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.bicep import tree
from tests.infra.bicep.project import Project
from tests.infra.bicep.tree import Declaration, Expr
from tests.infra.conftest import INFRA
from tests.infra.test_language_rules import planted

ID_FUNCTIONS = {
    "extensionResourceId",
    "resourceId",
    "subscriptionResourceId",
    "tenantResourceId",
    "reference",
    "subscription",
    "guid",
}
NO_RESOURCE = {"clientid", "groupid", "keyvaultid", "objectid", "principalid", "subscriptionid", "tags", "tenantid"}
"""Properties that end in `id` or hold free text, and are no ids of resources by the linter's own list."""

NOT_LOOKED_AT = ("microsoft.logic/workflows", "microsoft.web/sites/config")
CLOUD_HOSTS = (
    "core.windows.net",
    "database.windows.net",
    "graph.windows.net",
    "login.microsoftonline.com",
    "management.azure.com",
    "trafficmanager.net",
    "vault.azure.net",
)


def bodies(project: Project) -> Iterator[tuple[Path, Declaration, Expr]]:
    for path, file in project.files.items():
        for each in file.declarations:
            if each.value is not None:
                yield path, each, each.value


def unsafe(project: Project) -> list[str]:
    """use-safe-access: `contains(a, b) ? a[b] : c` is `a[?b] ?? c`."""
    found = []
    for path, each, value in bodies(project):
        for node in tree.walk(value):
            match node:
                case tree.Ternary(tree.Call("contains", (base, key)), tree.Index(of, index), _) if (base, key) == (
                    of,
                    index,
                ):
                    found.append(f"{path.name}: {each.name}")
                case tree.Ternary(tree.Call("contains", (base, tree.Literal(key))), tree.Member(of, name), _) if (
                    base,
                    key,
                ) == (of, name):
                    found.append(f"{path.name}: {each.name}")
                case _:
                    pass
    return found


def identifies(value: Expr, file: tree.File) -> bool:
    """Whether an id comes from a resource, a parameter, a choice, or a function that makes ids."""
    kinds = {of.kind for node in tree.walk(value) if isinstance(node, tree.Name) if (of := file.named(node.name))}
    match value:
        case _ if kinds & {"resource", "module"}:
            return True
        case tree.Call(function):
            return function in ID_FUNCTIONS
        case tree.Name(name) if (of := file.named(name)) is not None and of.kind == "var" and of.value is not None:
            return identifies(of.value, file)
        case tree.Name() | tree.Member() | tree.Ternary():
            return True
        case tree.Literal(text):
            return "/" not in str(text)
        case _:
            return False


def made_ids(value: Expr, file: tree.File) -> Iterator[str]:
    """use-resource-id-functions: properties whose id is put together from text."""
    if not isinstance(value, tree.Object):
        for each in tree.children(value):
            yield from made_ids(each, file)
        return
    for key, each in value.properties:
        name = str(key.value) if isinstance(key, tree.Literal) else ""
        if name.lower() in NO_RESOURCE:
            continue
        if not name.lower().endswith("id") or name.endswith(("uid", "UID")):
            yield from made_ids(each, file)
        elif not identifies(each, file):
            yield name


def ids_of_text(project: Project) -> list[str]:
    return [
        f"{path.name}: {each.name}.{name}"
        for path, file in project.files.items()
        for each in file.of_kind("resource")
        if not each.existing and not each.reference.lower().startswith(NOT_LOOKED_AT)
        if (properties := each.body().get("properties")) is not None
        for name in made_ids(properties, file)
    ]


def templates_in_templates(project: Project) -> list[str]:
    """no-deployments-resources: a module does what a deployment as a resource does."""
    return [
        f"{path.name}: {each.name}"
        for path, file in project.files.items()
        for each in file.of_kind("resource")
        if each.reference.startswith("Microsoft.Resources/deployments@")
    ]


def hosts(project: Project) -> list[str]:
    """no-hardcoded-env-urls: names that differ between the clouds of Azure come from environment()."""
    return [
        f"{path.name}: {host}"
        for path, _, value in bodies(project)
        for node in tree.walk(value)
        if isinstance(node, tree.Literal)
        for host in CLOUD_HOSTS
        if re.search(rf"(?<![a-zA-Z0-9]){re.escape(host)}(?![a-zA-Z0-9])", str(node.value))
    ]


def quoted(project: Project) -> list[str]:
    """prefer-unquoted-property-names."""
    return [
        f"{path.name}: {name}"
        for path in project.files
        for name in re.findall(r"^\s*'([A-Za-z_]\w*)':", path.read_text(), re.MULTILINE)
    ]


def silent_regions(project: Project) -> list[str]:
    """explicit-values-for-loc-params: a module that places resources by a parameter with a default is given it."""
    found = []
    for path, file in project.files.items():
        for call in file.of_kind("module"):
            module = project.files[(path.parent / call.reference).resolve()]
            params = call.body().get("params")
            given = (
                {key.value for key, _ in params.properties if isinstance(key, tree.Literal)}
                if isinstance(params, tree.Object)
                else set()
            )
            for resource in module.of_kind("resource"):
                names = tree.walk(resource.body().get("location") or tree.Literal(None))
                for node in names:
                    of = module.named(node.name) if isinstance(node, tree.Name) else None
                    if of is not None and of.kind == "param" and of.value is not None and of.name not in given:
                        found.append(f"{path.name}: {call.name} does not say {of.name}")
    return found


RULES = {
    "use-safe-access": unsafe,
    "use-resource-id-functions": ids_of_text,
    "no-deployments-resources": templates_in_templates,
    "no-hardcoded-env-urls": hosts,
    "prefer-unquoted-property-names": quoted,
    "explicit-values-for-loc-params": silent_regions,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_linter_has_nothing_to_say(rule: str, project: Project) -> None:
    assert RULES[rule](project) == []


PLANTED = {
    "use-safe-access": (
        "modules/roles.bicep",
        "builtInIds[?grant.role] ?? guid(",
        "contains(builtInIds, grant.role) ? builtInIds[grant.role] : guid(",
    ),
    "use-resource-id-functions": (
        "modules/event-subscriptions.bicep",
        "resourceId: resourceId('Microsoft.Web/sites/functions', functionAppName, subscription.function)",
        "resourceId: '${functionAppName}/functions/${subscription.function}'",
    ),
    "no-deployments-resources": (
        "modules/secret.bicep",
        "'Microsoft.KeyVault/vaults/secrets@2025-05-01'",
        "'Microsoft.Resources/deployments@2025-04-01'",
    ),
    "no-hardcoded-env-urls": ("main.bicep", "${environment().suffixes.keyvaultDns}", ".vault.azure.net"),
    "prefer-unquoted-property-names": ("modules/secret.bicep", "    value: value\n", "    'value': value\n"),
    "explicit-values-for-loc-params": ("main.bicep", "    subnetLocation: location\n", ""),
}


@pytest.mark.parametrize("rule", RULES)
def test_what_the_linter_would_say_is_found(rule: str, project: Project, tmp_path: Path) -> None:
    assert RULES[rule](planted(project, tmp_path, *PLANTED[rule]))


def levels() -> dict[str, str]:
    rules = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]["rules"]
    return {name: each["level"] for name, each in rules.items()}


def test_every_rule_of_the_linter_stops_the_build_or_is_off() -> None:
    """A warning stops nothing. use-recent-api-versions is off: it would fail an unchanged template by its age."""
    assert set(levels().values()) <= {"error", "off"}
    assert {name for name, level in levels().items() if level == "off"} == {
        "adminusername-should-not-be-literal",
        "use-recent-api-versions",
    }
    assert {name for name in RULES if levels().get(name) != "error"} == set()
