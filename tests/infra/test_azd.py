"""azure.yaml: its structure, what it names, what azd is given and finds, and its hooks with an `azd` that writes them down."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.infra.bicep import tree
from tests.infra.bicep.project import Project
from tests.infra.conftest import INFRA, ROOT
from tests.infra.fake_az import Run, install, run

FILE = ROOT / "azure.yaml"
HOOKS = INFRA / "scripts" / "azd-hooks"
BY_AZD = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
"""Variables that azd has itself: it asks for them and puts them into its environment."""
TAG = "azd-service-name"


def content() -> Any:
    return yaml.safe_load(FILE.read_text())


def faults(text: str) -> list[str]:
    rules = json.loads(Path(__file__).with_name("azure-yaml.schema.json").read_text())
    return [each.message for each in jsonschema.Draft202012Validator(rules).iter_errors(yaml.safe_load(text))]


def test_azure_yaml_has_the_structure_that_azd_reads() -> None:
    assert faults(FILE.read_text()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("provider: bicep", "provider: bicepp"),
        ("host: function", "host: functionapp"),
        ("language: python", "language: python3"),
        ("    project: .\n", ""),
        ("postdeploy:", "postdeploi:"),
        ("    shell: sh\n", "    posix:\n      shell: sh\n"),
        ('azd: ">= 1.18.0"', 'azd: "1.18"'),
        ("module: main", "modul: main"),
    ],
)
def test_a_typo_in_azure_yaml_is_found(old: str, new: str) -> None:
    text = FILE.read_text()
    assert old in text

    assert faults(text.replace(old, new, 1))


def test_what_azure_yaml_names_is_there() -> None:
    named = content()
    infra = ROOT / named["infra"]["path"]

    assert (infra / f"{named['infra']['module']}.bicep").is_file()
    assert (infra / f"{named['infra']['module']}.parameters.json").is_file()
    assert not (infra / f"{named['infra']['module']}.bicepparam").exists()  # azd would take it instead
    for service in named["services"].values():
        assert {"host.json", "function_app.py", "requirements.txt"} <= {
            each.name for each in (ROOT / service["project"]).iterdir()
        }
    for hook in named["hooks"].values():
        assert (ROOT / hook["run"].split()[0]).is_file()


def test_azd_finds_each_service_by_a_tag_that_one_resource_has(project: Project) -> None:
    """azd lists what has the tag and refuses more than one: "expecting only '1' resource tagged with"."""
    main = project.files[INFRA / "main.bicep"]
    tagged = {}
    for app in main.of_kind("module"):
        params = app.body().get("params")
        if isinstance(params, tree.Object) and isinstance(tags := params.get("appTags"), tree.Object):
            value = tags.get(TAG)
            assert isinstance(value, tree.Literal)
            tagged[value.value] = app.name
    module = project.files[INFRA / "modules" / "function-app.bicep"]
    uses = [each.name for each in module.declarations if each.kind != "param" and _uses(each, "appTags")]

    assert set(tagged) == set(content()["services"])
    assert uses == ["app"]
    assert (INFRA / "main.bicep").read_text().count(TAG) == len(tagged)


def _uses(declaration: tree.Declaration, name: str) -> bool:
    return declaration.value is not None and tree.Name(name) in tree.walk(declaration.value)


def test_azd_learns_the_resource_group_from_an_output(project: Project) -> None:
    main = project.files[INFRA / "main.bicep"]

    assert "AZURE_RESOURCE_GROUP" in {each.name for each in main.of_kind("output")}
    assert "targetScope = 'subscription'" in (INFRA / "main.bicep").read_text()


def given() -> dict[str, Any]:
    stored = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    return {name: each["value"] for name, each in stored.items()}


def test_azd_asks_for_no_parameter(project: Project) -> None:
    """It asks for what has neither a value nor a default, and takes a list of an empty text for a value."""
    declared = {each.name: each for each in project.files[INFRA / "main.bicep"].of_kind("param")}

    assert set(given()) <= set(declared)
    assert {name for name, each in declared.items() if each.value is None} <= set(given())


def test_every_variable_of_the_parameters_is_azd_s_or_has_a_default_or_is_seen_to() -> None:
    text = (INFRA / "main.parameters.json").read_text()
    variables = dict(re.findall(r"\$\{(\w+)(=[^}]*)?\}", text))
    explained = (ROOT / "docs" / "how-to" / "deploy.md").read_text() + (ROOT / "docs" / "infra.md").read_text()
    # An empty text is what main.bicep has as their default; the last one is asked for by a hook.
    optional = {"TIDEGATE_SIGN_IN_CLIENT_ID", "TIDEGATE_SSH_PUBLIC_KEY", "TIDEGATE_API_KEYS", "TIDEGATE_OPERATOR_EMAIL"}

    assert {name for name, default in variables.items() if not default} == BY_AZD | optional
    for name in set(variables) - BY_AZD:
        assert name in explained or name in HOOKS.read_text(), name


def test_azd_packs_what_a_release_packs() -> None:
    """azd zips the folder without what .funcignore names; the scripts and pipelines name what they take."""
    ignored = ["git", "ls-files", "--cached", "--ignored", "--exclude-from=.funcignore"]
    tracked = set(_lines(["git", "ls-files"]))
    packed = {each.split("/")[0] for each in tracked - set(_lines(ignored))}
    archive = re.search(r"HEAD \\\n\s+(.+)\n", (INFRA / "scripts" / "release-functions").read_text())
    assert archive is not None

    assert packed == set(archive[1].split())


def _lines(command: list[str]) -> list[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    return install(tmp_path)


def hook(folder: Path, name: str, **environ: str) -> Run:
    environment = {"AZURE_ENV_NAME": "dev", "AZURE_LOCATION": "westeurope", "TIDEGATE_OPERATOR_EMAIL": "o@example.com"}
    command = content()["hooks"][name]["run"].split()
    return run(folder, ROOT / command[0], *command[1:], **(environment | environ))


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"TIDEGATE_OPERATOR_EMAIL": ""}, "azd env set TIDEGATE_OPERATOR_EMAIL"),
        ({"AZURE_ENV_NAME": "development"}, "8 letters at most"),
    ],
)
def test_azd_is_stopped_before_azure_would_stop_it(environ: dict[str, str], reason: str, bin_folder: Path) -> None:
    done = hook(bin_folder, "preprovision", **environ)

    assert done.code == 1
    assert reason in done.error


def test_the_first_run_begins_a_budget_and_a_vault(bin_folder: Path) -> None:
    first = hook(bin_folder, "preprovision")
    later = hook(bin_folder, "preprovision", TIDEGATE_BUDGET_START="2026-12-01")

    assert [each for each in first.calls if re.fullmatch(r"azd env set TIDEGATE_BUDGET_START \d{4}-\d{2}-01", each)]
    assert first.calls[-1] == "azd env set TIDEGATE_RECOVER_VAULT false"
    assert not [each for each in later.calls if "BUDGET" in each]


def test_a_run_after_a_removal_brings_the_vault_back(bin_folder: Path) -> None:
    done = hook(bin_folder, "preprovision", AZURE_SUBSCRIPTION_ID="s", AZ_DELETED_VAULTS="1")

    assert done.calls[-1] == "azd env set TIDEGATE_RECOVER_VAULT true"
    assert [each for each in done.calls if each.startswith("keyvault list-deleted") and "--subscription s" in each]


def test_without_az_the_person_is_told_what_to_say_of_the_vault(bin_folder: Path) -> None:
    done = hook(bin_folder, "preprovision", AZURE_SUBSCRIPTION_ID="s", AZ_SIGNED_OUT="1")

    assert done.code == 0
    assert "azd env set TIDEGATE_RECOVER_VAULT true" in done.error
    assert not [each for each in done.calls if "RECOVER" in each]


def test_subscriptions_come_once_after_the_first_release(bin_folder: Path) -> None:
    first = hook(bin_folder, "postdeploy")
    later = hook(bin_folder, "postdeploy", TIDEGATE_SUBSCRIBE="true")

    assert first.calls == [
        "azd env set TIDEGATE_SUBSCRIBE true",
        "azd env set TIDEGATE_ENDPOINTS false",
        "azd provision --no-prompt",
    ]
    assert (later.code, later.calls) == (0, [])


def test_removal_takes_the_lock_off_and_the_next_run_is_a_first_one_again(bin_folder: Path) -> None:
    before = hook(bin_folder, "predown", AZURE_RESOURCE_GROUP="rg-tidegate-dev")
    after = hook(bin_folder, "postdown")

    assert before.code == 0, before.error
    assert "lock delete --ids /locks/l" in before.calls
    assert [each for each in before.calls if "forceToPurge=true" in each]
    assert after.calls == ["azd env set TIDEGATE_SUBSCRIBE false", "azd env set TIDEGATE_ENDPOINTS true"]


def test_nothing_is_removed_where_nothing_is_provisioned(bin_folder: Path) -> None:
    done = hook(bin_folder, "predown")

    assert done.code != 0
    assert "nothing is provisioned" in done.error
    assert done.calls == []
