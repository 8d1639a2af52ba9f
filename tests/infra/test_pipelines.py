"""The pipelines: order, approvals, sign-in without secrets, and separate releases of infrastructure and artefacts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.conftest import INFRA, ROOT

GITHUB = ROOT / ".github" / "workflows"
DEVOPS = INFRA / "pipelines" / "azure"
NAMES = ("infrastructure", "function-app", "training-image", "scoring-image", "retraining")
ALL = sorted([*GITHUB.glob("*.yml"), *DEVOPS.rglob("*.yml")])


def load(path: Path) -> Any:
    """YAML as text only: `on` is a key, not a truth."""
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  # a loader that makes nothing but strings


@pytest.mark.parametrize("name", NAMES)
def test_every_pipeline_is_there_for_both_systems(name: str) -> None:
    assert load(GITHUB / f"{name}.yml")["jobs"]
    assert load(DEVOPS / f"{name}.yml")


def test_int_is_tested_and_removed_before_dev_and_dev_comes_before_pro() -> None:
    jobs = load(GITHUB / "infrastructure.yml")["jobs"]
    needs = {name: job.get("needs", []) for name, job in jobs.items()}

    assert needs == {
        "check": [],
        "int": "check",
        "test-int": "int",
        "roles": "test-int",
        "remove-int": ["int", "test-int", "roles"],
        "dev": ["int", "test-int", "roles", "remove-int"],
        "pro": "dev",
    }


def test_the_stages_of_azure_devops_are_in_the_same_order() -> None:
    stages = load(DEVOPS / "infrastructure.yml")["stages"]
    names = [each.get("stage") or f"deploy_{each['parameters']['environment']}" for each in stages]
    needs = [each.get("dependsOn") or each.get("parameters", {}).get("dependsOn", []) for each in stages]

    assert names == ["check", "deploy_int", "test_int", "roles_int", "remove_int", "deploy_dev", "deploy_pro"]
    assert needs == [
        [],
        ["check"],
        ["deploy_int"],
        ["test_int"],
        ["deploy_int", "test_int", "roles_int"],
        ["deploy_int", "test_int", "roles_int", "remove_int"],
        ["deploy_dev"],
    ]


def test_pro_is_released_from_main_alone() -> None:
    github = load(GITHUB / "infrastructure.yml")["jobs"]["pro"]
    devops = load(DEVOPS / "infrastructure.yml")["stages"][-1]["parameters"]

    assert github["if"] == "github.ref == 'refs/heads/main'"
    assert "eq(variables.isMain, 'True')" in devops["condition"]


def test_int_is_removed_after_a_failure_too() -> None:
    assert load(GITHUB / "infrastructure.yml")["jobs"]["remove-int"]["if"].startswith("always()")
    stage = next(each for each in load(DEVOPS / "infrastructure.yml")["stages"] if each.get("stage") == "remove_int")
    assert "succeeded" not in stage["condition"]


@pytest.mark.parametrize("path", sorted(GITHUB.glob("*.yml")), ids=lambda path: path.name)
def test_a_workflow_signs_in_by_federation_with_the_least_permissions(path: Path) -> None:
    workflow = load(path)
    for permissions in [workflow["permissions"], *(job.get("permissions", {}) for job in workflow["jobs"].values())]:
        assert permissions.get("contents", "read") == "read"
        assert set(permissions) <= {"contents", "id-token"}
    assert not re.search(r"creds:|AZURE_CREDENTIALS|client-secret", path.read_text())


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_job_has_an_end(path: Path) -> None:
    def jobs(content: Any) -> list[dict[str, Any]]:
        if isinstance(content, dict):
            own = (
                [content]
                if {"steps", "strategy"} & set(content) and {"job", "deployment", "runs-on"} & set(content)
                else []
            )
            return own + [each for value in content.values() for each in jobs(value)]
        return [each for value in content for each in jobs(value)] if isinstance(content, list) else []

    for job in jobs(load(path)):
        assert "timeoutInMinutes" in job or "timeout-minutes" in job


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_what_a_pipeline_runs_is_there(path: Path) -> None:
    for script in re.findall(r"infra/scripts/[\w-]+", path.read_text()):
        assert (ROOT / script).is_file()
    for module in re.findall(r"python -m (infra[\w.]+)", path.read_text()):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    for template in re.findall(r"template: (\S+\.yml)", path.read_text()):
        assert (path.parent / template).is_file() or (DEVOPS / template).is_file()


def test_untrusted_text_never_becomes_part_of_a_command() -> None:
    """`${{ ... }}` inside of `run` is pasted before a shell reads it: values come in by the environment."""
    for path in GITHUB.glob("*.yml"):
        for job in load(path)["jobs"].values():
            for step in job.get("steps", []):
                assert "${{" not in step.get("run", ""), f"{path.name}: {step}"


def test_infrastructure_and_artefacts_are_released_apart() -> None:
    triggers = {
        name: set(load(GITHUB / f"{name}.yml")["on"]["push"]["paths"]) for name in NAMES if name != "retraining"
    }

    for name, paths in triggers.items():
        others = set().union(*(each for other, each in triggers.items() if other != name))
        assert not paths & others, name


def smoke_of_int(text: str) -> list[str]:
    return re.findall(r"deploy smoke \S+", text)


def test_int_is_tested_once_by_a_step_of_its_own() -> None:
    github = load(GITHUB / "infrastructure.yml")["jobs"]
    devops = load(DEVOPS / "infrastructure.yml")["stages"]

    assert github["int"]["with"] == {"environment": "int", "smoke": "false"}
    assert github["test-int"]["uses"].endswith("/functional-test.yml")
    assert devops[1]["parameters"]["smoke"] == "false"
    assert smoke_of_int((DEVOPS / "infrastructure.yml").read_text()) == ["deploy smoke int"]


def test_the_production_environment_can_be_tested_from_inside_of_its_network() -> None:
    """It is private: registries and the API answer nobody outside."""
    for name in ("infrastructure.yml", "function-app.yml"):
        assert "vars.PRIVATE_RUNNER" in (GITHUB / name).read_text()
        assert "parameters.privatePool" in (DEVOPS / name).read_text()


@pytest.mark.parametrize("part", ["environment", "shared", "workspace"])
def test_both_systems_have_a_template_for_every_part(part: str) -> None:
    assert set(load(GITHUB / f"{part}.yml")["on"]) == {"workflow_call"}
    assert load(DEVOPS / "templates" / f"{part}.yml")["parameters"]


def test_the_role_test_runs_as_every_role_of_people_and_as_the_pipeline() -> None:
    for path in (GITHUB / "infrastructure.yml", DEVOPS / "infrastructure.yml"):
        assert "rg-tidegate-int model-developer ml-engineer operator approver pipeline" in path.read_text()


def test_first_boot_is_cloud_init_that_it_understands() -> None:
    text = (INFRA / "data" / "training-vm" / "cloud-init.yaml").read_text()
    content = load(INFRA / "data" / "training-vm" / "cloud-init.yaml")

    assert text.startswith("#cloud-config\n")
    assert set(content) <= {"package_update", "packages", "write_files", "runcmd"}
    for each in content["write_files"]:
        assert set(each) <= {"path", "permissions", "encoding", "content"}
        assert each.get("encoding", "b64") == "b64"
    units = [each["content"] for each in content["write_files"] if each["path"].endswith(".service")]
    started = {re.search(r"ExecStart=(\S+)", unit).group(1) for unit in units}  # type: ignore[union-attr]
    assert started <= {each["path"] for each in content["write_files"]}


def test_gitlab_values_send_builds_to_the_pool_of_the_cluster() -> None:
    values = load(INFRA / "data" / "gitlab-runner.values.yaml")["runners"]["config"]
    cluster = (INFRA / "modules" / "kubernetes.bicep").read_text()

    assert 'workload = "runners"' in values
    tolerated = set(re.findall(r'"([\w./]+=\w+)" = "NoSchedule"', values))
    assert (
        tolerated
        == set(re.findall(r"'([\w./]+=\w+):NoSchedule'", cluster))
        == {
            "workload=runners",
            "kubernetes.azure.com/scalesetpriority=spot",
        }
    )
