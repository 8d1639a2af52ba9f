"""Every `az` command of the scripts and pipelines, held against the parser of the real az command line."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from infra.scripts import environments, preflight, traffic
from tests.infra.conftest import INFRA, ROOT
from tests.infra.fake_az import install, run
from tests.infra.test_pipeline_rights import ASKED

pytestmark = pytest.mark.azure_cli

PYTHON = ROOT / ".tools/azure-cli/bin/python"
SCRIPTS = INFRA / "scripts"


INDEX = ROOT / "build" / "az"
"""Where az keeps its list of commands, which takes seconds to make."""


def complaints(commands: Sequence[Sequence[str]]) -> dict[str, str]:
    assert PYTHON.exists(), "the az command line is not installed: make setup-az"
    program = [str(PYTHON), "-W", "ignore", str(ROOT / "tests" / "infra" / "az_parser.py")]
    done = subprocess.run(
        program,
        input=json.dumps([list(each) for each in commands]),
        env={**os.environ, "AZURE_CONFIG_DIR": str(INDEX), "AZURE_CORE_COLLECT_TELEMETRY": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = zip(commands, json.loads(done.stdout), strict=True)
    return {" ".join(command): complaint for command, complaint in found if complaint}


def of_scripts(folder: Path) -> Iterator[list[str]]:
    """What the scripts ask when they run through."""
    left = folder / "left"
    left.write_text("/registries/mlr\n")
    deploy = SCRIPTS / "deploy"
    removal = {"TIDEGATE_YES": "1", "AZ_GROUP": "true", "AZ_LEFT": str(left)}
    azd = {"AZURE_ENV_NAME": "dev", "AZURE_SUBSCRIPTION_ID": "s", "TIDEGATE_OPERATOR_EMAIL": "o", "AZURE_LOCATION": "w"}
    for done in (
        run(folder, deploy, "validate", "dev"),
        run(folder, deploy, "what-if", "dev", 'workPackages=["vision"]', AZ_GROUP="true"),
        run(folder, deploy, "destroy", "int", **removal),
        run(folder, SCRIPTS / "release-functions", "dev", folder / "package.zip"),
        run(folder, SCRIPTS / "build-image", "dev", "scoring", "v1.1", "https://github.com/contoso/tidegate"),
        run(folder, SCRIPTS / "compile"),
        run(folder, SCRIPTS / "azd-hooks", "preprovision", **azd),
    ):
        assert done.code == 0, done.error
        yield from done.arguments
        # `deploy` goes on to this after preflight, which finds something wherever `az` is not Azure's.
        for each in done.arguments:
            if each[:3] == ["deployment", "sub", "validate"]:
                yield [*each[:2], "create", *each[3:-2], "--query", "properties.outputs", "--output", "json"]


def of_programs() -> Iterator[list[str]]:
    """What preflight and the look at the traffic ask, of an environment that is there and of a new one."""
    environment = environments.read("pro", given=["trainingGpuJob=true", "trainingImage=i", "existingNetworkId=/v"])
    attached = "/subscriptions/s/resourceGroups/g/providers/p/managedClusters/c"
    environment.parameters.update({"kubernetes": "attach", "existingKubernetesId": attached})
    for is_there in (True, False):
        asked: list[list[str]] = []

        def az(arguments: Sequence[str], is_there: bool = is_there, asked: list[list[str]] = asked) -> object:
            asked.append([*arguments])
            command, text = " ".join(arguments[:2]), " ".join(arguments)
            question = command if command in ASKED else next(each for each in ASKED if each in text)
            return is_there if question == "group exists" else ASKED[question][1]

        list(preflight.problems(environment, az))
        traffic.traffic("g", az)
        yield from asked


def of_pipelines() -> Iterator[list[str]]:
    """What pipelines ask by themselves. `az ml` is an extension, whose parser is not installed here."""
    for path in [*(ROOT / ".github" / "workflows").glob("*.yml"), *(INFRA / "pipelines").rglob("*.yml")]:
        text = path.read_text().replace("\\\n", " ")
        for line in re.findall(r"(?:^|[\s(])az ((?!ml )[a-z][^>&|]*)", text, re.MULTILINE):
            yield shlex.split(re.sub(r"[()]", "_", line.partition("\n")[0]))


def test_the_real_parser_takes_every_command(tmp_path: Path) -> None:
    """Of commands that differ in values alone one is held against it: the parser is slow."""
    every = [*of_scripts(install(tmp_path)), *of_programs(), *of_pipelines()]
    unique = {shape(each): each for each in every}

    assert {each[:3] for each in unique} >= {
        *(("deployment", "sub", "what-if"), ("deployment", "sub", "create"), ("functionapp", "deployment", "source")),
        ("acr", "run", "--resource-group"),
    }
    assert complaints(list(unique.values())) == {}


def shape(command: Sequence[str]) -> tuple[str, ...]:
    """The command's words and the names of its options."""
    words = list(itertools.takewhile(lambda each: re.fullmatch(r"[a-z][a-z-]*", each), command))
    return (*words, *(each for each in command if each.startswith("--")))


TYPOS = {
    "deployment sub validate --name n --template-file f": "required: --location",
    "deployment sub validates --name n": "az has no command",
    "lock delete --ides /l": "unrecognized arguments: --ides",
    "group exists --name g --query [?": "invalid jmespath_type value",
}


def test_a_typo_in_a_command_is_found() -> None:
    found = complaints([each.split() for each in TYPOS])

    assert {command: said for command, said in found.items() if TYPOS[command] not in said} == {}
    assert set(found) == set(TYPOS)
