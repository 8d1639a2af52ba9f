"""The text of an ACR task that runs one image, shut in: a `docker run` beside the agent, quoted for whoever splits it.

The agent (public source: Azure/acr-builder) gives the container of a step its Docker socket and the registry's
credentials. So the image under test is never a step: the step is the Docker command line, and starts the image.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from tidegate.errors import PermanentError
from tidegate.flows.images.image_gate import ImageTest
from tidegate.references import ImageRef

PIDS = 256
"""Processes and threads the image may have at once."""

STEP = "test"
"""Id of the task's one step."""

_LOST = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
"""Characters that YAML or a command line does not keep."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def task_text(image: ImageRef, test: ImageTest) -> str:
    """The YAML. The step's time includes pulling the image. PermanentError: an argument would not arrive unchanged.

    `{{.Run.Registry}}` is the login server of the registry that runs the task, whatever its name.
    """
    name = f"{{{{.Run.Registry}}}}/{image.repository}@{image.digest}"
    words = [_quoted(("docker", "run", *limits(test))), name, _quoted(test.command)]
    command = " ".join(word for word in words if word)
    return f'version: v1.1.0\nsteps:\n  - id: {STEP}\n    cmd: "{command}"\n    timeout: {test.timeout}\n'


def limits(test: ImageTest) -> Sequence[str]:
    """Options of `docker run`: nothing of the image's surroundings, and a bound on everything it can use up."""
    options = ["--rm", "--network", "none", "--read-only"]
    options += ["--tmpfs", f"/tmp:rw,noexec,nosuid,nodev,size={test.tmp}"]  # noqa: S108  the container's own
    options += ["--cap-drop", "all", "--security-opt", "no-new-privileges", "--pids-limit", str(PIDS)]
    options += ["--memory", str(test.memory), "--memory-swap", str(test.memory), "--cpus", f"{test.cpu:g}"]
    for name, value in test.environment:
        if not _VARIABLE.match(name):
            raise PermanentError(f"gate: {name!a} is not a name of an environment variable")
        options += ["--env", f"{name}={value}"]
    return options


def _quoted(words: Sequence[str]) -> str:
    """Words as a command line inside a double-quoted YAML scalar.

    Single quotes mean the same to the agent's splitter and to the `sh -c` of its older versions. `$`, `{` and `}` are
    written as YAML escapes, because the agent expands aliases and templates in the text before it reads the YAML.
    """
    for word in words:
        lost = _LOST.search(word)
        if lost:
            raise PermanentError(f"gate: argument {word[:80]!a} holds {lost[0]!a}, which a task cannot keep")
    return "".join(_escaped(" ".join(shlex.quote(word) for word in words)))


def _escaped(text: str) -> Iterator[str]:
    for character in text:
        code = ord(character)
        if 0x20 <= code < 0x7F and character not in '"\\${}':
            yield character
        else:
            yield f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
