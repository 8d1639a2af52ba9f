"""The data files: valid by their schemas, and the schemas say what the Bicep types say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from infra import access
from tests.infra.bicep.project import Project
from tests.infra.bicep.tree import TypeObject
from tests.infra.conftest import INFRA, data

SCHEMAS = sorted([*(INFRA / "data").glob("*.schema.json"), *(INFRA / "tests").glob("*.schema.json")])

TYPES = {
    ("events", "subscription"): "subscriptionType",
    ("workspaces", "workspace"): "workspaceType",
    ("workspaces", "group"): "groupType",
    ("workspaces", "compute"): "computeType",
    ("workspaces", "datastore"): "datastoreType",
    ("workspaces", "endpoint"): "endpointType",
    ("roles", "role"): "roleType",
    ("roles", "builtIn"): "builtInRoleType",
    ("roles", "grant"): "grantType",
    ("alerts", "alert"): "alertType",
}


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.name)
def test_a_data_file_obeys_its_schema(schema: Path) -> None:
    rules = json.loads(schema.read_text())
    content = json.loads(schema.with_name(schema.name.replace(".schema", "")).read_text())

    jsonschema.Draft202012Validator.check_schema(rules)
    jsonschema.Draft202012Validator(rules).validate(content)


@pytest.mark.parametrize(("where", "type_name"), TYPES.items(), ids=TYPES.values())
def test_a_schema_and_its_bicep_type_have_the_same_members(
    where: tuple[str, str], type_name: str, project: Project
) -> None:
    schema = data(f"{where[0]}.schema")["$defs"][where[1]]
    declared = project.files[INFRA / "types.bicep"].named(type_name)
    assert declared is not None
    assert isinstance(declared.type, TypeObject)

    assert set(schema["properties"]) == {each.name for each in declared.type.properties}
    assert set(schema["required"]) == set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_data_has_no_fraction_and_no_null() -> None:
    """Bicep has no fractions, and a null needs a type that allows it."""

    def values(content: Any) -> list[Any]:
        if isinstance(content, dict):
            return [each for value in content.values() for each in values(value)]
        return [each for value in content for each in values(value)] if isinstance(content, list) else [content]

    for name in ("events", "workspaces", "roles", "state", "functions", "alerts"):
        assert not [each for each in values(data(name)) if each is None or isinstance(each, float)], name


def test_filters_are_of_the_kind_that_the_template_can_write() -> None:
    """Other operators need a member of their own in filterType, and a schema that Event Grid's type agrees with."""
    for subscription in data("events")["subscriptions"]:
        for each in subscription["advancedFilters"]:
            assert each.keys() == {"operatorType", "key", "values"}
            assert each["operatorType"] == "StringIn"


def test_names_in_a_list_are_unique() -> None:
    workspaces = data("workspaces")["workspaces"]
    lists = [workspaces, data("events")["subscriptions"], data("alerts")["alerts"]]
    lists += [workspace[part] for workspace in workspaces for part in ("computes", "datastores", "endpoints")]
    for each in lists:
        names = [item["name"] for item in each]
        assert len(names) == len(set(names))


def test_a_cluster_may_grow_to_what_it_keeps_at_least() -> None:
    for workspace in data("workspaces")["workspaces"]:
        for compute in workspace["computes"]:
            assert compute["minNodes"] <= compute["maxNodes"], compute["name"]


def test_datastores_stand_on_containers_that_are_made() -> None:
    containers = set(data("state")["dataContainers"])
    wanted = {each["container"] for workspace in data("workspaces")["workspaces"] for each in workspace["datastores"]}

    assert wanted <= containers


def test_every_granted_role_and_no_other_is_described() -> None:
    described = {each["key"] for part in ("roles", "builtIn") for each in data("roles")[part]}
    granted = {each.role for each in access.read().grants}

    assert described == granted


def test_the_workflow_answers_whatever_happened() -> None:
    """A caller waits for the answer: a mail that was not sent must be told from one that was."""
    actions = data("alert-email.workflow")["actions"]
    answers = {name: each["inputs"]["statusCode"] for name, each in actions.items() if each["type"] == "Response"}
    after = {state for name in answers for state in actions[name]["runAfter"].get("Send", [])}

    assert sorted(answers.values()) == [200, 502]
    assert after == {"Succeeded", "Failed", "Skipped", "TimedOut"}
    for each in actions.values():
        assert set(each["runAfter"]) <= set(actions)
