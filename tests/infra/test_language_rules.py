"""Rules of Bicep about where an expression may stand and what may be in it, which no type says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.bicep import tree
from tests.infra.bicep.project import Project
from tests.infra.bicep.tree import Declaration, Expr
from tests.infra.conftest import INFRA

START = {"id", "name", "type", "apiVersion"}
"""Properties of a resource that are known before a deployment starts."""

PARTS = ("name", "scope", "parent", "location", "kind", "sku", "identity", "tags", "zones", "plan")
"""Parts of a body that must be known by then."""


def late(value: Expr, project: Project, path: Path, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """What of an expression is known only when something else is deployed: outputs, properties, keys."""
    file = project.files[path]
    for node in tree.walk(value):
        match node:
            case tree.Member(base, name) if (of := symbol(base, project, path)) is not None:
                if of.kind == "module" or (of.kind == "resource" and name not in START):
                    yield f"{of.name}.{name}"
            case tree.Call(function) if function.startswith("list") or function == "reference":
                yield function
            case tree.Name(name) if name not in seen:
                declared = file.named(name)
                if declared is not None and declared.kind == "var" and declared.value is not None:
                    yield from late(declared.value, project, path, seen | {name})
            case _:
                pass


def symbol(base: Expr, project: Project, path: Path) -> Declaration | None:
    """The resource or module that `a`, `a!` or `a[i]` is."""
    while isinstance(base, tree.Index | tree.NonNull):
        base = base.base
    return project.files[path].named(base.name) if isinstance(base, tree.Name) else None


def decisive(declaration: Declaration) -> Iterator[tuple[str, Expr]]:
    """What Azure must know of a resource or a module before it starts: its loop, its condition, and the parts above."""
    value = declaration.value
    while isinstance(value, tree.For | tree.If):
        yield ("loop", value.source) if isinstance(value, tree.For) else ("condition", value.condition)
        value = value.body
    assert isinstance(value, tree.Object)
    for part in PARTS:
        if (given := value.get(part)) is not None:
            yield part, given


def undecided(project: Project) -> list[str]:
    return [
        f"{path.name}: {part} of {declaration.name} needs {', '.join(unknown)}"
        for path, file in project.files.items()
        for declaration in file.of_kind("resource", "module")
        for part, value in decisive(declaration)
        if (unknown := sorted(set(late(value, project, path))))
    ]


def test_names_scopes_loops_and_conditions_are_known_before_a_deployment_starts(project: Project) -> None:
    assert undecided(project) == []


LATE = {
    "a name": ("modules/alerts.bicep", "name: 'alert-${alert.name}'", "name: 'alert-${topics[0].properties.source}'"),
    "a scope": (
        "modules/function-app.bicep",
        "scope: resourceGroup(split(applicationInsightsId, '/')[2], split(applicationInsightsId, '/')[4])",
        "scope: resourceGroup(plan.properties.status)",
    ),
    "a region": (
        "modules/function-app.bicep",
        "  location: location\n  tags: union(",
        "  location: plan.properties.geoRegion\n  tags: union(",
    ),
    "an identity": (
        "modules/compute.bicep",
        "      '${identityId}': {}",
        "      '${workspace.properties.primaryUserAssignedIdentity}': {}",
    ),
    "a condition": ("main.bicep", "if (hasImageTask) {", "if (stagingTopic.outputs.name == 'x') {"),
    "a loop": (
        "modules/roles.bicep",
        "[for each in onGroup:",
        "[for each in workspace.properties.sharedPrivateLinkResources:",
    ),
    "a variable between": (
        "main.bicep",
        "var hasImageTask = !empty(trainingRepositoryUrl)",
        "var hasImageTask = apiApp.outputs.name == 'x'",
    ),
}


def planted(project: Project, tmp_path: Path, file: str, old: str, new: str) -> Project:
    copy = tmp_path / "infra"
    shutil.copytree(INFRA, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1))
    return Project(copy, project.types)


@pytest.mark.parametrize(("file", "old", "new"), LATE.values(), ids=LATE)
def test_what_is_known_too_late_is_found(file: str, old: str, new: str, project: Project, tmp_path: Path) -> None:
    assert undecided(planted(project, tmp_path, file, old, new))


def misplaced(value: Expr, *, allowed: bool, inside_loop: bool = False) -> Iterator[tree.For]:
    """Loops that stand elsewhere than as the value of a declaration or of a property, or in a loop of a property."""
    match value:
        case tree.For():
            if not allowed or inside_loop:
                yield value
            yield from misplaced(value.body, allowed=False, inside_loop=True)
        case tree.Object(properties):
            for _, each in properties:
                yield from misplaced(each, allowed=True, inside_loop=inside_loop)
        case tree.Array(items):
            for each in items:
                yield from misplaced(each, allowed=False, inside_loop=inside_loop)
        case _:
            yield from (node for node in tree.walk(value) if isinstance(node, tree.For))


def loops(project: Project) -> list[str]:
    found = []
    for path, file in project.files.items():
        for declaration in file.of_kind("resource", "module", "var", "output"):
            value = declaration.value
            while isinstance(value, tree.For | tree.If):
                value = value.body
            if value is not None and any(misplaced(value, allowed=False)):
                found.append(f"{path.name}: a loop in {declaration.name} stands where none may")
    return found


def test_loops_stand_where_the_language_has_them(project: Project) -> None:
    assert loops(project) == []


MISPLACED = {
    "in a call": (
        "modules/dns-zones.bicep",
        "var zoneNames = [\n",
        "var other = concat([for a in [1]: a])\nvar zoneNames = [\n",
    ),
    "in a choice": (
        "modules/dns-zones.bicep",
        "var zoneNames = [\n",
        "var other = empty(networkId) ? [] : [for a in [1]: a]\nvar zoneNames = [\n",
    ),
    "in a loop of a property": (
        "modules/training-job.bicep",
        "            mountPath: '/mnt/${share}'\n",
        "            mountPath: '/mnt/${share}'\n            more: [for other in shares: other]\n",
    ),
}


@pytest.mark.parametrize(("file", "old", "new"), MISPLACED.values(), ids=MISPLACED)
def test_a_loop_in_a_wrong_place_is_found(file: str, old: str, new: str, project: Project, tmp_path: Path) -> None:
    assert loops(planted(project, tmp_path, file, old, new))


def deployments_of(project: Project, file: Path) -> list[Expr]:
    """Names of the deployments that a module starts itself."""
    nested = list(project.files[file].of_kind("module"))
    nested += [
        each for each in project.files[file].of_kind("resource") if "Microsoft.Resources/deployments@" in each.reference
    ]
    return [given for each in nested if (given := each.body().get("name")) is not None]


def colliding(project: Project) -> list[str]:
    """Modules of a loop whose own deployments have one name for all of them: the second is refused while one runs."""
    main, found = project.files[project.root / "main.bicep"], []
    for call in main.of_kind("module"):
        if not isinstance(call.value, tree.For):
            continue
        params = call.body().get("params")
        assert isinstance(params, tree.Object)
        of_item = {
            str(key.value)
            for key, value in params.properties
            if isinstance(key, tree.Literal)
            if {tree.Name(call.value.item), tree.Name(call.value.index or "")} & set(tree.walk(value))
        }
        for name in deployments_of(project, project.root / call.reference):
            names = {node.name for node in tree.walk(name) if isinstance(node, tree.Name)}
            if not names & of_item:
                found.append(f"{call.reference}: a deployment has the same name for every {call.value.item}")
    return found


def test_deployments_that_run_side_by_side_have_different_names(project: Project) -> None:
    assert colliding(project) == []


def test_a_name_that_deployments_share_is_found(project: Project, tmp_path: Path) -> None:
    wrong = ("take('${name}-endpoint', 64)", "'workspace-endpoint'")

    assert colliding(planted(project, tmp_path, "modules/workspace.bicep", *wrong))


def used(declaration: Declaration, project: Project, path: Path) -> set[str]:
    """Resources and modules that a body speaks of outside of its dependsOn, by way of variables and parents too."""
    body = declaration.body()
    waiting = [value for key, value in body.properties if key != tree.Literal("dependsOn")]
    found: set[str] = set()
    while waiting:
        for node in tree.walk(waiting.pop()):
            if isinstance(node, tree.Name) and node.name not in found:
                found.add(node.name)
                of = project.files[path].named(node.name)
                if of is not None and of.kind == "var" and of.value is not None:
                    waiting.append(of.value)
    return found


def needless(project: Project) -> list[str]:
    """What a dependsOn names although the body does: Bicep's linter calls it an error here."""
    found = []
    for path, file in project.files.items():
        for each in file.of_kind("resource", "module"):
            listed = each.body().get("dependsOn")
            if isinstance(listed, tree.Array):
                names = {node.name for item in listed.items for node in tree.walk(item) if isinstance(node, tree.Name)}
                found += [f"{path.name}: {each.name} names {name} twice" for name in names & used(each, project, path)]
    return found


def test_dependencies_are_written_down_where_nothing_else_makes_them(project: Project) -> None:
    assert needless(project) == []


def test_a_needless_dependency_is_found(project: Project, tmp_path: Path) -> None:
    wrong = ("  dependsOn: [\n    inference\n", "  dependsOn: [\n    cluster\n")

    assert needless(planted(project, tmp_path, "modules/kubernetes.bicep", *wrong))


def is_conditional(declaration: Declaration) -> bool:
    value = declaration.value
    while isinstance(value, tree.For):
        value = value.body
    return isinstance(value, tree.If)


def access(project: Project) -> Iterator[tuple[Path, Declaration, tree.Member]]:
    for path, file in project.files.items():
        for declaration in file.declarations:
            for node in tree.walk(declaration.value) if declaration.value is not None else []:
                if isinstance(node, tree.Member):
                    yield path, declaration, node


def perhaps_null(project: Project) -> list[str]:
    """Properties of what is perhaps not there, without a word that it is (BCP318)."""
    return [
        f"{path.name}: {declaration.name} reads {of.name}.{node.name}"
        for path, declaration, node in access(project)
        if not node.safe and not isinstance(node.base, tree.NonNull)
        if (of := symbol(node.base, project, path)) is not None
        if of.kind in {"resource", "module"} and is_conditional(of)
    ]


def test_what_is_perhaps_not_there_is_said_to_be_there_where_it_is_read(project: Project) -> None:
    assert perhaps_null(project) == []


PERHAPS_NULL = {
    "a module": ("main.bicep", "cluster!.outputs.kubeletPrincipalId", "cluster.outputs.kubeletPrincipalId"),
    "a module of a loop": ("main.bicep", "kubernetesCompute[index]!.outputs", "kubernetesCompute[index].outputs"),
    "a resource": ("modules/alert-email.bicep", "communication!.properties", "communication.properties"),
}


@pytest.mark.parametrize(("file", "old", "new"), PERHAPS_NULL.values(), ids=PERHAPS_NULL)
def test_what_is_perhaps_not_there_is_found(file: str, old: str, new: str, project: Project, tmp_path: Path) -> None:
    assert perhaps_null(planted(project, tmp_path, file, old, new))


def or_empty(source: Expr, project: Project, path: Path) -> set[Expr]:
    """A list, and for `given ? list : []` the list too: the places in it are the same wherever it has any."""
    found = {source}
    of = project.files[path].named(source.name) if isinstance(source, tree.Name) else None
    match of.value if of is not None and of.kind == "var" else source:
        case tree.Ternary(_, then, tree.Array(())):
            found.add(then)
        case tree.Ternary(_, tree.Array(()), otherwise):
            found.add(otherwise)
        case _:
            pass
    return found


def out_of_step(project: Project) -> list[str]:
    """What takes one of another loop by the place in a list that is perhaps longer: no loop made what Azure looks for then."""
    found = []
    for path, file in project.files.items():
        for declaration in file.declarations:
            value = declaration.value
            if not isinstance(value, tree.For) or value.index is None:
                continue
            for node in tree.walk(value.body):
                if isinstance(node, tree.Index) and node.index == tree.Name(value.index):
                    of = symbol(node.base, project, path)
                    if of is None or not isinstance(of.value, tree.For):
                        continue
                    if of.value.source not in or_empty(value.source, project, path):
                        found.append(f"{path.name}: {declaration.name} takes {of.name}[{value.index}] of another list")
    return found


def test_loops_take_of_other_loops_what_is_there(project: Project) -> None:
    assert out_of_step(project) == []


def test_a_loop_over_a_list_that_is_perhaps_shorter_is_found(project: Project, tmp_path: Path) -> None:
    wrong = ("in workspaces: if (hasKubernetes) {", "in kubernetesWorkspaces: {")
    root = planted(project, tmp_path, "main.bicep", *wrong).root
    text = (root / "main.bicep").read_text()
    (root / "main.bicep").write_text(f"{text}\nvar kubernetesWorkspaces = hasKubernetes ? workspaces : []\n")

    assert out_of_step(Project(root, project.types)) == [
        "main.bicep: onlineEndpoints takes kubernetesCompute[index] of another list"
    ]
