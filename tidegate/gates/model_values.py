"""The text of single values of `models`: each function returns the value, or raises ValueError with the rule and an example."""

from __future__ import annotations

import math
import re

from tidegate import references
from tidegate.errors import MalformedEvent
from tidegate.flows.models.model_gate import Freeze, TrafficStep, WorkspaceRef
from tidegate.gates.problems import shown

WEEK = 7 * 24 * 60
"""Minutes."""
MOST_MIRRORED = 50
"""Percent; more is refused by the service (azure-rest-api-specs, mirrorTraffic: values sum to at most 50)."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01][0-9]|2[0-3]):([0-5][0-9])"
_FREEZE = re.compile(rf"{_DAY} - {_DAY}", re.IGNORECASE)
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")
_STEP = re.compile(r"(?:(mirror) +)?([1-9][0-9]{0,2})%")
_LATENCY = re.compile(r"([1-9][0-9]{0,5})(ms|s)")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_ENDPOINT = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")  # azure docs: 3-32 characters, unique in the region
_COMPUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,15}")  # azure-ai-ml: the name of an attached cluster
_INSTANCE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_ML_REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}")  # azure-rest-api-specs, registryName
_SUBSCRIPTION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_GROUP = re.compile(r"[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]")
_PATH = re.compile(r"(?!/)(?:[A-Za-z0-9._-]+/)*[A-Za-z0-9._-]+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
_TWO_PARTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}/[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
_NUMBERED = re.compile(r"[1-9][0-9]{0,9}")
_WORKFLOW = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.ya?ml")
_REF = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


def share(text: str) -> float:
    """A percentage as a number from 0 to 1."""
    found = _PERCENT.fullmatch(text)
    if not found or float(found[1]) > 100:
        raise ValueError(f"{shown(text)} is not a percentage from 0% to 100%, for example 10%")
    return float(found[1]) / 100


def step(text: str) -> TrafficStep:
    """`10%`, or `mirror 10%`."""
    found = _STEP.fullmatch(text)
    if not found or int(found[2]) > 100:
        raise ValueError(f"{shown(text)} is not a step; write a whole percentage such as 10%, or mirror 10%")
    if found[1] and int(found[2]) > MOST_MIRRORED:
        raise ValueError(f"{shown(text)}: at most {MOST_MIRRORED}% of the traffic can be mirrored")
    return TrafficStep(int(found[2]), mirror=bool(found[1]))


def latency(text: str) -> float:
    """Seconds."""
    found = _LATENCY.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a latency; write a number and ms or s, for example 200ms")
    return int(found[1]) / (1000 if found[2] == "ms" else 1)


def bound(text: str) -> float:
    """A bound of a metric: any finite number, negative ones too."""
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"{shown(text)} is not a number")
    return float(text)


def freeze(text: str) -> Freeze:
    """A time of every week, in UTC; its end is the first minute after it."""
    found = _FREEZE.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a time of the week in UTC, for example Fri 16:00 - Mon 08:00")
    start, end = (_minute(*found.groups()[place : place + 3]) for place in (0, 3))
    if start == end:
        raise ValueError(f"{shown(text)} begins when it ends; write two different times")
    return Freeze(start, end)


def _minute(day: str, hour: str, minute: str) -> int:
    return (_DAYS.index(day.lower()) * 24 + int(hour)) * 60 + int(minute)


def workspace(text: str) -> WorkspaceRef:
    """`[[subscription/]resource-group/]workspace`."""
    *place, name = text.split("/")
    group, subscription = (place[-1] if place else ""), (place[0] if len(place) == 2 else "")
    try:
        name = references.workspace(name, "workspace")
    except MalformedEvent:
        name = ""
    good = (
        name and (not place or _GROUP.fullmatch(group)) and (not subscription or _SUBSCRIPTION.fullmatch(subscription))
    )
    if not good or len(place) > 2 or (len(place) == 2 and not subscription):
        raise ValueError(f"{shown(text)} is not a workspace; write [[subscription-id/]resource-group/]name")
    return WorkspaceRef(name, group.lower(), subscription.lower())


def endpoint(text: str) -> str:
    return _full(_ENDPOINT, text, "the name of an endpoint: 3 to 32 lower-case letters, digits and -, a letter first")


def compute(text: str) -> str:
    return _full(_COMPUTE, text, "the name of an attached cluster: 2 to 16 letters, digits and -, a letter first")


def instance_type(text: str) -> str:
    return _full(_INSTANCE, text, "an instance type, for example Standard_DS2_v2")


def ml_registry(text: str) -> str:
    """An empty one is none."""
    return text and _full(_ML_REGISTRY, text, "the name of an Azure ML registry: 3 to 33 letters, digits, - and _")


def image(text: str) -> str:
    """An image of the healthy registry, which is not named."""
    repository, at, digest = text.partition("@")
    try:
        if at:
            references.digest(digest, "image")
        else:
            repository, _, tag = text.rpartition(":")
            references.tag(tag, "image")
        references.repository(repository, "image")
    except MalformedEvent:
        rule = "an image of the healthy registry; write repository:tag or repository@sha256:..., without the registry"
        raise ValueError(f"{shown(text)} is not {rule}") from None
    return text


def path(text: str) -> str:
    if ".." in text.split("/"):
        raise ValueError(f"{shown(text)} leads out of the artefact")
    return _full(_PATH, text, "a path in the artefact, for example scoring/score.py")


def name(text: str) -> str:
    return _full(_NAME, text, "a name: letters, digits, _ . and -, a letter first")


def role(text: str) -> str:
    return _full(_NAME, text, "the value of an app role, for example Approver.pro")


def project(text: str) -> str:
    return _full(_TWO_PARTS, text, "a project; write organization/project, or owner/repository for GitHub")


def definition(text: str) -> str:
    return _full(_NUMBERED, text, "the number of a pipeline, for example 12")


def workflow(text: str) -> str:
    return _full(_WORKFLOW, text, "the file name of a workflow, for example deliver.yml")


def ref(text: str) -> str:
    return _full(_REF, text, "the name of a branch, for example main")


def _full(rule: re.Pattern[str], text: str, what: str) -> str:
    if not rule.fullmatch(text):
        raise ValueError(f"{shown(text)} is not {what}")
    return text
