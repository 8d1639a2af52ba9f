"""Find the container engine of this machine, Podman or Docker, with the settings it needs here."""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

PODMAN_SETTINGS = Path(__file__).with_name("containers.conf")
INSTALL = "apt-get install --no-install-recommends podman runc"

_PROBE_LIMIT_S = 30
_LOOPBACK = "127.0.0.1,localhost"


class EngineMissingError(RuntimeError):
    """No usable container engine; the message is one line: what is missing, why, the command that installs it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Engine:
    """A container engine that answered: every call is `[*argv, ...]` with `environment`."""

    name: Literal["podman", "docker"]
    argv: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(repr=False)
    """The whole environment of the call. Loopback registries are reached without a proxy."""
    version: str
    ulimits: tuple[str, ...] = ()
    """`--ulimit` arguments that `run` and `build` need."""

    def command(self, *arguments: str) -> list[str]:
        return [*self.argv, *arguments]

    def run(self, *arguments: str, limit_s: float = 60) -> str:
        """Run to the end and return standard output; a failure is a RuntimeError with what the engine said."""
        try:
            done = subprocess.run(
                self.command(*arguments),
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{self.name} {arguments[0]} took more than {limit_s:g} s") from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-2000:]
            raise RuntimeError(f"{self.name} {arguments[0]} ended with {done.returncode}: {said}")
        return done.stdout


type Probe = Callable[[Sequence[str], Mapping[str, str]], tuple[int, str]]
"""Runs a command in an environment: (exit status, what it said). Never raises for a command that fails."""

type Which = Callable[[str], str | None]


def find_engine(
    environ: Mapping[str, str] = os.environ, which: Which = shutil.which, probe: Probe | None = None
) -> Engine:
    """Podman when it answers, else Docker when its daemon answers. `TIDEGATE_CONTAINER_ENGINE` names one of them.

    A client alone (Debian's `docker` without a daemon) is no engine.
    """
    probe = probe or _probe
    wanted = environ.get("TIDEGATE_CONTAINER_ENGINE", "")
    if wanted not in {"", "podman", "docker"}:
        raise EngineMissingError(f"TIDEGATE_CONTAINER_ENGINE is {wanted!r}; it names podman or docker")
    reasons: list[str] = []
    for find in {"": (_podman, _docker), "podman": (_podman,), "docker": (_docker,)}[wanted]:
        found = find(environ, which, probe)
        if isinstance(found, Engine):
            return found
        reasons.append(found)
    raise EngineMissingError(f"no container engine: {'; '.join(reasons)}. Install one: {INSTALL}")


def _podman(environ: Mapping[str, str], which: Which, probe: Probe) -> Engine | str:
    program = which("podman")
    if program is None:
        return "podman is not installed"
    environment = _environment(environ) | {"CONTAINERS_CONF": str(PODMAN_SETTINGS)}
    argv = (program, *_podman_runtime(which))
    status, said = probe([*argv, "version", "--format", "{{.Client.Version}}"], environment)
    if status:
        return f"podman fails ({_last_line(said)})"
    return Engine("podman", argv, environment, said.strip(), _podman_ulimits())


def _docker(environ: Mapping[str, str], which: Which, probe: Probe) -> Engine | str:
    program = which("docker")
    if program is None:
        return "docker is not installed"
    environment = _environment(environ)
    status, said = probe([program, "version", "--format", "{{.Server.Version}}"], environment)
    if status or not said.strip():
        return f"docker has no daemon ({_last_line(said)})"
    return Engine("docker", (program,), environment, said.strip())


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    no_proxy = ",".join(filter(None, (environ.get("NO_PROXY") or environ.get("no_proxy"), _LOOPBACK)))
    return {**environ, "NO_PROXY": no_proxy, "no_proxy": no_proxy}


def _podman_runtime(which: Which) -> tuple[str, ...]:
    """crun refuses control groups version 1 in their hybrid layout; runc takes every layout."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return () if unified or which("runc") is None else ("--runtime", "runc")


def _podman_ulimits() -> tuple[str, ...]:
    """Podman asks for more than a machine without CAP_SYS_RESOURCE may give, and then no container starts."""
    if sys.platform != "linux":
        return ()  # the engine is in a virtual machine that has its own limits
    limits = (("nofile", resource.RLIMIT_NOFILE, 65536), ("nproc", resource.RLIMIT_NPROC, 10000))
    return tuple(
        f"--ulimit={name}={value}:{value}" for name, kind, most in limits if (value := _hard_limit(kind, most))
    )


def _hard_limit(kind: int, most: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


def _probe(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PROBE_LIMIT_S,
            check=False,
        )
    except OSError as error:
        return 127, str(error)
    except subprocess.TimeoutExpired:
        return 124, f"no answer in {_PROBE_LIMIT_S} s"
    return done.returncode, done.stdout.decode(errors="replace")


def _last_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1].strip()[:200] if lines else "it says nothing"
