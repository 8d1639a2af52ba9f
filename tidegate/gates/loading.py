"""From `gates.yaml` to gates: every key, its rule and its default. gates.schema.json says the same to editors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tidegate.flows.base import Pairs
from tidegate.flows.images.image_gate import ImageGate, ImageRequirements, ImageTest, PromotionRules
from tidegate.gates import values
from tidegate.gates.alert_defaults import DEFAULT_ALERTS
from tidegate.gates.alert_loading import alerts
from tidegate.gates.cursor import Cursor
from tidegate.gates.document import read
from tidegate.gates.globs import repository_glob, tag_glob
from tidegate.gates.matching import GateRule, Gates, ImageMatch
from tidegate.gates.model_loading import models
from tidegate.gates.problems import GatesError, shown
from tidegate.gates.sections import pairs, section, value

VERSION = 1

# The keys of each mapping, in the order the documentation has them.
FILE_KEYS = ("version", "images", "models", "alerts")
GATE_KEYS = ("name", "match", "test", "require", "promote")
MATCH_KEYS = ("repository", "tag")
TEST_KEYS = ("runner", "cluster", "command", "timeout", "cpu", "memory", "tmp", "environment", "attempts", "skip")
REQUIRE_KEYS = ("platforms", "non_root", "labels", "max_size", "max_manifests", "media_types")
PROMOTE_KEYS = ("repository", "tags", "lock", "referrers")
REFERRERS_KEYS = ("copy", "require")

RUNNERS: tuple[Literal["acr-task", "azure-ml"], ...] = ("acr-task", "azure-ml")
TAGS: tuple[Literal["immutable", "movable"], ...] = ("immutable", "movable")
LOCKS = ("none", "tag", "manifest", "both")

DEFAULT_TEST = ImageTest(
    runner="acr-task",
    command=(),
    timeout=600,
    cpu=1.0,
    memory=2 * 1024**3,
    tmp=64 * 1024**2,
    environment=(),
    attempts=3,
)
DEFAULT_REQUIREMENTS = ImageRequirements(
    non_root=False,
    labels=(),
    max_size=0,
    max_manifests=50,
    platforms=("linux/amd64",),  # where the tests run: what no test has seen is promoted only if the gate says so
    media_types=values.MEDIA_TYPES,
)
DEFAULT_PROMOTION = PromotionRules(
    repository="{repository}",
    tags="immutable",
    lock_tag=True,
    lock_manifest=False,
    referrers=("*",),
    required_referrers=(),
)


def load(path: str | Path) -> Gates:
    """The gates of the file, or GatesError with every fault in it."""
    root = read(Path(path))
    gates = _gates(root)
    if root.problems:
        raise GatesError(sorted(root.problems, key=lambda problem: (problem.line, problem.column)))
    return gates


def version_of(test: ImageTest, require: ImageRequirements, promote: PromotionRules) -> str:
    """12 hex digits that change with every setting that changes what passing the gate means, and with nothing else."""
    parts = [dataclasses.asdict(part) for part in (test, require, promote)]
    if not test.cluster:
        del parts[0]["cluster"]  # as it was before there were clusters
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _gates(root: Cursor) -> Gates:
    keys = section(root, FILE_KEYS, required=("version", "images"))
    if "version" in keys:
        _check_version(keys["version"])
    cursors = keys["images"].items() if "images" in keys else []
    rules = [(cursor, rule) for cursor in cursors if (rule := _rule(cursor))]
    _check_names(rules)
    _check_reachable(rules)
    return Gates(
        tuple(rule for _, rule in rules),
        value(keys, "alerts", alerts, DEFAULT_ALERTS),
        value(keys, "models", models, ()),
    )


def _check_version(cursor: Cursor) -> None:
    written = cursor.scalar(f"the version of the format, {VERSION}")
    if written is not None and (written, cursor.kind) != (str(VERSION), "int"):
        cursor.fault(f"{shown(written)} is not a version that this release reads; write {VERSION}")


def _rule(cursor: Cursor) -> GateRule | None:
    keys = section(cursor, GATE_KEYS, required=("name", "match"))
    name = value(keys, "name", lambda key: key.parsed(values.slug), "")
    match = value(keys, "match", _match, None)
    test = value(keys, "test", _test, DEFAULT_TEST)
    require = value(keys, "require", _requirements, DEFAULT_REQUIREMENTS)
    promote = value(keys, "promote", _promotion, DEFAULT_PROMOTION)
    if not name or match is None:
        return None
    return GateRule(match, ImageGate(name, version_of(test, require, promote), test, require, promote))


def _match(cursor: Cursor) -> ImageMatch | None:
    keys = section(cursor, MATCH_KEYS, required=("repository",))
    repositories = keys["repository"].one_or_each(repository_glob) if "repository" in keys else ()
    tags = keys["tag"].one_or_each(tag_glob) if "tag" in keys else (tag_glob("*"),)
    return ImageMatch(repositories, tags) if repositories and tags else None


def _test(cursor: Cursor) -> ImageTest:
    if cursor.kind == "str":
        cursor.fault("expected a mapping; to promote without a test, give the reason: `test: {skip: REASON}`")
        return DEFAULT_TEST
    keys = section(cursor, TEST_KEYS)
    if "skip" in keys:
        for name in sorted(keys.keys() - {"skip"}):
            keys[name].fault("has no effect beside skip; remove one of the two")
        return dataclasses.replace(DEFAULT_TEST, skip=keys["skip"].parsed(values.reason) or "")
    default = DEFAULT_TEST
    _check_cluster(cursor, keys)
    return ImageTest(
        runner=value(keys, "runner", _runner, default.runner),
        command=value(keys, "command", _command, default.command),
        timeout=value(keys, "timeout", _duration, default.timeout),
        cpu=value(keys, "cpu", lambda key: key.number(0.1, 32), default.cpu),
        memory=value(keys, "memory", _size("16Mi", "256Gi"), default.memory),
        tmp=value(keys, "tmp", _size("1Mi", "64Gi"), default.tmp),
        environment=value(keys, "environment", _environment, default.environment),
        attempts=value(keys, "attempts", lambda key: key.integer(1, 10), default.attempts),
        cluster=value(keys, "cluster", lambda key: key.parsed(values.cluster), default.cluster),
    )


def _check_cluster(cursor: Cursor, keys: dict[str, Cursor]) -> None:
    """A job runs on a cluster, and has a command; a task has an agent of its own."""
    is_job = "runner" in keys and keys["runner"].node.value == "azure-ml"
    if not is_job and "cluster" in keys:
        keys["cluster"].fault("has an effect only with `runner: azure-ml`")
    for name in ("cluster", "command"):
        if is_job and name not in keys:
            cursor.fault(f"the key {name!r} is missing; `runner: azure-ml` needs it")


def _runner(cursor: Cursor) -> Literal["acr-task", "azure-ml"] | None:
    return cursor.choice(RUNNERS)


def _command(cursor: Cursor) -> tuple[str, ...] | None:
    if cursor.kind == "seq":
        arguments = [item.parsed(values.one_line) for item in cursor.items()]
        return tuple(argument for argument in arguments if argument is not None)
    return cursor.parsed(values.command, "text or a list")


def _environment(cursor: Cursor) -> Pairs:
    return pairs(cursor, values.variable, values.one_line)


def _requirements(cursor: Cursor) -> ImageRequirements:
    keys = section(cursor, REQUIRE_KEYS)
    default = DEFAULT_REQUIREMENTS
    return ImageRequirements(
        non_root=value(keys, "non_root", Cursor.boolean, default.non_root),
        labels=value(keys, "labels", _labels, default.labels),
        max_size=value(keys, "max_size", _size("1Mi", "1024Gi"), default.max_size),
        max_manifests=value(keys, "max_manifests", lambda key: key.integer(1, 50), default.max_manifests),
        platforms=value(keys, "platforms", _each(values.platform), default.platforms),
        media_types=value(keys, "media_types", _each(values.media_type), default.media_types),
    )


def _labels(cursor: Cursor) -> Pairs:
    """Names with the glob of their value, or a list of names that must be there with any value."""
    if cursor.kind == "seq":
        return tuple(sorted((name, "*") for name in cursor.each(values.label)))
    return pairs(cursor, values.label, values.label_glob)


def _promotion(cursor: Cursor) -> PromotionRules:
    keys = section(cursor, PROMOTE_KEYS, later={"approval": "reserved for a later version"})
    default = DEFAULT_PROMOTION
    lock = value(keys, "lock", _lock, "tag")
    referrers = section(keys["referrers"], REFERRERS_KEYS) if "referrers" in keys else {}
    return PromotionRules(
        repository=value(keys, "repository", _target, default.repository),
        tags=value(keys, "tags", _tags, default.tags),
        lock_tag=lock in {"tag", "both"},
        lock_manifest=lock in {"manifest", "both"},
        referrers=value(referrers, "copy", _each(values.artifact_glob, empty=True), default.referrers),
        required_referrers=value(referrers, "require", _each(values.artifact_glob), default.required_referrers),
    )


def _target(cursor: Cursor) -> str | None:
    return cursor.parsed(values.target, "text, in quotes where it begins with {")


def _tags(cursor: Cursor) -> Literal["immutable", "movable"] | None:
    return cursor.choice(TAGS)


def _lock(cursor: Cursor) -> str | None:
    match cursor.kind, cursor.node.value:
        case "bool", "true":
            return "tag"
        case "bool", "false":
            return "none"
        case _:
            return cursor.choice(LOCKS)


def _check_names(rules: list[tuple[Cursor, GateRule]]) -> None:
    """A name is how logs, records and people tell gates apart."""
    first: dict[str, Cursor] = {}
    for cursor, rule in rules:
        earlier = first.setdefault(rule.gate.name, cursor)
        if earlier is not cursor:
            cursor.fault(f"the name {rule.gate.name!r} is already the name of {earlier.field} on line {earlier.line}")


def _check_reachable(rules: list[tuple[Cursor, GateRule]]) -> None:
    """The first match wins, so a gate behind one that takes all of its images is a mistake."""
    for place, (cursor, rule) in enumerate(rules):
        for earlier, other in rules[:place]:
            if other.match.covers(rule.match):
                name = f"{other.gate.name!r} on line {earlier.line}"
                cursor.fault(f"never reached: {name} matches all of its images first; put this gate before it")
                break


def _each(parse: Callable[[str], str], *, empty: bool = False) -> Callable[[Cursor], tuple[str, ...]]:
    """A list whose order means nothing, sorted, so that another order is the same gate."""
    return lambda cursor: tuple(sorted(cursor.each(parse, empty=empty)))


def _duration(cursor: Cursor) -> int | None:
    return cursor.quantity(values.duration, "a duration such as 90s")


def _size(low: str, high: str) -> Callable[[Cursor], int | None]:
    return lambda cursor: cursor.quantity(values.size(low, high), "a size such as 512Mi")
