"""A task's YAML is read as Azure's agent reads it, and what the stand-in does not do is refused by name."""

from __future__ import annotations

import pytest

from local.cloud.task_arguments import TaskRefusedError
from local.cloud.task_yaml import DEFAULT_STEP_TIMEOUT_S, RunVariables, Step, parse_task

VARIABLES = RunVariables(run_id="ca7", registry="tidegatestaging.azurecr.io", values={"image": "training/litter"})
HEAD = "version: v1.1.0\nsteps:\n"


def steps(text: str) -> tuple[Step, ...]:
    return parse_task(text, VARIABLES)


def command(text: str) -> tuple[str, ...]:
    (step,) = steps(f"{HEAD}  - cmd: {text}\n")
    return step.arguments


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("run $Registry/a", ("run", "tidegatestaging.azurecr.io/a")),
        ("run $RegistryName $ID $OS/$Architecture", ("run", "tidegatestaging", "ca7", "linux/amd64")),
        ("run {{.Run.ID}} {{ .Run.Registry }}", ("run", "ca7", "tidegatestaging.azurecr.io")),
        ("run $Registry/{{.Values.image}}", ("run", "tidegatestaging.azurecr.io/training/litter")),
        ("run $$Registry $$", ("run", "$Registry", "$")),
    ],
)
def test_variables_are_expanded(text: str, arguments: tuple[str, ...]) -> None:
    assert command(text) == arguments


def test_before_version_1_1_an_alias_is_text() -> None:
    (step,) = steps("version: v1.0.0\nsteps:\n  - cmd: run $Registry {{.Run.ID}}\n")
    assert step.arguments == ("run", "$Registry", "ca7")


def test_a_step_has_the_defaults_of_its_task() -> None:
    first, second = steps(
        f"stepTimeout: 30\nenv: [A=1, B=2]\n{HEAD}  - cmd: one\n  - {{id: two, cmd: two, timeout: 5, env: [B=3]}}\n"
    )
    assert first == Step("acb_step_0", ("one",), 30, {"A": "1", "B": "2"})
    assert second == Step("two", ("two",), 5, {"A": "1", "B": "3"})


def test_without_a_timeout_a_step_has_the_agents() -> None:
    (step,) = steps(f"{HEAD}  - cmd: one\n")
    assert step.timeout_s == DEFAULT_STEP_TIMEOUT_S == 600


def test_when_may_name_earlier_steps_only() -> None:
    assert (
        len(steps(f"{HEAD}  - {{id: a, cmd: x}}\n  - {{id: b, cmd: x, when: [a]}}\n  - {{cmd: x, when: ['-']}}\n")) == 3
    )
    with pytest.raises(TaskRefusedError, match="'b', which is no earlier step"):
        steps(f"{HEAD}  - {{id: a, cmd: x, when: [b]}}\n  - {{id: b, cmd: x}}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [", "not YAML"),
        ("just text", "not a mapping"),
        ("version: v1.1.0\n", "no steps"),
        ("steps: []\n", "no steps"),
        (f"{HEAD}  - run\n", "step 0: not a mapping"),
        (f"{HEAD}  - id: a\n", "'cmd' is missing"),
        (f"{HEAD}  - cmd: ' '\n", "'cmd' is empty"),
        (f"{HEAD}  - cmd: say 'x\n", "unterminated"),
        (f"{HEAD}  - build: -t x .\n", "does not do 'build'"),
        (f"{HEAD}  - {{cmd: x, privileged: true}}\n", "does not do 'privileged'"),
        (f"{HEAD}  - {{cmd: x, id: 'a b'}}\n", "no name of a container"),
        (f"{HEAD}  - {{cmd: x, id: a}}\n  - {{cmd: x, id: a}}\n", "used twice"),
        (f"{HEAD}  - {{cmd: x, timeout: 0}}\n", "not a number of seconds"),
        (f"{HEAD}  - {{cmd: x, timeout: '5'}}\n", "not a number of seconds"),
        (f"{HEAD}  - {{cmd: x, env: A=1}}\n", "not a list"),
        (f"{HEAD}  - {{cmd: x, env: [A]}}\n", "not NAME=value"),
        (f"secrets: []\n{HEAD}  - cmd: x\n", "does not do 'secrets'"),
        (f"alias: {{}}\n{HEAD}  - cmd: x\n", "does not do 'alias'"),
        (f"volumes: []\n{HEAD}  - cmd: x\n", "does not do 'volumes'"),
        (f"{HEAD}  - cmd: echo $Home\n", r"\$Home: not an alias"),
        (f"{HEAD}  - cmd: echo {{{{.Values.other}}}}\n", "no such value"),
        (f"{HEAD}  - cmd: echo {{{{ upper .Run.ID }}}}\n", "renders only"),
    ],
)
def test_a_task_is_refused_with_the_part_and_the_fault(text: str, said: str) -> None:
    with pytest.raises(TaskRefusedError, match=said):
        steps(text)
