"""From `models` of `gates.yaml` to the gates of models: every key but those of stages, its rule and its default."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Literal

from tidegate.flows.models.model_gate import MetricRule, ModelGate, ModelRequirements, Serving, Stage
from tidegate.flows.models.record_keys import endpoint_key
from tidegate.gates import alert_values, model_values, values
from tidegate.gates.cursor import Cursor
from tidegate.gates.globs import model_glob
from tidegate.gates.matching import ModelMatch, ModelRule
from tidegate.gates.model_defaults import DEFAULT_REQUIREMENTS, SAMPLES
from tidegate.gates.sections import pairs, section, value
from tidegate.gates.stage_loading import stage

# The keys of each mapping, in the order the documentation has them.
MODEL_KEYS = ("name", "match", "require", "serve", "registry", "stages")
MODEL_MATCH_KEYS = ("model", "tags")
MODEL_REQUIRE_KEYS = ("tags", "lineage", "metrics", "max_size")
METRIC_KEYS = ("at_least", "at_most", "tolerance")
SERVE_KEYS = ("image", "script", "samples", "environment")

LINEAGE: tuple[Literal["run", "image", "data"], ...] = ("run", "image", "data")


def models(cursor: Cursor) -> tuple[ModelRule, ...]:
    """The gates in their order; what is faulty is noted, and the load fails."""
    placed: list[tuple[Cursor, Stage]] = []
    rules = [(item, rule) for item in cursor.items() if (rule := _rule(item, placed))]
    _check_names([(item, rule.gate.name) for item, rule in rules])
    _check_reachable(rules)
    _check_endpoints(placed)
    return tuple(rule for _, rule in rules)


def version_of(gate: ModelGate) -> str:
    """12 hex digits that change with every setting that changes what passing the gate means, and with nothing else."""
    meaning = dataclasses.asdict(gate)
    del meaning["name"], meaning["version"]
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _rule(cursor: Cursor, placed: list[tuple[Cursor, Stage]]) -> ModelRule | None:
    keys = section(cursor, MODEL_KEYS, required=("name", "match", "serve", "stages"))
    name = value(keys, "name", lambda key: key.parsed(values.slug), "")
    match = value(keys, "match", _match, None)
    require = value(keys, "require", _requirements, DEFAULT_REQUIREMENTS)
    serve = value(keys, "serve", _serving, None)
    registry = value(keys, "registry", lambda key: key.parsed(model_values.ml_registry), "")
    stages = _stages(keys["stages"]) if "stages" in keys else []
    placed += stages
    if not name or match is None or serve is None or not stages:
        return None
    gate = ModelGate(name, "", require, serve, registry, tuple(each for _, each in stages))
    return ModelRule(match, dataclasses.replace(gate, version=version_of(gate)))


def _match(cursor: Cursor) -> ModelMatch | None:
    keys = section(cursor, MODEL_MATCH_KEYS, required=("model",))
    names = keys["model"].one_or_each(model_glob) if "model" in keys else ()
    tags = pairs(keys["tags"], alert_values.name_pattern, alert_values.name_pattern) if "tags" in keys else ()
    return ModelMatch(names, tags) if names else None


def _requirements(cursor: Cursor) -> ModelRequirements:
    keys = section(cursor, MODEL_REQUIRE_KEYS)
    default = DEFAULT_REQUIREMENTS
    return ModelRequirements(
        tags=value(keys, "tags", lambda key: tuple(sorted(key.each(alert_values.name_pattern))), default.tags),
        lineage=value(keys, "lineage", _lineage, default.lineage),
        metrics=value(keys, "metrics", _metrics, default.metrics),
        max_size=value(
            keys, "max_size", lambda key: key.quantity(values.size("1Ki", "1024Gi"), "a size such as 512Mi"), 0
        ),
    )


def _lineage(cursor: Cursor) -> tuple[Literal["run", "image", "data"], ...]:
    chosen = [item.choice(LINEAGE) for item in cursor.items()]
    return tuple(word for word in LINEAGE if word in chosen)


def _metrics(cursor: Cursor) -> tuple[MetricRule, ...]:
    rules = []
    for _, key, rules_of_one in cursor.entries():
        name = key.parsed(alert_values.name_pattern)
        rule = _metric(rules_of_one, name or "")
        if name is not None and rule is not None:
            rules.append(rule)
    return tuple(sorted(rules, key=lambda rule: rule.name))


def _metric(cursor: Cursor, name: str) -> MetricRule | None:
    """A metric with its bounds; which one it has says whether more or less is better."""
    keys = section(cursor, METRIC_KEYS)
    at_least, at_most, tolerance = (value(keys, key, _bound, None) for key in METRIC_KEYS)
    if cursor.kind == "map" and not keys.keys() & {"at_least", "at_most"}:
        cursor.fault("needs at_least or at_most, which also says whether more or less is better")
        return None
    if at_least is not None and at_most is not None and at_least > at_most:
        keys["at_most"].fault(f"{at_most:g} is less than at_least, {at_least:g}")
    if tolerance is not None and tolerance < 0:
        keys["tolerance"].fault("how much worse than the champion's it may be is not negative")
    if "tolerance" in keys and {"at_least", "at_most"} <= keys.keys():
        keys["tolerance"].fault("needs one bound, not two: with two, neither more nor less is better")
    return MetricRule(name, at_least, at_most, tolerance)


def _bound(cursor: Cursor) -> float | None:
    return cursor.quantity(model_values.bound, "a number")


def _serving(cursor: Cursor) -> Serving | None:
    keys = section(cursor, SERVE_KEYS, required=("image",))
    image = value(keys, "image", lambda key: key.parsed(model_values.image), "")
    serving = Serving(
        image=image,
        script=value(keys, "script", lambda key: key.parsed(model_values.path), ""),
        samples=value(keys, "samples", lambda key: key.parsed(model_values.path), SAMPLES),
        environment=value(keys, "environment", lambda key: pairs(key, values.variable, values.one_line), ()),
    )
    return serving if image else None


def _stages(cursor: Cursor) -> list[tuple[Cursor, Stage]]:
    stages = [(item, read) for item in cursor.items() if (read := stage(item))]
    _check_names([(item, read.name) for item, read in stages])
    return stages


def _check_names(found: list[tuple[Cursor, str]]) -> None:
    """A name is how logs, records and people tell them apart."""
    first: dict[str, Cursor] = {}
    for cursor, name in found:
        earlier = first.setdefault(name, cursor)
        if earlier is not cursor:
            cursor.fault(f"the name {name!r} is already the name of {earlier.field} on line {earlier.line}")


def _check_reachable(rules: list[tuple[Cursor, ModelRule]]) -> None:
    """The first match wins, so a gate behind one that takes all of its models is a mistake."""
    for place, (cursor, rule) in enumerate(rules):
        for earlier, other in rules[:place]:
            if other.match.covers(rule.match):
                name = f"{other.gate.name!r} on line {earlier.line}"
                cursor.fault(f"never reached: {name} matches all of its models first; put this gate before it")
                break


def _check_endpoints(placed: list[tuple[Cursor, Stage]]) -> None:
    """An endpoint has one champion; two stages would take it from each other."""
    first: dict[str, Cursor] = {}
    for cursor, placed_stage in placed:
        if placed_stage.release is not None:
            continue
        earlier = first.setdefault(endpoint_key(placed_stage.target), cursor)
        if earlier is not cursor:
            name = placed_stage.target.endpoint
            cursor.fault(f"the endpoint {name!r} is already that of {earlier.field} on line {earlier.line}")
