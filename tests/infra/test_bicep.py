"""The Bicep of infra/ against its syntax, its symbols, its modules and Microsoft's published types. This is no compiler."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from tests.infra.bicep.check import findings
from tests.infra.bicep.project import Project
from tests.infra.bicep.shapes import PublishedTypes
from tests.infra.conftest import INFRA


def test_nothing_is_wrong_with_the_bicep(project: Project) -> None:
    assert findings(project) == []


@dataclasses.dataclass(frozen=True, slots=True)
class Mistake:
    file: str
    old: str
    new: str
    found: str


MISTAKES = {
    "a typo in a property": Mistake("modules/storage.bicep", "minimumTlsVersion:", "minTlsVersion:", "minTlsVersion"),
    "a property that does not exist": Mistake("modules/registry.bicep", "sku: {", "skuu: {", "unknown property skuu"),
    "a missing property": Mistake("modules/training-vm.bicep", "createOption: 'FromImage'\n", "", "createOption"),
    "a wrong value of an enumeration": Mistake(
        "modules/storage.bicep", "'TLS1_2'", "'TLS_1_2'", "none of the published"
    ),
    "a word for a number": Mistake("modules/budget.bicep", "threshold: 80", "threshold: '80'", "is no int"),
    "a string that is too long": Mistake(
        "modules/action-group.bicep", "'tidegate'", "'tidegate-operators'", "is outside of"
    ),
    "a read-only property": Mistake(
        "modules/key-vault.bicep", "enableSoftDelete: true", "hsmPoolResourceId: 'x'", "read-only"
    ),
    "a secret in an open parameter": Mistake("modules/compute.bicep", "@secure()\n", "", "is a secret"),
    "an unknown setting of the extension": Mistake(
        "modules/machine-learning-extension.bicep", "releaseTrain:", "releaseTrack:", "unknown property"
    ),
    "an unknown api version": Mistake("modules/registry.bicep", "@2025-11-01", "@2025-11-02", "unknown resource type"),
    "an unknown module parameter": Mistake(
        "main.bicep",
        "    retentionDays: logRetentionDays\n",
        "    days: logRetentionDays\n",
        "unknown property params.days",
    ),
    "a missing module parameter": Mistake(
        "main.bicep",
        "    topicType: 'Microsoft.ContainerRegistry.Registries'\n",
        "",
        "missing property params.topicType",
    ),
    "an output that a module does not have": Mistake(
        "main.bicep", "stagingRegistry.outputs.id\n", "stagingRegistry.outputs.identifier\n", "has no 'identifier'"
    ),
    "a module that is not there": Mistake(
        "main.bicep", "'modules/budget.bicep'", "'modules/budgets.bicep'", "no module"
    ),
    "a data file that is not there": Mistake(
        "main.bicep", "data/roles.json", "data/role.json", "no file data/role.json"
    ),
    "a key that the data does not have": Mistake(
        "main.bicep", "state.containers[0]", "state.container[0]", "has no 'container'"
    ),
    "an unknown symbol": Mistake("modules/roles.bicep", "parent: stateAccount", "parent: account", "unknown symbol"),
    "a parent of another type": Mistake(
        "modules/storage.bicep", "parent: queueService", "parent: account", "is no Microsoft"
    ),
    "a child without its parent": Mistake("modules/storage.bicep", "  parent: queueService\n", "", "needs its parent"),
    "an unused parameter": Mistake(
        "modules/secret.bicep", "contentType: contentType", "contentType: 'x'", "is not used"
    ),
    "an unknown function": Mistake("main.bicep", "uniqueString(", "uniqueText(", "unknown function"),
    "a loop over no array": Mistake(
        "modules/roles.bicep", "for role in roles:", "for role in environmentName:", "array"
    ),
    "a duplicate declaration": Mistake("modules/secret.bicep", "param name string", "param vaultName string", "twice"),
    "a syntax error": Mistake("modules/secret.bicep", "properties: {", "properties = {", "expected ':'"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_planted_mistake_is_found(mistake: Mistake, published: PublishedTypes, tmp_path: Path) -> None:
    copy = tmp_path / "infra"
    shutil.copytree(INFRA, copy, ignore=shutil.ignore_patterns("__pycache__"))
    planted = copy / mistake.file
    text = planted.read_text()
    assert mistake.old in text
    planted.write_text(text.replace(mistake.old, mistake.new, 1))

    assert any(mistake.found in finding for finding in findings(Project(copy, published), mistake.file))


def test_data_that_breaks_its_type_is_found_where_the_template_uses_it(
    published: PublishedTypes, tmp_path: Path
) -> None:
    copy = tmp_path / "infra"
    shutil.copytree(INFRA, copy, ignore=shutil.ignore_patterns("__pycache__"))
    workspaces = copy / "data" / "workspaces.json"
    workspaces.write_text(workspaces.read_text().replace('"tier": "Dedicated"', '"tier": "Reserved"', 1))

    assert any("'Reserved'" in finding for finding in findings(Project(copy, published), "main.bicep"))


def test_two_things_that_need_each_other_are_found(published: PublishedTypes, tmp_path: Path) -> None:
    (tmp_path / "cycle.bicep").write_text("var a = b\nvar b = a\noutput c string = a\n")

    assert any(
        "a cycle" in finding or "depends on itself" in finding for finding in findings(Project(tmp_path, published))
    )
