"""infra/scripts/deploy and release-functions, run with an `az` that writes down how it was called."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.infra.conftest import INFRA, data
from tests.infra.fake_az import install, run

SCRIPTS = INFRA / "scripts"
DEPLOY = SCRIPTS / "deploy"


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    return install(tmp_path)


def test_validate_changes_nothing(bin_folder: Path) -> None:
    done = run(bin_folder, DEPLOY, "validate", "dev")

    assert done.code == 0, done.error
    assert [call.split()[:3] for call in done.calls][-1] == ["deployment", "sub", "validate"]
    assert not [call for call in done.calls if " create " in call]


def test_a_parameter_of_the_command_line_reaches_the_template(bin_folder: Path) -> None:
    done = run(bin_folder, DEPLOY, "what-if", "dev", 'workPackages=["vision"]')

    assert ' workPackages=["vision"]' in done.calls[-1].partition("--parameters")[2]


def test_later_deployments_keep_the_subscriptions(bin_folder: Path) -> None:
    assert "subscribe=true" in run(bin_folder, DEPLOY, "validate", "dev", AZ_SUBSCRIPTIONS="1").calls[-1]
    assert "subscribe=false" in run(bin_folder, DEPLOY, "validate", "dev").calls[-1]


def test_nothing_is_deployed_when_the_traffic_of_now_cannot_be_read(bin_folder: Path) -> None:
    """Without it a deployment would take the traffic away from every model."""
    done = run(bin_folder, DEPLOY, "what-if", "dev", AZ_GROUP="true", AZ_FAILS="1")

    assert done.code != 0
    assert not [call for call in done.calls if "deployment sub what-if" in call]


def test_nothing_is_deployed_when_preflight_finds_something(bin_folder: Path) -> None:
    done = run(bin_folder, DEPLOY, "deploy", "dev")

    assert done.code != 0
    assert "preflight:" in done.error
    assert not [call for call in done.calls if "deployment sub create" in call]


def test_preflight_asks_about_what_is_deployed(bin_folder: Path) -> None:
    """Parameters of the command line, and a vault that comes back: without it Azure refuses to validate the template."""
    done = run(bin_folder, DEPLOY, "preflight", "dev", "kubernetes=create", AZ_DELETED_VAULTS="1")

    (asked,) = [call for call in done.calls if "deployment sub validate" in call]
    assert "recoverKeyVault=true kubernetes=create" in asked
    assert "inference nodes: Standard_D4s_v5 does not exist" in done.error


def test_destroy_asks_for_the_name(bin_folder: Path) -> None:
    refused = run(bin_folder, DEPLOY, "destroy", "dev", typed="dev\n")
    done = run(bin_folder, DEPLOY, "destroy", "dev", typed="rg-tidegate-dev\n", AZ_GROUP="true")

    assert refused.code == 1
    assert refused.calls == []
    assert done.code == 0, done.error
    steps = ("lock delete --ids /locks/l", "/w?api-version=2025-12-01&forceToPurge=true", "--mode Complete")
    order = [next(number for number, call in enumerate(done.calls) if step in call) for step in steps]
    assert order == sorted(order)
    assert not [call for call in done.calls if call.startswith("group delete")]


def test_grants_of_identities_that_went_with_the_environment_go_too(bin_folder: Path) -> None:
    """They are found by the key of their role, which is what the template writes into each assignment."""
    done = run(bin_folder, DEPLOY, "destroy", "int", TIDEGATE_YES="1", AZ_GROUP="true")
    (listed,) = [each for each in done.calls if each.startswith("role assignment list")]
    own = {"events-app", "api-app", "training", "serving"}
    on_group = {each["role"] for each in data("roles")["grants"] if each["scope"] == "resource-group"}
    of_identities = {
        each["role"]
        for each in data("roles")["grants"]
        if each["scope"] == "resource-group" and each["principal"] in own
    }

    assert "role assignment delete --ids /grants/g" in done.calls
    assert {each for each in on_group if f"description=='{each}'" in listed} == of_identities
    assert "description: each.roleKey" in (INFRA / "modules" / "roles.bicep").read_text()


def test_destroying_what_is_not_there_is_no_error(bin_folder: Path) -> None:
    """int is removed after a failure too, and that may have been before anything was made."""
    done = run(bin_folder, DEPLOY, "destroy", "int", TIDEGATE_YES="1", AZ_GROUP="false")

    assert (done.code, done.calls) == (0, ["group exists --name rg-tidegate-int --output json"])


def test_what_a_complete_deployment_leaves_is_deleted_after_it(bin_folder: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.write_text("/registries/mlr\n/emailServices/mail\n")
    done = run(
        bin_folder, DEPLOY, "destroy", "int", TIDEGATE_YES="1", AZ_GROUP="true", AZ_INCOMPLETE="1", AZ_LEFT=str(left)
    )

    assert done.code == 0, done.error
    assert [each for each in done.calls if each.startswith("resource delete")] == [
        "resource delete --ids /registries/mlr /emailServices/mail"
    ]


def test_destroy_says_what_it_could_not_delete(bin_folder: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.write_text("/networks/vnet\n")
    stuck = {"TIDEGATE_YES": "1", "AZ_GROUP": "true", "AZ_LEFT": str(left), "AZ_STUCK": "1"}
    done = run(bin_folder, DEPLOY, "destroy", "int", **stuck)

    assert done.code == 1
    assert "it is still there, run destroy again: /networks/vnet" in done.error
    assert sum(each.startswith("resource delete") for each in done.calls) == 4


def test_a_vault_that_was_deleted_with_its_environment_is_brought_back(bin_folder: Path) -> None:
    assert "recoverKeyVault=true" in run(bin_folder, DEPLOY, "validate", "dev", AZ_DELETED_VAULTS="1").calls[-1]
    assert "recoverKeyVault=false" in run(bin_folder, DEPLOY, "validate", "dev").calls[-1]


def test_a_deleted_vault_is_this_environment_s_by_group_name_and_region(bin_folder: Path) -> None:
    """One of another region has another name, and asking Azure to recover what was never deleted fails."""
    (asked,) = run(bin_folder, SCRIPTS / "deleted-vault", "rg-tidegate-dev", "westeurope").calls

    for part in ("'/resourceGroups/rg-tidegate-dev/'", "starts_with(name, 'kv-tg-')", "location == 'westeurope'"):
        assert part in asked
    template = (INFRA / "main.bicep").read_text()
    assert "keyVault: 'kv-tg-${token}'" in template
    assert "var token = uniqueString(subscription().id, environmentName, location)" in template


def test_nothing_is_deployed_when_deleted_vaults_cannot_be_looked_for(bin_folder: Path) -> None:
    """A vault of the name that is made then would be refused in the middle of the deployment."""
    done = run(bin_folder, DEPLOY, "validate", "dev", AZ_VAULTS_FAIL="1")

    assert done.code != 0
    assert not [call for call in done.calls if "deployment sub" in call]


def test_a_package_is_not_released_to_apps_that_are_not_there(bin_folder: Path) -> None:
    (bin_folder / "az").write_text("#!/bin/bash\necho 'DeploymentNotFound' >&2; exit 3\n")

    done = run(bin_folder, INFRA / "scripts" / "release-functions", "dev", bin_folder / "package.zip")

    assert done.code == 1
    assert "DeploymentNotFound" in done.error
    assert "deploy it with this version first: infra/scripts/deploy deploy dev" in done.error


@pytest.mark.parametrize("arguments", [(), ("validate",), ("explode", "dev"), ("validate", "nowhere")])
def test_a_wrong_call_is_refused_before_anything_happens(arguments: tuple[str, ...], bin_folder: Path) -> None:
    done = run(bin_folder, DEPLOY, *arguments)

    assert (done.code, done.calls) == (2, [])


def test_both_apps_get_the_same_package(bin_folder: Path) -> None:
    package = bin_folder / "package.zip"
    done = run(bin_folder, INFRA / "scripts" / "release-functions", "dev", package)

    released = [call for call in done.calls if "config-zip" in call]
    assert [call.split("--name ")[1].split()[0] for call in released] == ["e", "a"]
    assert all(f"--src {package}" in call for call in released)


def test_scripts_parse() -> None:
    for script in [*SCRIPTS.iterdir(), *(INFRA / "data" / "training-vm").iterdir()]:
        if script.is_file() and script.read_bytes().startswith(b"#!/bin/bash"):
            assert os.access(script, os.X_OK), script.name
            subprocess.run(["bash", "-n", str(script)], check=True)
            assert "set -euo pipefail" in script.read_text()


def test_the_parameter_files_are_json_of_the_published_schema() -> None:
    for path in INFRA.glob("*.parameters*.json"):
        content = json.loads(path.read_text())
        assert set(content) == {"$schema", "contentVersion", "parameters"}
        assert all(set(each) == {"value"} for each in content["parameters"].values())


WARNING = "/infra/main.bicep(3,7) : Warning no-unused-params: Parameter is declared but never used. [https://aka.ms/x]"


@pytest.mark.parametrize(
    ("says", "ends", "code"),
    [
        ("", "0", 0),
        ("WARNING: A new Bicep release is available: v9. Upgrade now.", "0", 0),
        (f"WARNING: {WARNING}", "0", 1),
        ("ERROR: /infra/main.bicep(3,7) : Error BCP018: Expected a character. [https://aka.ms/x]", "1", 1),
    ],
    ids=["silent", "news", "warning", "error"],
)
def test_a_warning_of_the_compiler_is_an_error(says: str, ends: str, code: int, bin_folder: Path) -> None:
    done = run(bin_folder, SCRIPTS / "compile", AZ_BICEP_SAYS=says, AZ_BICEP_ENDS=ends)

    assert done.code == code
    assert says in done.output


def test_every_template_that_is_deployed_is_compiled_by_one_version(bin_folder: Path) -> None:
    done = run(bin_folder, SCRIPTS / "compile")
    deployed = {path.name for path in INFRA.glob("*.bicep")} - {"types.bicep"}

    assert done.calls[0].startswith("bicep install --version v0.")
    assert {Path(each.split("--file ")[1].split()[0]).name for each in done.calls[1:]} == deployed
