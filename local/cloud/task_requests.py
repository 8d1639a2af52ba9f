"""The body of `scheduleRun`, checked: what the stand-in does not do is refused, never ignored."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Mapping
from typing import Any

from local.cloud.errors import ArmError

DEFAULT_TIMEOUT_S = 600
"""Documented for runs on demand."""
MOST_TIMEOUT_S = 28800
"""Eight hours. Unverified: no specification at hand names the most."""

_ENCODED = "EncodedTaskRunRequest"
_TYPES = frozenset({_ENCODED, "DockerBuildRequest", "FileTaskRunRequest", "TaskRunRequest"})
_DONE = frozenset({"type", "encodedTaskContent", "values", "timeout", "platform", "agentConfiguration", "credentials"})
"""Properties that have an effect here. `credentials` has none to have: the local registries ask for none."""
_CPU = 2
"""Cores of Azure's default agent."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunRequest:
    """A task to run."""

    task: str
    """The task's YAML, not yet parsed: a faulty one is accepted and its run fails, as on Azure."""
    timeout_s: int
    platform: dict[str, str]
    cpu: int
    """Cores of the agent, for the record: a container has what its limits say."""
    values: dict[str, str]


def run_request(body: Mapping[str, Any]) -> RunRequest:
    """A request, checked; ArmError 400 says what the stand-in or Azure does not take."""
    kind = body.get("type")
    if kind != _ENCODED:
        known = f"'{kind}' is not implemented by the stand-in." if kind in _TYPES else f"'{kind}' is no type of run."
        raise ArmError(400, "InvalidRunRequest", known)
    for name, value in body.items():
        if value and name not in _DONE:
            raise ArmError(400, "InvalidRunRequest", f"'{name}' is not implemented by the stand-in.")
    agent = body.get("agentConfiguration") or {}
    return RunRequest(
        task=_task_text(body.get("encodedTaskContent")),
        timeout_s=_whole("timeout", body.get("timeout", DEFAULT_TIMEOUT_S), MOST_TIMEOUT_S),
        platform=_platform(body.get("platform")),
        cpu=_whole("agentConfiguration.cpu", agent.get("cpu", _CPU), 32),
        values=_values(body),
    )


def _whole(name: str, value: Any, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ArmError(400, "InvalidRunRequest", f"'{name}' is {value!r}; it is from 1 to {most}.")
    return value


def _task_text(encoded: Any) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (TypeError, binascii.Error, UnicodeDecodeError) as error:
        raise ArmError(400, "InvalidRunRequest", "'encodedTaskContent' is not the base64 of a text.") from error


def _platform(raw: Any) -> dict[str, str]:
    platform = raw if isinstance(raw, dict) else {}
    system = str(platform.get("os", "")).lower()
    if system != "linux":
        raise ArmError(400, "InvalidRunRequest", f"'platform.os' is {platform.get('os')!r}; the stand-in runs Linux.")
    return {"os": "linux", "architecture": str(platform.get("architecture", "amd64")).lower()}


def _values(body: Mapping[str, Any]) -> dict[str, str]:
    values = {}
    for entry in body.get("values") or []:
        if entry.get("isSecret"):
            raise ArmError(400, "InvalidRunRequest", "A secret value is not implemented by the stand-in.")
        values[str(entry["name"])] = str(entry["value"])
    return values
