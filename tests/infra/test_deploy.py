"""infra/scripts/deploy and release-functions, run with an `az` that writes down how it was called."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.infra.conftest import INFRA, ROOT

DEPLOY = INFRA / "scripts" / "deploy"

FAKE = """#!/bin/bash
printf '%s\\n' "$*" >>"$AZ_CALLS"
case "$*" in
    *'rest --method get'*) [ -z "${AZ_FAILS:-}" ] || exit 1; echo '{"value": []}' ;;
    'group exists'*) echo "${AZ_GROUP:-false}" ;;
    'resource list'*tsv) echo /w ;;
    'resource list'*) echo '[{"id": "/w"}]' ;;
    *'event-subscription list'*) echo "${AZ_SUBSCRIPTIONS:-0}" ;;
    'keyvault list-deleted'*) [ -z "${AZ_VAULTS_FAIL:-}" ] || exit 1; echo "${AZ_DELETED_VAULTS:-0}" ;;
    'account show'*) echo '{"id": "s"}' ;;
    'lock list'*) echo /locks/l ;;
    'deployment sub validate'*query*) echo '[]' ;;
    *'query properties.outputs '*)
        echo '{"azurE_RESOURCE_GROUP": {"value": "rg"}, "eventS_APP_NAME": {"value": "e"},'
        echo '"apI_APP_NAME": {"value": "a"}, "vaulT_NAME": {"value": "kv"}}' ;;
    'provider list'* | 'vm list'*) echo '[]' ;;
    *) echo '{}' ;;
esac
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    code: int
    calls: list[str]
    error: str


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    az = tmp_path / "az"
    az.write_text(FAKE)
    az.chmod(0o755)
    return tmp_path


def run(folder: Path, *arguments: str | Path, typed: str = "", **environ: str) -> Run:
    calls = folder / "calls"
    calls.write_text("")
    path = f"{folder}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(each) for each in arguments],
        env={"PATH": path, "AZ_CALLS": str(calls), "HOME": str(folder), **environ},
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, calls.read_text().splitlines(), done.stderr)


def test_validate_changes_nothing(bin_folder: Path) -> None:
    done = run(bin_folder, DEPLOY, "validate", "dev")

    assert done.code == 0, done.error
    assert [call.split()[:3] for call in done.calls][-1] == ["deployment", "sub", "validate"]
    assert not [call for call in done.calls if " create " in call]


def test_a_parameter_of_the_command_line_reaches_the_template(bin_folder: Path) -> None:
    done = run(bin_folder, DEPLOY, "what-if", "dev", 'workPackages=["vision"]')

    assert '--parameters workPackages=["vision"]' in done.calls[-1]


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


def test_destroy_asks_for_the_name(bin_folder: Path) -> None:
    refused = run(bin_folder, DEPLOY, "destroy", "dev", typed="dev\n")
    done = run(bin_folder, DEPLOY, "destroy", "dev", typed="rg-tidegate-dev\n")

    assert refused.code == 1
    assert refused.calls == []
    assert done.code == 0, done.error
    steps = ("lock delete --ids /locks/l", "/w?api-version=2025-12-01&forceToPurge=true", "--mode Complete")
    order = [next(number for number, call in enumerate(done.calls) if step in call) for step in steps]
    assert order == sorted(order)
    assert not [call for call in done.calls if call.startswith("group delete")]


def test_a_vault_that_was_deleted_with_its_environment_is_brought_back(bin_folder: Path) -> None:
    assert "recoverKeyVault=true" in run(bin_folder, DEPLOY, "validate", "dev", AZ_DELETED_VAULTS="1").calls[-1]
    assert "recoverKeyVault=false" in run(bin_folder, DEPLOY, "validate", "dev").calls[-1]


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
    for script in [*(INFRA / "scripts").iterdir(), *(INFRA / "data" / "training-vm").iterdir()]:
        if script.is_file() and script.read_bytes().startswith(b"#!/bin/bash"):
            assert os.access(script, os.X_OK), script.name
            subprocess.run(["bash", "-n", str(script)], check=True)
            assert "set -euo pipefail" in script.read_text()


def test_the_parameter_files_are_json_of_the_published_schema() -> None:
    for path in INFRA.glob("*.parameters*.json"):
        content = json.loads(path.read_text())
        assert set(content) == {"$schema", "contentVersion", "parameters"}
        assert all(set(each) == {"value"} for each in content["parameters"].values())
