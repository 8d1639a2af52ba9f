"""A pipeline job as a job that was never submitted: the same nodes, inputs and settings under another name.

azure-ai-ml reads a pipeline as objects that it cannot send back (components are resolved to ids, bindings to objects), so what
is copied is the resource itself, with `sourceJobId` as the service has it for this. Azure ML takes over the outputs of steps that
completed with the same component and inputs, unless `force_rerun` is set: a copy goes on where the first one broke off
(azure-docs, pipeline steps and reuse; unverified on live Azure).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tidegate.adapters.machine_learning.job_resource import origin
from tidegate.errors import PermanentError
from tidegate.flows.base import Pairs

_KEPT = (
    "jobType",
    "displayName",
    "description",
    "experimentName",
    "computeId",
    "componentId",
    "identity",
    "inputs",
    "jobs",
    "settings",
)
"""What whoever submitted the pipeline said; the rest is the service's, or of the one run."""

_COMPUTES = ("computeId", "compute", "default_compute")


def copy(resource: Mapping[str, Any], moves: Pairs, tags: Pairs) -> dict[str, Any]:
    """Body of the PUT. `moves`: (compute, compute instead of it). PermanentError: it is no pipeline with nodes."""
    known = resource.get("properties")
    if not isinstance(known, dict) or not known.get("jobs"):
        raise PermanentError(f"run {resource.get('name')}: its steps cannot be read")
    properties = {name: known[name] for name in _KEPT if known.get(name) is not None}
    properties["jobs"] = {name: _moved(node, moves) for name, node in known["jobs"].items()}
    if "computeId" in properties:
        properties["computeId"] = _instead(properties["computeId"], moves)
    if settings := known.get("settings"):
        properties["settings"] = _moved(settings, moves)
    properties["outputs"] = {name: value for name, value in (known.get("outputs") or {}).items() if _is_given(value)}
    properties["tags"] = {**(known.get("tags") or {}), **dict(tags)}
    properties["properties"] = origin(known.get("properties"))
    properties["sourceJobId"] = resource.get("id")
    return {"properties": properties}


def _moved(node: Any, moves: Pairs) -> Any:
    if not isinstance(node, dict):
        return node
    moved = {name: _instead(value, moves) if name in _COMPUTES else value for name, value in node.items()}
    if isinstance(inner := node.get("jobs"), dict):  # a pipeline within the pipeline
        moved["jobs"] = {name: _moved(each, moves) for name, each in inner.items()}
    return moved


def _instead(compute: Any, moves: Pairs) -> Any:
    """The same spelling (an ARM id, `azureml:<name>` or a bare name) with another name at its end; Azure ignores their case."""
    if not isinstance(compute, str):
        return compute
    name = re.split("[/:]", compute)[-1]
    instead = {old.lower(): new for old, new in moves}.get(name.lower(), name)
    return f"{compute.removesuffix(name)}{instead}"


def _is_given(output: Any) -> bool:
    """Whether a person said where it goes: the places that the service makes up are of the one run."""
    return isinstance(output, dict) and bool(output.get("uri"))
