"""The pipelines: order, approvals, sign-in without secrets, and separate releases of infrastructure and artefacts."""

from __future__ import annotations

import json
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


RELEASES = ("infrastructure", "function-app", "training-image", "scoring-image")
"""Those that go to dev and then to pro."""


@pytest.mark.parametrize("name", RELEASES)
def test_pro_is_released_after_dev_and_from_main_alone(name: str) -> None:
    github = load(GITHUB / f"{name}.yml")["jobs"]["pro"]
    stages = load(DEVOPS / f"{name}.yml")["stages"]
    dev, pro = (next(each["parameters"] for each in stages if environment_of(each) == one) for one in ("dev", "pro"))

    assert (github["if"], github["needs"]) == ("github.ref == 'refs/heads/main'", "dev")
    assert pro["condition"] == "and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))"
    assert "condition" not in dev
    (after,) = pro["dependsOn"]
    assert after.endswith("_dev")


def environment_of(stage: Any) -> str:
    return str(stage.get("parameters", {}).get("environment", ""))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_what_touches_an_environment_asks_for_its_approvals(path: Path) -> None:
    """In both systems they are rules of the environment, and hold for jobs that name it. int has none, so its tests need not."""
    for job in jobs_of(load(path)):
        if any(ASKS_AZURE.search(each) for each in commands(job)):
            assert "environment" in job or "tidegate-int" in str(job)


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


def jobs_of(content: Any) -> list[dict[str, Any]]:
    """Every job with steps of its own, wherever it stands."""
    if isinstance(content, dict):
        is_job = {"steps", "strategy"} & set(content) and {"job", "deployment", "runs-on"} & set(content)
        return [content] * bool(is_job) + [each for value in content.values() for each in jobs_of(value)]
    return [each for value in content for each in jobs_of(value)] if isinstance(content, list) else []


def steps(content: Any) -> list[Any]:
    """The steps of a job or of a template of steps, in order; those of an Azure DevOps template stand for its commands."""
    if isinstance(content, dict):
        if "steps" in content:
            return [inner for each in content["steps"] for inner in _expanded(each)]
        return [each for value in content.values() for each in steps(value)]
    return [each for value in content for each in steps(value)] if isinstance(content, list) else []


def _expanded(step: Any) -> list[Any]:
    """A step, or those of the template that it stands for."""
    if not str(step.get("template", "")).endswith("steps.yml"):
        return [step]
    before = [each for each in load(DEVOPS / "templates" / "steps.yml")["steps"] if "task" in each or "script" in each]
    return [*before, *({"task": "AzureCLI@2", "inlineScript": each} for each in _texts(step["parameters"]["commands"]))]


def _texts(content: Any) -> list[str]:
    if isinstance(content, dict):
        return [text for value in content.values() for text in _texts(value)]
    return [text for each in content for text in _texts(each)] if isinstance(content, list) else [str(content)]


def command(step: Any) -> str:
    """What a step runs in a shell; empty: nothing."""
    inputs = step.get("inputs") or {}
    return str(step.get("run") or step.get("script") or step.get("inlineScript") or inputs.get("inlineScript") or "")


def commands(job: Any) -> list[str]:
    return [text for each in steps(job) if (text := command(each))]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_job_has_an_end(path: Path) -> None:
    for job in jobs_of(load(path)):
        assert "timeoutInMinutes" in job or "timeout-minutes" in job


ASKS_AZURE = re.compile(r"infra/scripts/(deploy|release-functions|build-image)|python -m infra\.")
NEEDS_PACKAGES = re.compile(r"deploy smoke|python -m infra\.(tests|scripts\.(register_trainer|start_retraining))")


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_a_step_finds_what_it_needs_when_it_runs(path: Path) -> None:
    """A checkout, Python 3.13, the packages that ask Azure, and a sign-in: in the same job, and before."""
    for job in jobs_of(load(path)):
        ran: list[Any] = []
        for step in steps(job):
            text = command(step)
            if ASKS_AZURE.search(text):
                # A plain job of Azure DevOps checks out by itself.
                assert has(ran, "actions/checkout") or has(ran, "'checkout': 'self'") or "job" in job, (path.name, text)
                assert has(ran, "setup-python") or has(ran, "UsePythonVersion"), (path.name, text)
                assert has(ran, "azure/login") or step.get("task") == "AzureCLI@2", (path.name, text)
            if NEEDS_PACKAGES.search(text):
                assert has(ran, "--requirement requirements.txt"), (path.name, text)
            ran.append(step)


def has(ran: list[Any], words: str) -> bool:
    return any(words in str(each) for each in ran)


OTHER_SERVICES = re.compile(r"release-functions|deploy smoke|register_trainer|infra\.tests\.roles")
"""What asks more than the resource manager: App Service, registries, the vault."""


@pytest.mark.parametrize("path", sorted(GITHUB.glob("*.yml")), ids=lambda path: path.name)
def test_what_asks_another_service_has_just_signed_in(path: Path) -> None:
    """GitHub's proof is good for five minutes, and each service has tokens of its own: AADSTS700024 afterwards."""
    for job in jobs_of(load(path)):
        before: Any = {}
        for step in steps(job):
            if OTHER_SERVICES.search(command(step)):
                assert "azure/login" in before.get("uses", ""), f"{path.name}: {command(step)}"
                assert before.get("if") == step.get("if")
            before = step


def test_a_fresh_sign_in_is_what_the_steps_have_in_azure_devops() -> None:
    (looped,) = [
        each for each in load(DEVOPS / "templates" / "steps.yml")["steps"] if any("each" in key for key in each)
    ]

    assert [each["task"] for each in next(iter(looped.values()))] == ["AzureCLI@2"]


@pytest.mark.parametrize("path", sorted(GITHUB.glob("*.yml")), ids=lambda path: path.name)
def test_actions_of_others_are_fixed_to_a_commit(path: Path) -> None:
    """A tag can be moved to other code; the comment says which version the commit is."""
    for line in path.read_text().splitlines():
        if (found := re.search(r"uses: (\S+)(.*)", line)) and not found[1].startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", found[1]), line
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", found[2]), line


def test_one_commit_of_an_action_is_used_everywhere() -> None:
    used = {
        found for path in GITHUB.glob("*.yml") for found in re.findall(r"uses: (\S+)@([0-9a-f]{40})", path.read_text())
    }

    assert len(used) == len({action for action, _ in used}) == 5


SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json"


@pytest.mark.parametrize(
    "job",
    [load(GITHUB / "infrastructure.yml")["jobs"]["check"], load(DEVOPS / "infrastructure.yml")["stages"][0]],
    ids=["github", "azure"],
)
def test_the_first_job_compiles_and_asks_microsoft_s_schema_before_anything_is_deployed(job: Any) -> None:
    ran = commands(job)
    (asked,) = [each for each in steps(job) if "check-jsonschema" in command(each)]

    assert "infra/scripts/compile" in ran
    assert ran.index("python -m pytest tests/infra") < ran.index("infra/scripts/compile")
    assert command(asked) == 'check-jsonschema --schemafile "$SCHEMA" infra/data/alert-email.workflow.json'
    assert asked["env"] == {"SCHEMA": SCHEMA}
    stated = json.loads((INFRA / "data" / "alert-email.workflow.json").read_text())["$schema"]
    assert stated.removesuffix("#") == SCHEMA
    assert re.search(r"^check-jsonschema==", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)


def test_only_one_run_at_a_time_deploys() -> None:
    """There is one int: two runs in it would remove what the other tests."""
    group = load(GITHUB / "infrastructure.yml")["concurrency"]["group"]

    assert group == "infrastructure-${{ github.event_name == 'pull_request' && github.ref || 'release' }}"
    assert load(DEVOPS / "infrastructure.yml")["trigger"]["batch"] == "true"


@pytest.mark.parametrize("name", ["training-image", "scoring-image"])
def test_an_image_is_built_in_every_environment_that_uses_it(name: str) -> None:
    """Each has a staging and a healthy registry of its own, and trains and serves what is in its own."""
    github = load(GITHUB / f"{name}.yml")["jobs"]
    devops = load(DEVOPS / f"{name}.yml")["stages"]
    folder = "trainer" if name == "training-image" else "scoring"

    assert [each["with"]["environment"] for each in github.values()] == ["dev", "pro"]
    assert {each["with"]["image"] for each in github.values()} == {folder}
    assert [(each["parameters"]["environment"], each["parameters"]["image"]) for each in devops] == [
        ("dev", folder),
        ("pro", folder),
    ]


@pytest.mark.parametrize(
    "job",
    [load(GITHUB / "image.yml")["jobs"]["build"], load(DEVOPS / "templates" / "image.yml")["stages"][0]["jobs"][0]],
    ids=["github", "azure"],
)
def test_the_training_image_is_registered_after_it_was_built_under_the_same_tag(job: Any) -> None:
    ran = " ".join(commands(job))
    build, register = ran.index("infra/scripts/build-image"), ran.index("python -m infra.scripts.register_trainer")
    tag = '"$TAG"' if "runs-on" in job else '"$(tag)"'

    assert build < register
    assert ran.count(tag) == 2
    assert "image == 'trainer'" in str(job) or "eq(parameters.image, 'trainer')" in str(job)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_what_a_pipeline_runs_is_there(path: Path) -> None:
    for script in re.findall(r"infra/scripts/[\w-]+", path.read_text()):
        assert (ROOT / script).is_file()
    for module in re.findall(r"python -m (infra[\w.]+\w)", path.read_text()):
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


@pytest.mark.parametrize("name", RELEASES)
def test_the_production_environment_can_be_reached_from_inside_of_its_network(name: str) -> None:
    """It is private: registries and the API answer nobody outside."""
    assert (
        load(GITHUB / f"{name}.yml")["jobs"]["pro"]["with"]["runner"] == "${{ vars.PRIVATE_RUNNER || 'ubuntu-24.04' }}"
    )
    pro = load(DEVOPS / f"{name}.yml")["stages"][-1]["parameters"]
    assert pro["${{ if ne(parameters.privatePool, 'none') }}"] == {"pool": {"name": "${{ parameters.privatePool }}"}}


@pytest.mark.parametrize("part", ["environment", "shared", "workspace", "image", "function-release"])
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
