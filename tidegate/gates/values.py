"""The text of single values: each function returns the value, or raises ValueError with the rule and an example."""

from __future__ import annotations

import re
from collections.abc import Callable

from tidegate.flows.images.image_gate import IMAGE_INDEXES, IMAGE_MANIFESTS
from tidegate.gates.problems import shown

MEDIA_TYPES = tuple(sorted(IMAGE_MANIFESTS + IMAGE_INDEXES))

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,62}")
_DURATION = re.compile(r"([1-9][0-9]{0,4})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_LONGEST = 8 * 3600  # the longest time a run of ACR Tasks may take
_SIZE = re.compile(r"([1-9][0-9]{0,4})(Ki|Mi|Gi)")
_BYTES = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?=.{{1,255}}\Z){_COMPONENT}(?:/{_COMPONENT})*")
_ARTIFACT_GLOB = re.compile(r"[A-Za-z0-9!#$&^_.+*?/-]{1,255}")
_CLUSTER = re.compile(r"[a-z0-9][a-z0-9_-]{1,32}/[A-Za-z][A-Za-z0-9-]{0,31}")
_ONE_LINE = re.compile(r"[^\0\r\n]*")
_SHELL_WORDS = {"&&", "||", "|", "&", ";", ">", ">>", "<", "2>", "2>&1"}


def slug(text: str) -> str:
    return _full(_SLUG, text, "a name: lower-case letters, digits and -, a letter first, at most 63 characters")


def duration(text: str) -> int:
    """Seconds."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a duration; write a number and s, m or h, for example 90s")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST:
        raise ValueError(f"{shown(text)} is too long; from 1s to 8h")
    return seconds


def size(low: str, high: str) -> Callable[[str], int]:
    """A reader of sizes in bytes between two sizes."""

    def read(text: str) -> int:
        value = _size(text)
        if not _size(low) <= value <= _size(high):
            raise ValueError(f"{shown(text)} is not from {low} to {high}")
        return value

    return read


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a size; write a number and Ki, Mi or Gi, for example 512Mi")
    return int(found[1]) * _BYTES[found[2]]


def one_line(text: str) -> str:
    """Any text that a line of a task file can carry, quotes included."""
    return _full(_ONE_LINE, text, "one line of text; line breaks and NUL cannot be passed on")


def command(text: str) -> tuple[str, ...]:
    """A command as one string, split as a shell splits it. No shell runs it: its operators would be mere arguments."""
    import shlex

    line = one_line(text.strip())
    try:
        arguments = tuple(shlex.split(line))
    except ValueError as error:
        raise ValueError(f"{shown(text)} cannot be split into arguments: {error}") from error
    if not arguments:
        raise ValueError("the command is empty; leave it out to run the image's own")
    if operators := [word for word in arguments if word in _SHELL_WORDS]:
        raise ValueError(f"{operators[0]!r} needs a shell; write a list such as [sh, -c, 'first && second']")
    return arguments


def cluster(text: str) -> str:
    return _full(_CLUSTER, text, "a cluster; write workspace/compute, for example vision/gpu")


def reason(text: str) -> str:
    if not text.strip():
        raise ValueError("the reason is empty; it is kept with every image promoted without a test")
    return one_line(text.strip())


def variable(text: str) -> str:
    return _full(_VARIABLE, text, "the name of an environment variable: letters, digits and _, no digit first")


def label(text: str) -> str:
    return _full(_LABEL, text, "the name of a label, for example org.opencontainers.image.source")


def label_glob(text: str) -> str:
    if not text:
        raise ValueError("the glob is empty; write '*' to accept any value")
    return one_line(text)


def platform(text: str) -> str:
    return _full(_PLATFORM, text, "a platform; write os/architecture[/variant], for example linux/amd64")


def media_type(text: str) -> str:
    if text not in MEDIA_TYPES:
        raise ValueError(f"{shown(text)} is not the media type of an image; allowed: {', '.join(MEDIA_TYPES)}")
    return text


def artifact_glob(text: str) -> str:
    return _full(_ARTIFACT_GLOB, text, "a glob of artifact types, for example application/spdx+json or '*'")


def target(text: str) -> str:
    """A repository name in which `{repository}` stands for the source's."""
    if not _REPOSITORY.fullmatch(text.replace("{repository}", "x")):
        raise ValueError(f"{shown(text)} is not a repository name; write one, or for example approved/{{repository}}")
    return text


def _full(rule: re.Pattern[str], text: str, what: str) -> str:
    if not rule.fullmatch(text):
        raise ValueError(f"{shown(text)} is not {what}")
    return text
