"""Read the `docker run` of a task step, refuse what could reach this machine, and add the limits that always hold."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence

from local.cloud.task_arguments import TaskRefusedError

_FLAGS = {"--rm": "--rm", "--read-only": "--read-only"}
_OPTIONS = {
    "--network": "--network",
    "--net": "--network",
    "--tmpfs": "--tmpfs",
    "--cap-drop": "--cap-drop",
    "--security-opt": "--security-opt",
    "--pids-limit": "--pids-limit",
    "--memory": "--memory",
    "-m": "--memory",
    "--memory-swap": "--memory-swap",
    "--cpus": "--cpus",
    "--user": "--user",
    "-u": "--user",
    "--env": "--env",
    "-e": "--env",
    "--entrypoint": "--entrypoint",
    "--platform": "--platform",
    "--workdir": "--workdir",
    "-w": "--workdir",
    "--pull": "--pull",
    "--ulimit": "--ulimit",
    "--stop-timeout": "--stop-timeout",
    "--name": "--name",
}
_PASSED_ON = frozenset({"--tmpfs", "--user", "--entrypoint", "--workdir", "--ulimit", "--stop-timeout"})
_UNITS = {"b": 1, "": 1, "k": 2**10, "m": 2**20, "g": 2**30}


@dataclasses.dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that one container may use, whatever its task asks for."""

    memory_bytes: int = 2 * 2**30
    pids: int = 512
    cpus: float = dataclasses.field(default_factory=lambda: float(min(2, os.cpu_count() or 1)))


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerRequest:
    """A container that a step wants, within the ceiling."""

    image: str
    command: tuple[str, ...]
    options: tuple[str, ...]
    """Options of `run` for this container, limits included; the same for Podman and Docker."""
    platform: str | None
    enforced: tuple[str, ...]
    """Limits that the step did not ask for, or not so low; for the log."""


def parse_docker_run(arguments: Sequence[str], environment: Mapping[str, str], ceiling: Ceiling) -> ContainerRequest:
    """The request of `docker run ...`; TaskRefusedError for another command, or for an option that is not on the list.

    `--network none`, no capability, no new privileges, a read-only root and limits of memory, processes and processors
    hold for every container, because the image is strange code and this machine is somebody's own.
    """
    match list(arguments):
        case ["docker", "run", *rest]:
            options, image_and_command = _split(rest)
        case [first, *_]:
            raise TaskRefusedError(f"the stand-in runs only 'docker run' steps, and this one begins with {first!r}")
        case _:
            raise TaskRefusedError("the step has no command")
    if not image_and_command:
        raise TaskRefusedError('"docker run" requires at least 1 argument')
    image, *command = image_and_command
    for name, value in options:
        _check(name, value)
    asked = dict(options)
    limits, enforced = _limits(asked, ceiling)
    passed = [f"{name}={value}" for name, value in options if name in _PASSED_ON]
    variables = [f"--env={_variable(value, environment)}" for name, value in options if name == "--env"]
    return ContainerRequest(image, tuple(command), (*limits, *passed, *variables), asked.get("--platform"), enforced)


def _split(rest: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """(options with their full names, image and command); options end at the first word that is none, as in docker."""
    options: list[tuple[str, str]] = []
    words = iter(rest)
    for word in words:
        if not word.startswith("-"):
            return options, [word, *words]
        if word == "--":
            return options, [*words]
        flag, equals, value = word.partition("=")
        if flag in _FLAGS and not equals:
            options.append((flag, ""))
        elif flag in _OPTIONS:
            taken = value if equals else next(words, None)
            if taken is None:
                raise TaskRefusedError(f"{flag} needs a value")
            options.append((_OPTIONS[flag], taken))
        else:
            raise TaskRefusedError(f"the stand-in does not allow 'docker run {word}'")
    return options, []


def _check(name: str, value: str) -> None:
    match name:
        case "--network" if value != "none":
            raise TaskRefusedError(f"the stand-in allows --network none only, not {value!r}")
        case "--security-opt" if value not in {"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}:
            raise TaskRefusedError(f"the stand-in allows --security-opt no-new-privileges only, not {value!r}")
        case "--pull" if value not in {"always", "missing"}:
            raise TaskRefusedError(f"--pull {value}: an agent starts without images, so it is 'always' or 'missing'")
        case "--tmpfs" if not value.startswith("/"):
            raise TaskRefusedError(f"--tmpfs {value!r} is no absolute path")
        case _:
            pass


def _limits(asked: Mapping[str, str], ceiling: Ceiling) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(options of every container, those of them that the step did not ask for or not so low)."""
    memory = _bytes("--memory", asked.get("--memory"))
    swap = _bytes("--memory-swap", asked.get("--memory-swap"))
    pids = _positive("--pids-limit", asked.get("--pids-limit"))
    cpus = _positive("--cpus", asked.get("--cpus"))
    held = min(memory or ceiling.memory_bytes, ceiling.memory_bytes)
    numbers = {
        "--memory": (memory, held),
        # Memory and swap together: no more than the memory, unless the step asked for some and the ceiling has room.
        "--memory-swap": (swap, max(held, min(swap or held, ceiling.memory_bytes))),
        "--pids-limit": (pids, min(pids or ceiling.pids, ceiling.pids)),
        "--cpus": (cpus, min(cpus or ceiling.cpus, ceiling.cpus)),
    }
    fixed = ("--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    options = (*fixed, *(f"{name}={value:.15g}" for name, (_, value) in numbers.items()))

    def as_asked(option: str) -> bool:
        name = option.partition("=")[0]
        return name in asked and (name not in numbers or numbers[name][0] == numbers[name][1])

    return options, tuple(option for option in options if not as_asked(option))


def _variable(value: str, environment: Mapping[str, str]) -> str:
    """`NAME` alone takes the step's value, as docker takes its client's; never this process's."""
    name, equals, _ = value.partition("=")
    return value if equals else f"{name}={environment.get(name, '')}"


def _bytes(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    size = re.fullmatch(r"(\d+)([bkmg]?)", text.lower())
    if size is None or int(size[1]) == 0:
        raise TaskRefusedError(f"{option} {text!r} is no size")
    return int(size[1]) * _UNITS[size[2]]


def _positive(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) == 0:
        raise TaskRefusedError(f"{option} {text!r} is no number above zero")
    return float(text)
