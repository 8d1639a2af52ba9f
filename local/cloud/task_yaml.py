"""Read a task's YAML as the agent of ACR Tasks does: aliases, then templates, then steps, then arguments.

The rules are those of Azure's public agent (github.com/Azure/acr-builder) where that shows them. What the stand-in
does not do is refused by name, so a task that passes here has no part that was ignored.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import yaml

from local.cloud.task_arguments import TaskRefusedError, split_arguments

DEFAULT_STEP_TIMEOUT_S = 600
"""The agent's default, for a step that says nothing."""

_ALIAS_VERSION = "v1.1.0"
_TASK_KEYS = frozenset({"version", "steps", "stepTimeout", "env"})
_STEP_KEYS = frozenset({"id", "cmd", "timeout", "env", "when", "ignoreErrors", "disableWorkingDirectoryOverride"})
_STEP_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*")


@dataclasses.dataclass(frozen=True, slots=True)
class RunVariables:
    """What `{{.Run.*}}`, `{{.Values.*}}` and the aliases stand for."""

    run_id: str
    registry: str
    """Login server of the registry that runs the task."""
    os: str = "linux"
    architecture: str = "amd64"
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def named(self) -> dict[str, str]:
        return {
            "Run.ID": self.run_id,
            "Run.Registry": self.registry,
            "Run.RegistryName": self.registry.partition(".")[0],
            "Run.OS": self.os,
            "Run.Architecture": self.architecture,
            **{f"Values.{name}": value for name, value in self.values.items()},
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One command of a task."""

    id: str
    arguments: tuple[str, ...]
    timeout_s: int
    environment: Mapping[str, str]
    """Environment of the step's own container; `docker run --env NAME` takes values from it."""
    ignore_errors: bool = False


def parse_task(text: str, variables: RunVariables) -> tuple[Step, ...]:
    """The task's steps, in order. `when` is satisfied by that order, so it must name earlier steps."""
    try:
        task = yaml.safe_load(_render(_expand_aliases(text), variables))
    except yaml.YAMLError as error:
        raise TaskRefusedError(f"the task is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(task, dict):
        raise TaskRefusedError("the task is not a mapping")
    _refuse_unknown("task", task, _TASK_KEYS)
    steps = task.get("steps")
    if not isinstance(steps, list) or not steps:
        raise TaskRefusedError("the task has no steps")
    step_timeout = _seconds("stepTimeout", task.get("stepTimeout", DEFAULT_STEP_TIMEOUT_S))
    shared = _environment("task", task.get("env"))
    parsed: dict[str, Step] = {}
    for number, raw in enumerate(steps):
        step = _step(number, raw, step_timeout, shared)
        if step.id in parsed:
            raise TaskRefusedError(f"step {step.id}: the id is used twice")
        _check_when(step.id, raw.get("when"), earlier=parsed)
        parsed[step.id] = step
    return tuple(parsed.values())


# Aliases and templates


def _expand_aliases(text: str) -> str:
    """From version v1.1.0 on, `$Registry` and the other predefined aliases become templates, and `$$` becomes `$`.

    An unknown alias is refused: versions of the agent differ in what they leave of the text after one.
    """
    version = re.search(r"^version:\s*[\"']?([^\s\"'#]+)", text, re.MULTILINE)
    if version is None or version[1] < _ALIAS_VERSION:
        return text
    if re.search(r"^alias\s*:", text, re.MULTILINE):
        raise TaskRefusedError("task: the stand-in does not do 'alias'")
    return re.sub(r"\$(\$|[a-zA-Z0-9]*)", _alias, text)


_ALIASES = {"ID", "Registry", "RegistryName", "OS", "Architecture"}


def _alias(match: re.Match[str]) -> str:
    name = match[1]
    if name == "$":
        return "$"
    if name not in _ALIASES:
        raise TaskRefusedError(f"${name}: not an alias that the stand-in knows; a literal dollar sign is $$")
    return f"{{{{.Run.{name}}}}}"


def _render(text: str, variables: RunVariables) -> str:
    known = variables.named()

    def value(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise TaskRefusedError(f"{match[0]}: the stand-in has no such value")
        return known[match[1]]

    rendered = re.sub(r"\{\{-?\s*\.([\w.]+)\s*-?\}\}", value, text)
    left = re.search(r"\{\{.*?\}\}", rendered)
    if left:
        raise TaskRefusedError(f"{left[0]}: the stand-in renders only {{{{.Run.*}}}} and {{{{.Values.*}}}}")
    return rendered


# Steps


def _step(number: int, raw: Any, step_timeout: int, shared: Mapping[str, str]) -> Step:
    if not isinstance(raw, dict):
        raise TaskRefusedError(f"step {number}: not a mapping")
    step_id = raw.get("id", f"acb_step_{number}")
    if not isinstance(step_id, str) or not _STEP_ID.fullmatch(step_id):
        raise TaskRefusedError(f"step {number}: the id {step_id!r} is no name of a container")
    _refuse_unknown(f"step {step_id}", raw, _STEP_KEYS)
    command = raw.get("cmd")
    if not isinstance(command, str):
        raise TaskRefusedError(f"step {step_id}: 'cmd' is missing")
    try:
        arguments = split_arguments(command)
    except TaskRefusedError as error:
        raise TaskRefusedError(f"step {step_id}: {error}") from error
    if not arguments:
        raise TaskRefusedError(f"step {step_id}: 'cmd' is empty")
    timeout = _seconds(f"step {step_id}: timeout", raw.get("timeout", step_timeout))
    environment = {**shared, **_environment(f"step {step_id}", raw.get("env"))}
    return Step(step_id, arguments, timeout, environment, raw.get("ignoreErrors", False) is True)


def _refuse_unknown(where: str, mapping: Mapping[Any, Any], known: frozenset[str]) -> None:
    for key in mapping:
        if key not in known:
            raise TaskRefusedError(f"{where}: the stand-in does not do {key!r}")


def _seconds(where: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise TaskRefusedError(f"{where}: {value!r} is not a number of seconds")
    return value


def _environment(where: str, raw: Any) -> dict[str, str]:
    entries = [] if raw is None else raw
    if not isinstance(entries, list):
        raise TaskRefusedError(f"{where}: 'env' is not a list of NAME=value")
    environment = {}
    for entry in entries:
        name, separator, value = str(entry).partition("=")
        if not separator or not name:
            raise TaskRefusedError(f"{where}: env {entry!r} is not NAME=value")
        environment[name] = value
    return environment


def _check_when(step_id: str, when: Any, earlier: Mapping[str, Step]) -> None:
    for name in [] if when is None else when if isinstance(when, list) else [when]:
        if name != "-" and name not in earlier:
            raise TaskRefusedError(f"step {step_id}: 'when' names {name!r}, which is no earlier step")
