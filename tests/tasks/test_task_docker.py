"""`docker run` of a step: what may be asked, and what always holds."""

from __future__ import annotations

import pytest

from local.cloud.task_arguments import TaskRefusedError, split_arguments
from local.cloud.task_docker import Ceiling, ContainerRequest, parse_docker_run

CEILING = Ceiling(memory_bytes=1000, pids=100, cpus=2.0)
FLOOR = {"--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges"}


def request(text: str, **environment: str) -> ContainerRequest:
    return parse_docker_run(split_arguments(text), environment, CEILING)


def test_a_bare_run_gets_every_limit() -> None:
    got = request("docker run image command --flag")
    assert (got.image, got.command) == ("image", ("command", "--flag"))
    assert set(got.options) == FLOOR | {"--memory=1000", "--memory-swap=1000", "--pids-limit=100", "--cpus=2"}
    assert got.enforced == got.options


def test_the_log_says_which_limits_the_step_did_not_ask_for() -> None:
    asked = "--read-only --network none --cap-drop ALL --security-opt no-new-privileges --cpus 64 --memory 500b"
    got = request(f"docker run {asked} --memory-swap 500b image")
    assert got.enforced == ("--pids-limit=100", "--cpus=2")


@pytest.mark.parametrize(
    ("asked", "has"),
    [
        ("--memory 500b", "--memory=500"),
        ("-m 500", "--memory=500"),
        ("--memory=1g", "--memory=1000"),
        ("--memory 500b", "--memory-swap=500"),
        ("--memory 500b --memory-swap 700b", "--memory-swap=700"),
        ("--memory 500b --memory-swap 100b", "--memory-swap=500"),
        ("--memory 500b --memory-swap 64g", "--memory-swap=1000"),
        ("--pids-limit 7", "--pids-limit=7"),
        ("--pids-limit 700", "--pids-limit=100"),
        ("--cpus 0.5", "--cpus=0.5"),
        ("--cpus 64", "--cpus=2"),
        ("--cap-drop NET_RAW", "--cap-drop=ALL"),
        ("--security-opt no-new-privileges:true", "--security-opt=no-new-privileges"),
        ("--tmpfs /tmp:size=16m", "--tmpfs=/tmp:size=16m"),
        ("-u 1:1", "--user=1:1"),
        ("-w /srv", "--workdir=/srv"),
        ("--entrypoint ''", "--entrypoint="),
        ("--ulimit nofile=64", "--ulimit=nofile=64"),
        ("-e A=1", "--env=A=1"),
        ("--env=A", "--env=A=from the step"),
        ("--env UNKNOWN", "--env=UNKNOWN="),
    ],
)
def test_an_allowed_option_holds_within_the_ceiling(asked: str, has: str) -> None:
    got = request(f"docker run {asked} image", A="from the step")
    assert has in got.options
    assert set(got.options) >= FLOOR


@pytest.mark.parametrize(
    "option",
    [
        "--privileged",
        "--rm=false",
        "-it",
        "-v /:/host",
        "--volume=/:/host",
        "--mount type=bind,src=/,dst=/host",
        "--device /dev/sda",
        "--cap-add ALL",
        "--pid host",
        "--ipc=host",
        "--env-file /etc/passwd",
        "--volumes-from other",
        "--userns=host",
        "--log-driver json-file",
        "--detach",
        "--network host",
        "--net=bridge",
        "--network none --network host",
        "--security-opt seccomp=unconfined",
        "--pull never",
        "--tmpfs relative",
        "--memory 0",
        "--memory lots",
        "--pids-limit -1",
        "--pids-limit 0",
        "--cpus nan",
        "--user",
    ],
)
def test_an_option_that_reaches_further_is_refused(option: str) -> None:
    text = f"docker run {option}" if option == "--user" else f"docker run {option} image"
    with pytest.raises(TaskRefusedError):
        request(text)


@pytest.mark.parametrize(
    "text", ["docker", "docker ps", "docker build .", "docker container run image", "podman run image"]
)
def test_another_command_is_refused(text: str) -> None:
    with pytest.raises(TaskRefusedError, match="only 'docker run'"):
        request(text)


def test_a_run_without_an_image_is_refused() -> None:
    with pytest.raises(TaskRefusedError, match="at least 1 argument"):
        request("docker run --rm")


def test_options_after_the_image_belong_to_the_command() -> None:
    got = request("docker run --rm image --privileged -v /:/host")
    assert got.command == ("--privileged", "-v", "/:/host")


def test_a_name_is_taken_and_not_used_for_two_runs_may_ask_for_the_same() -> None:
    assert not [option for option in request("docker run --name mine image").options if "mine" in option]
