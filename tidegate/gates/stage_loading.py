"""From one of the `stages` of a model gate to the stage: every key, its rule and its default."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Literal

from tidegate.flows.models.model_gate import (
    SHARES_TRAFFIC,
    AnalysisRules,
    ApprovalRules,
    FitRules,
    Freeze,
    Instance,
    ReleasePipeline,
    Stage,
    Target,
    TargetKind,
    TrafficStep,
    WorkspaceRef,
)
from tidegate.gates import alert_values, model_values, values
from tidegate.gates.cursor import Cursor
from tidegate.gates.model_defaults import (
    ALL_AT_ONCE,
    APPROVAL_EXPIRES,
    DEFAULT_ANALYSIS,
    DEFAULT_FIT,
    DEFAULT_SOAK,
    DEFAULT_STEPS,
    NO_INSTANCE,
    PIPELINE_REF,
    PIPELINE_TIMEOUT,
    QUORUM,
)
from tidegate.gates.sections import section, value

# The keys of each mapping, in the order the documentation has them.
SERVED_KEYS = ("endpoint", "target", "instance", "fit", "traffic", "analysis", "soak")
STAGE_KEYS = ("name", "workspace", *SERVED_KEYS, "approval", "freeze", "release")
INSTANCE_KEYS = ("type", "count", "cpu", "memory")
FIT_KEYS = ("memory", "latency", "startup", "size")
ANALYSIS_KEYS = ("window", "requests", "errors", "latency", "slack", "shift", "patience", "expires")
APPROVAL_KEYS = ("quorum", "roles", "expires")
PIPELINE_KEYS = ("project", "pipeline", "ref", "timeout")

TARGETS: tuple[TargetKind, ...] = ("managed", "container-instance", "local")
"""Those that are one word; `kubernetes` needs the name of its compute."""
TARGET_KEYS = ("kubernetes",)
NO_TARGET: tuple[TargetKind | None, str] = (None, "")
PIPELINES: tuple[Literal["azure-devops", "github"], ...] = ("azure-devops", "github")


def stage(cursor: Cursor) -> Stage | None:
    """The stage; None: it is faulty, which is noted, and the load fails."""
    keys = section(cursor, STAGE_KEYS, required=("name", "workspace"))
    name = value(keys, "name", lambda key: key.parsed(values.slug), "")
    workspace = value(keys, "workspace", lambda key: key.parsed(model_values.workspace), None)
    release = value(keys, "release", _release, None)
    approval = value(keys, "approval", lambda key: _approval(key, name), None)
    freezes = _freezes(keys["freeze"]) if "freeze" in keys else ()
    if "release" in keys:
        _check_nothing_served(keys)
        served = _carried_out_elsewhere(workspace, release)
    else:
        served = _served(cursor, keys, workspace)
    if not name or served is None:
        return None
    return dataclasses.replace(served, name=name, approval=approval, freeze=freezes)


def _check_nothing_served(keys: dict[str, Cursor]) -> None:
    for name in SERVED_KEYS:
        if name in keys:
            keys[name].fault("has no effect beside release; the pipeline decides it")


def _carried_out_elsewhere(workspace: WorkspaceRef | None, release: ReleasePipeline | None) -> Stage | None:
    if workspace is None or release is None:
        return None
    target = Target("managed", workspace, "")
    return Stage("", target, NO_INSTANCE, DEFAULT_FIT, ALL_AT_ONCE, DEFAULT_ANALYSIS, 0, release=release)


def _served(cursor: Cursor, keys: dict[str, Cursor], workspace: WorkspaceRef | None) -> Stage | None:
    for name in ("endpoint", "target", "instance"):
        if name not in keys:
            cursor.fault(f"the key {name!r} is missing")
    endpoint = value(keys, "endpoint", lambda key: key.parsed(model_values.endpoint), "")
    kind, compute = value(keys, "target", _target, NO_TARGET)
    instance = _instance(keys["instance"], kind) if "instance" in keys else None
    fit = value(keys, "fit", _fit, DEFAULT_FIT)
    traffic = value(keys, "traffic", lambda key: _traffic(key, kind), None)
    analysis = value(keys, "analysis", _analysis, DEFAULT_ANALYSIS)
    soak = value(keys, "soak", _span, DEFAULT_SOAK)
    if workspace is None or not endpoint or kind is None or instance is None:
        return None
    fit = dataclasses.replace(fit, size=fit.size or instance.memory)
    steps = traffic or (DEFAULT_STEPS if kind in SHARES_TRAFFIC else ALL_AT_ONCE)
    return Stage("", Target(kind, workspace, endpoint, compute), instance, fit, steps, analysis, soak)


def _target(cursor: Cursor) -> tuple[TargetKind | None, str] | None:
    """The kind and the compute."""
    if cursor.kind != "map":
        if cursor.node.value == "kubernetes":
            cursor.fault("kubernetes needs the name of its compute: `target: {kubernetes: COMPUTE}`")
            return None
        return cursor.choice(TARGETS), ""
    keys = section(cursor, TARGET_KEYS, required=TARGET_KEYS)
    compute = value(keys, "kubernetes", lambda key: key.parsed(model_values.compute), "")
    return ("kubernetes", compute) if compute else None


def _instance(cursor: Cursor, kind: TargetKind | None) -> Instance | None:
    keys = section(cursor, INSTANCE_KEYS, required=("cpu", "memory"))
    size = value(keys, "type", lambda key: key.parsed(model_values.instance_type), "")
    count = value(keys, "count", lambda key: key.integer(1, 100), 1)
    cpu = value(keys, "cpu", lambda key: key.number(0.1, 416), 0.0)
    memory = value(keys, "memory", _size("16Mi", "12288Gi"), 0)
    if kind == "managed" and "type" not in keys and cursor.kind == "map":
        cursor.fault("the key 'type' is missing; `target: managed` needs the size of the machine")
    if kind in ("container-instance", "local"):
        if "type" in keys:
            keys["type"].fault(f"has no effect with `target: {kind}`")
        if count > 1:
            keys["count"].fault(f"`target: {kind}` is one replica")
    return Instance(size, count, cpu, memory) if cpu and memory else None


def _fit(cursor: Cursor) -> FitRules:
    keys = section(cursor, FIT_KEYS)
    default = DEFAULT_FIT
    return FitRules(
        memory=value(keys, "memory", _some, default.memory),
        latency=value(keys, "latency", lambda key: key.quantity(model_values.latency, "a latency"), default.latency),
        startup=float(value(keys, "startup", _span, 0) or default.startup),
        size=value(keys, "size", _size("1Ki", "12288Gi"), default.size),
    )


def _traffic(cursor: Cursor, kind: TargetKind | None) -> tuple[TrafficStep, ...] | None:
    """Steps that rise to all of the traffic; a mirror, which gets none, comes first."""
    read = [(item, item.quantity(model_values.step, "a step such as 10%")) for item in cursor.items()]
    steps = [(item, step) for item, step in read if step is not None]
    if len(steps) < len(read) or not steps:
        return None
    for place, (item, step) in enumerate(steps):
        if step.mirror and place:
            item.fault("only the first step can be a mirror")
    live = [(item, step.percent) for item, step in steps if not step.mirror]
    for (_, before), (item, percent) in itertools.pairwise(live):
        if percent <= before:
            item.fault(f"{percent}% does not follow {before}%; steps rise")
    if not live or live[-1][1] != 100 or steps[-1][1].mirror:
        steps[-1][0].fault("the last step must be 100%")
    if kind is not None and kind not in SHARES_TRAFFIC and len(steps) > 1:
        cursor.fault(f"`target: {kind}` cannot divide traffic; write [100%], or leave it out")
    return tuple(step for _, step in steps)


def _analysis(cursor: Cursor) -> AnalysisRules:
    keys = section(cursor, ANALYSIS_KEYS)
    default = DEFAULT_ANALYSIS
    return AnalysisRules(
        window=value(keys, "window", _span, default.window),
        requests=value(keys, "requests", lambda key: key.integer(1, 1_000_000), default.requests),
        errors=value(keys, "errors", _share, default.errors),
        latency=value(keys, "latency", lambda key: key.number(0.1, 100), default.latency),
        shift=value(keys, "shift", _share, default.shift),
        patience=value(keys, "patience", _span, default.patience),
        expires=value(keys, "expires", _span, default.expires),
        slack=value(keys, "slack", lambda key: key.quantity(model_values.latency, "a time"), default.slack),
    )


def _approval(cursor: Cursor, stage_name: str) -> ApprovalRules:
    keys = section(cursor, APPROVAL_KEYS)
    return ApprovalRules(
        quorum=value(keys, "quorum", lambda key: key.integer(1, 10), QUORUM),
        roles=value(keys, "roles", _each(model_values.role), (f"Approver.{stage_name}",)),
        expires=value(keys, "expires", _span, APPROVAL_EXPIRES),
    )


def _freezes(cursor: Cursor) -> tuple[Freeze, ...]:
    found = cursor.each(model_values.freeze)
    if len({minute for each in found for minute in _minutes(each)}) == model_values.WEEK:
        cursor.fault("the whole week is frozen, so the stage never begins")
    return tuple(sorted(found, key=lambda each: (each.start, each.end)))


def _minutes(freeze: Freeze) -> set[int]:
    length = (freeze.end - freeze.start) % model_values.WEEK
    return {(freeze.start + passed) % model_values.WEEK for passed in range(length)}


def _release(cursor: Cursor) -> ReleasePipeline | None:
    keys = section(cursor, PIPELINES)
    if cursor.kind == "map" and len(keys) != 1:
        cursor.fault(f"expected exactly one of {', '.join(PIPELINES)}")
    for kind in PIPELINES:
        if kind in keys:
            return _pipeline(keys[kind], kind)
    return None


def _pipeline(cursor: Cursor, kind: Literal["azure-devops", "github"]) -> ReleasePipeline | None:
    keys = section(cursor, PIPELINE_KEYS, required=("project", "pipeline"))
    project = value(keys, "project", lambda key: key.parsed(model_values.project), "")
    pipeline = value(keys, "pipeline", _definition if kind == "azure-devops" else _workflow, "")
    ref = value(keys, "ref", lambda key: key.parsed(model_values.ref), PIPELINE_REF)
    timeout = value(keys, "timeout", _span, PIPELINE_TIMEOUT)
    return ReleasePipeline(kind, project, pipeline, ref, timeout) if project and pipeline else None


def _definition(cursor: Cursor) -> str | None:
    """A number, which YAML takes for one and people write as one."""
    return cursor.quantity(model_values.definition, "the number of a pipeline")


def _workflow(cursor: Cursor) -> str | None:
    return cursor.parsed(model_values.workflow)


def _some(cursor: Cursor) -> float | None:
    found = _share(cursor)
    if found == 0:
        cursor.fault("nothing fits in 0%")
    return found


def _share(cursor: Cursor) -> float | None:
    return cursor.quantity(model_values.share, "a percentage such as 10%")


def _span(cursor: Cursor) -> int | None:
    return cursor.quantity(alert_values.span, "a duration such as 24h")


def _size(low: str, high: str) -> Callable[[Cursor], int | None]:
    return lambda cursor: cursor.quantity(values.size(low, high), "a size such as 512Mi")


def _each(parse: Callable[[str], str]) -> Callable[[Cursor], tuple[str, ...]]:
    """A list whose order means nothing, sorted, so that another order is the same gate."""
    return lambda cursor: tuple(sorted(cursor.each(parse)))
