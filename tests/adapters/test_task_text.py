"""The task says what was meant, whatever the arguments: read back by the rules of the agent, and by a shell."""

from __future__ import annotations

import dataclasses
import shlex

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.cloud.task_yaml import RunVariables, parse_task
from tidegate.adapters.registry.task_text import limits, task_text
from tidegate.errors import PermanentError
from tidegate.flows.images.image_gate import ImageTest
from tidegate.references import ImageRef

IMAGE = ImageRef("contosostaging", "training/litter", "sha256:" + "ab" * 32)
NAME = f"contosostaging.azurecr.io/training/litter@{IMAGE.digest}"
TEST = ImageTest("acr-task", ("pytest", "-q"), 300, 1.5, 2**30, 2**20, (("MODE", "a b"),), 3)
RUN = RunVariables(run_id="ca1", registry="contosostaging.azurecr.io")

WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp"))) | st.sampled_from(
    ["", "$Registry", "$$", "{{.Run.ID}}", "it's", 'a"b', "\\", "a\\ b", "\n", "; rm -rf /", "-x", "#", "'\"'\\\"", "%"]
)


def test_the_image_under_test_is_shut_in() -> None:
    (step,) = parse_task(task_text(IMAGE, TEST), RUN)
    text = " ".join(step.arguments)
    assert step.arguments[:2] == ("docker", "run")
    assert step.timeout_s == 300
    for part in (
        "--rm --network none --read-only",
        "--tmpfs /tmp:rw,noexec,nosuid,nodev,size=1048576",
        "--cap-drop all --security-opt no-new-privileges --pids-limit 256",
        "--memory 1073741824 --memory-swap 1073741824 --cpus 1.5",
    ):
        assert part in text
    for forbidden in ("--privileged", "--volume", "-v", "--mount", "/var/run/docker.sock", "--device"):
        assert forbidden not in step.arguments


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(st.lists(WORDS, max_size=5), WORDS)
def test_arguments_arrive_as_they_are(command: list[str], value: str) -> None:
    test = dataclasses.replace(TEST, command=tuple(command), environment=(("V", value),))
    (step,) = parse_task(task_text(IMAGE, test), RUN)
    assert step.arguments == ("docker", "run", *limits(test), NAME, *command)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(WORDS, max_size=5))
def test_a_shell_would_read_the_same_arguments(command: list[str]) -> None:
    test = dataclasses.replace(TEST, command=tuple(command))
    line = yaml.safe_load(task_text(IMAGE, test).replace("{{.Run.Registry}}", RUN.registry))["steps"][0]["cmd"]
    assert shlex.split(line) == ["docker", "run", *limits(test), NAME, *command]


def test_an_empty_command_leaves_the_images_own() -> None:
    (step,) = parse_task(task_text(IMAGE, dataclasses.replace(TEST, command=())), RUN)
    assert step.arguments[-1] == NAME


@pytest.mark.parametrize("word", ["a\0b", "a\rb", "\x1b[31m", "\u2028", "\ud800"])
def test_a_character_that_a_task_cannot_keep_is_refused(word: str) -> None:
    with pytest.raises(PermanentError, match="which a task cannot keep"):
        task_text(IMAGE, dataclasses.replace(TEST, command=(word,)))


@pytest.mark.parametrize("name", ["", "A=B", "A B", "1A", "--env"])
def test_a_name_that_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(PermanentError, match="not a name of an environment variable"):
        task_text(IMAGE, dataclasses.replace(TEST, environment=((name, "x"),)))
