"""Which container engine is found, and what is said when none is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from local.containers import INSTALL, PODMAN_SETTINGS, Engine, EngineMissingError, find_engine


class Machine:
    """A machine with these programs, which answer with (exit status, words)."""

    def __init__(self, **programs: tuple[int, str]) -> None:
        self.programs = programs
        self.environments: list[Mapping[str, str]] = []

    def which(self, name: str) -> str | None:
        return f"/bin/{name}" if name in self.programs else None

    def probe(self, command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        self.environments.append(environment)
        return self.programs[command[0].removeprefix("/bin/")]


PODMAN, DOCKER = (0, "5.2.1\n"), (0, "28.0.1\n")
NO_DAEMON = (1, "28.0.1\nCannot connect to the Docker daemon at unix:///var/run/docker.sock.")


@pytest.mark.parametrize(
    ("environ", "programs", "name", "version"),
    [
        ({}, {"podman": PODMAN, "docker": DOCKER}, "podman", "5.2.1"),
        ({}, {"docker": DOCKER}, "docker", "28.0.1"),
        ({}, {"podman": (125, "broken"), "docker": DOCKER}, "docker", "28.0.1"),
        ({"TIDEGATE_CONTAINER_ENGINE": "docker"}, {"podman": PODMAN, "docker": DOCKER}, "docker", "28.0.1"),
    ],
)
def test_the_engine_that_answers_is_found(
    environ: dict[str, str], programs: dict[str, tuple[int, str]], name: str, version: str
) -> None:
    machine = Machine(**programs)
    engine = find_engine(environ, machine.which, machine.probe)
    assert (engine.name, engine.version, engine.argv[0]) == (name, version, f"/bin/{name}")


@pytest.mark.parametrize(
    ("environ", "programs", "said"),
    [
        ({}, {}, "podman is not installed; docker is not installed"),
        ({}, {"docker": NO_DAEMON}, "docker has no daemon (Cannot connect to the Docker daemon"),
        ({}, {"podman": (125, "one\nError: no storage\n")}, "podman fails (Error: no storage)"),
        ({"TIDEGATE_CONTAINER_ENGINE": "podman"}, {"docker": DOCKER}, "podman is not installed"),
        ({"TIDEGATE_CONTAINER_ENGINE": "rkt"}, {"docker": DOCKER}, "'rkt'; it names podman or docker"),
    ],
)
def test_without_an_engine_one_line_says_what_and_why(
    environ: dict[str, str], programs: dict[str, tuple[int, str]], said: str
) -> None:
    machine = Machine(**programs)
    with pytest.raises(EngineMissingError) as missing:
        find_engine(environ, machine.which, machine.probe)
    message = str(missing.value)
    assert said in message
    assert "\n" not in message
    assert "rkt" in said or INSTALL in message


def test_podman_gets_the_projects_settings_and_reaches_loopback_without_a_proxy() -> None:
    machine = Machine(podman=PODMAN)
    engine = find_engine({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "corp"}, machine.which, machine.probe)
    assert machine.environments == [engine.environment]
    assert engine.environment["CONTAINERS_CONF"] == str(PODMAN_SETTINGS)
    assert engine.environment["NO_PROXY"] == "corp,127.0.0.1,localhost"


def test_a_command_that_fails_or_hangs_is_told(tmp_path: Path) -> None:
    program = tmp_path / "podman"
    program.write_text("#!/bin/sh\ncase $1 in fail) echo broken >&2; exit 7;; esac; exec sleep 60\n")
    program.chmod(0o755)
    engine = Engine("podman", (str(program),), {"PATH": os.environ["PATH"]}, "5")
    with pytest.raises(RuntimeError, match="podman fail ended with 7: broken"):
        engine.run("fail")
    with pytest.raises(RuntimeError, match=r"podman hang took more than 0\.2 s"):
        engine.run("hang", limit_s=0.2)


def test_an_engine_does_not_show_its_environment() -> None:
    machine = Machine(podman=PODMAN)
    assert "canary" not in repr(find_engine({"TOKEN": "canary"}, machine.which, machine.probe))
