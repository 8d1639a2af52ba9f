"""What other tools and published schemas say of pipelines, workflow, first boot and scripts; a second Bicep parser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tree_sitter
import tree_sitter_bicep
import yaml

from tests.infra.conftest import INFRA, ROOT

GITHUB = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEVOPS = sorted((INFRA / "pipelines").rglob("*.yml"))
GITHUB_SCHEMA = ("--builtin-schema", "vendor.github-workflows")
# Azure's schema has patterns that Python reads and JavaScript does not, and template expressions may stand for whole parts.
DEVOPS_SCHEMA = (
    *("--builtin-schema", "vendor.azure-pipelines"),
    *("--regex-variant", "python", "--data-transform", "azure-pipelines"),
)
BOOT = INFRA / "data" / "training-vm"
WORKFLOW = INFRA / "data" / "alert-email.workflow.json"


def complaints(schema: Sequence[str], paths: Sequence[Path]) -> str:
    """What check-jsonschema finds; it takes the schemas from its own package, not from the network."""
    command = [sys.executable, "-m", "check_jsonschema", "--no-cache", *schema, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "paths"), [(GITHUB_SCHEMA, GITHUB), (DEVOPS_SCHEMA, DEVOPS)], ids=["github", "azure"]
)
def test_pipelines_obey_the_published_schema_of_their_system(schema: Sequence[str], paths: list[Path]) -> None:
    assert paths
    assert complaints(schema, paths) == ""


@pytest.mark.parametrize(
    ("schema", "path", "old", "new"),
    [
        (GITHUB_SCHEMA, ROOT / ".github" / "workflows" / "infrastructure.yml", "runs-on:", "run-on:"),
        (DEVOPS_SCHEMA, INFRA / "pipelines" / "azure" / "infrastructure.yml", "timeoutInMinutes:", "timeoutInMinute:"),
    ],
    ids=["github", "azure"],
)
def test_a_typo_in_a_pipeline_is_found(schema: Sequence[str], path: Path, old: str, new: str, tmp_path: Path) -> None:
    planted = tmp_path / path.name
    planted.write_text(path.read_text().replace(old, new, 1))

    assert complaints(schema, [planted])


def shell_scripts() -> list[Path]:
    """Every file of infra/ that a shell runs."""
    files = [path for path in sorted(INFRA.rglob("*")) if path.is_file() and path.suffix in {"", ".sh"}]
    return [path for path in files if re.match(r"#!.*\b(ba)?sh\b", path.read_text())]


def shellcheck(script: str) -> str:
    program = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([program, "-"], input=script, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("script", shell_scripts(), ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    assert shellcheck(script.read_text()) == ""


def test_every_shell_script_is_checked() -> None:
    assert {each.name for each in shell_scripts()} >= {
        *("deploy", "release-functions", "start-training", "watch-scheduled-events"),
    }


def test_an_unquoted_variable_in_a_script_is_found() -> None:
    assert "SC2086" in shellcheck("#!/bin/bash\nrm --recursive $1\n")


def workflow_faults(content: object) -> list[str]:
    rules = json.loads(Path(__file__).with_name("workflow-definition.schema.json").read_text())
    return [each.message for each in jsonschema.Draft202012Validator(rules).iter_errors(content)]


def test_the_workflow_has_the_structure_of_the_definition_language() -> None:
    assert workflow_faults(json.loads(WORKFLOW.read_text())) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"type": "Switch"', '"type": "Swich"'),
        ('"runAfter": {"Recipients"', '"runafter": {"Recipients"'),
        ('["Succeeded"]', '["Success"]'),
        ('"case": "office365",', ""),
        ('"type": "Request"', '"type": "Requests"'),
        ('"kind": "Http"', '"kind": "HTTP"'),
        ('"method": "POST",', '"method": "SEND",'),
        ('"method": "post",', ""),
        ('{"connection": {"name":', '{"connection": {"id":'),
        ('"path": "/v2/Mail"', '"path": "v2/Mail"'),
        ('"queries": {"api-version": "2023-03-31"}', '"query": {"api-version": "2023-03-31"}'),
        ('"type": "ManagedServiceIdentity"', '"type": "ManagedIdentity"'),
        ('"select": {', '"map": {'),
        ('"statusCode": 502', '"status": 502'),
        ('"runStatus": "Failed"', '"runStatus": "failed"'),
    ],
)
def test_a_typo_in_the_workflow_is_found(old: str, new: str) -> None:
    text = WORKFLOW.read_text()
    assert old in text

    assert workflow_faults(json.loads(text.replace(old, new, 1)))


def scopes(actions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every group of actions: those of the workflow, and those inside of an action."""
    yield actions
    for action in actions.values():
        inner = [action, action.get("default", {}), action.get("else", {}), *action.get("cases", {}).values()]
        for each in inner:
            yield from scopes(each["actions"]) if "actions" in each else ()


def test_actions_run_after_actions_of_their_own_group() -> None:
    groups = list(scopes(json.loads(WORKFLOW.read_text())["actions"]))

    assert len(groups) > 1
    for group in groups:
        assert {after for action in group.values() for after in action["runAfter"]} <= set(group)


def test_expressions_of_the_workflow_name_what_is_there() -> None:
    text = WORKFLOW.read_text()
    definition = json.loads(text)
    actions = {name for group in scopes(definition["actions"]) for name in group}

    assert set(re.findall(r"parameters\('([^']+)'\)", text)) <= set(definition["parameters"])
    assert set(re.findall(r"\b(?:outputs|body|actions)\('([^']+)'\)", text)) <= actions


def cloud_config_faults(text: str) -> list[str]:
    rules = json.loads(Path(__file__).with_name("cloud-config.schema.json").read_text())
    return [each.message for each in jsonschema.Draft202012Validator(rules).iter_errors(yaml.safe_load(text))]


def test_first_boot_obeys_the_schema_of_cloud_config() -> None:
    assert cloud_config_faults((BOOT / "cloud-init.yaml").read_text()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("write_files:", "write_file:"), ("permissions: '0755'", "permissions: 0755"), ("encoding: b64", "encoding: b65")],
)
def test_a_typo_in_the_first_boot_is_found(old: str, new: str) -> None:
    text = (BOOT / "cloud-init.yaml").read_text()
    assert old in text

    assert cloud_config_faults(text.replace(old, new, 1))


def syntax_errors(source: bytes) -> list[str]:
    """Lines of the nodes that tree-sitter could not read or had to invent."""
    tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language())).parse(source)
    waiting, found = [tree.root_node], []
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.is_error or node.is_missing:
            found.append(f"{node.start_point[0] + 1}: {node.type}")
    return found


@pytest.mark.parametrize("path", sorted(INFRA.rglob("*.bicep")), ids=lambda path: path.name)
def test_another_parser_reads_the_bicep(path: Path) -> None:
    assert syntax_errors(path.read_bytes()) == []


def test_the_other_parser_sees_a_syntax_error() -> None:
    assert syntax_errors(b"param name string =\nresource a 'b@c' = {\n")
