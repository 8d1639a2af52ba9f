"""gates.schema.json, which editors use, and the loader say the same about the same files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.gates.refused import Refused, refused_files, refused_settings
from tidegate.gates import GatesError, load, loading
from tidegate.gates.values import MEDIA_TYPES, duration

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "gates.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
CASES = [*refused_settings(), *refused_files()]


def schema_accepts(text: str) -> bool:
    """What an editor would say; a file that YAML itself cannot take is not accepted."""
    try:
        return VALIDATOR.is_valid(yaml.safe_load(text))
    except yaml.YAMLError:
        return False


def loader_accepts(path: Path) -> bool:
    try:
        load(path)
    except GatesError:
        return False
    return True


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each drawn file is written; one place, because Hypothesis draws many within one test."""
    return tmp_path_factory.mktemp("drawn") / "gates.yaml"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_example_is_good_and_names_its_schema() -> None:
    text = (ROOT / "gates.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=./gates.schema.json\n")
    assert schema_accepts(text)
    assert load(ROOT / "gates.yaml").match("training/litter", "v12") is not None


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_the_schema_sees_every_fault_but_those_marked(case: Refused) -> None:
    assert schema_accepts(case.text) is not case.schema_sees_it


# Good and nearly good files, drawn at random ---------------------------------------------------------------------------


def mostly(good: st.SearchStrategy[Any], bad: list[Any]) -> st.SearchStrategy[Any]:
    """A good value, or now and then a bad one."""
    return st.integers(0, 19).flatmap(lambda dice: st.sampled_from(bad) if dice == 0 else good)


def sizes(low: int, high: int, unit: str) -> st.SearchStrategy[Any]:
    return mostly(st.integers(low, high).map(lambda number: f"{number}{unit}"), ["0Mi", "1", "1M", "99999Gi", 5, None])


def choices(*good: Any) -> st.SearchStrategy[Any]:
    return mostly(st.sampled_from(good), ["other", "", True, None, 3, []])


def lists(*good: str) -> st.SearchStrategy[Any]:
    return mostly(
        st.lists(st.sampled_from(good), min_size=1, unique=True), [[], "x", [""], ["-a b"], [1], [good[0]] * 2]
    )


TEXTS = mostly(st.sampled_from(["a", "no", "a b", "it's", '"', "é", "&&"]), ["", "x\ny", "\0", 1, None])
NAMES = mostly(st.sampled_from(["a", "B_1", "org.example"]), ["", "1 2", "-", "_"])
PAIRS = st.dictionaries(NAMES, TEXTS, max_size=2)
GLOBS = ["a", "a/*", "**", "[a-c]x", "{a,b}-?", "a{,-b}", "x[!ab]"]
TESTS = st.fixed_dictionaries(
    {},
    optional={
        "runner": choices("acr-task"),
        "command": st.one_of(TEXTS, lists("a", "", "b c", "&&")),
        "timeout": mostly(st.sampled_from(["1s", "10m", "8h", "28800s", "480m"]), ["0s", "9h", "1d", 10, None]),
        "cpu": mostly(st.one_of(st.integers(1, 32), st.sampled_from([0.1, 0.5, 31.9])), [0, 33, "1", True, None]),
        "memory": sizes(16, 9999, "Mi"),
        "tmp": sizes(1, 64, "Gi"),
        "environment": PAIRS,
        "attempts": mostly(st.integers(1, 10), [0, 11, 2.5, "3", None]),
    },
)
SKIPS = st.fixed_dictionaries({"skip": TEXTS}, optional={"cpu": st.just(1)})
REQUIREMENTS = st.fixed_dictionaries(
    {},
    optional={
        "platforms": lists("linux/amd64", "linux/arm/v7", "windows/amd64"),
        "non_root": mostly(st.booleans(), ["yes", 1, None]),
        "labels": st.one_of(PAIRS, lists("a", "org.opencontainers.image.source")),
        "max_size": sizes(1, 1024, "Gi"),
        "max_manifests": mostly(st.integers(1, 50), [0, 51, "9"]),
        "media_types": lists(*MEDIA_TYPES),
    },
)
TARGETS = ["{repository}", "x/{repository}-ok", "x-{repository}", "{repository}{repository}", "a__b/c--d.e", "a" * 255]
PROMOTIONS = st.fixed_dictionaries(
    {},
    optional={
        "repository": mostly(st.sampled_from(TARGETS), ["{name}", "A", "a//b", "/a", "a.", "{repository", "a" * 256]),
        "tags": choices("immutable", "movable"),
        "lock": mostly(st.sampled_from(["none", "tag", "manifest", "both", True, False]), ["all", "true", None]),
        "referrers": st.fixed_dictionaries(
            {}, optional={"copy": st.one_of(st.just([]), lists("*")), "require": lists("a/b")}
        ),
    },
)
REPOSITORIES = mostly(
    st.one_of(st.sampled_from(GLOBS), lists(*GLOBS)), ["", "A", "a/", "/a", "a//b", "a[", "***", "_a"]
)
TAGS = mostly(st.sampled_from(["*", "v*", "**", "V[0-9]", "{a,b}", "_x"]), ["", "a/b", ".a", "-a", "a[", 1, 1.5])
GATES = st.fixed_dictionaries(
    {
        "name": mostly(st.sampled_from(["a", "a-1"]), ["A", "", "1", "no", 1, None]),
        "match": st.fixed_dictionaries({"repository": REPOSITORIES}, optional={"tag": TAGS}),
    },
    optional={
        "test": mostly(st.one_of(TESTS, SKIPS), [None, [], "none", {"timout": "1m"}]),
        "require": mostly(REQUIREMENTS, [None, [], {"user": "root"}]),
        "promote": mostly(PROMOTIONS, [None, [], {"approval": True}]),
    },
)


@given(gate=GATES)
@settings(max_examples=400, deadline=None)
def test_the_schema_takes_every_file_that_the_loader_takes(gate: dict[str, Any], drawn: Path) -> None:
    text = yaml.safe_dump({"version": 1, "images": [gate]}, sort_keys=False)
    drawn.write_text(text, encoding="utf-8")
    accepted = loader_accepts(drawn)
    event(f"the loader accepts: {accepted}")
    if accepted:
        assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []


@settings(deadline=None)  # a busy machine is no fault
@given(number=st.integers(0, 99_999), unit=st.sampled_from("smh"))
def test_schema_and_loader_agree_on_every_duration(number: int, unit: str) -> None:
    try:
        seconds = duration(f"{number}{unit}")
    except ValueError:
        seconds = 0
    pattern = SCHEMA["$defs"]["duration"]["pattern"]
    assert (re.search(pattern, f"{number}{unit}") is not None) is (seconds > 0)


# The same keys and the same defaults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "keys"),
    [
        (SCHEMA, loading.FILE_KEYS),
        (SCHEMA["$defs"]["gate"], loading.GATE_KEYS),
        (SCHEMA["$defs"]["match"], loading.MATCH_KEYS),
        (SCHEMA["$defs"]["test"], loading.TEST_KEYS),
        (SCHEMA["$defs"]["require"], loading.REQUIRE_KEYS),
        (SCHEMA["$defs"]["promote"], loading.PROMOTE_KEYS),
        (SCHEMA["$defs"]["promote"]["properties"]["referrers"], loading.REFERRERS_KEYS),
    ],
    ids=["file", "gate", "match", "test", "require", "promote", "referrers"],
)
def test_schema_and_loader_have_the_same_keys(definition: dict[str, Any], keys: tuple[str, ...]) -> None:
    assert tuple(definition["properties"]) == keys
    assert definition["additionalProperties"] is False


def test_the_defaults_in_the_schema_are_the_defaults(tmp_path: Path) -> None:
    bare = {"name": "a", "match": {"repository": "a"}}
    parts = {
        part: {
            key: value["default"]
            for key, value in SCHEMA["$defs"][part]["properties"].items()
            if "default" in value and key != "referrers"
        }
        for part in ("match", "test", "require", "promote")
    }
    parts["match"]["repository"] = "a"
    copied = SCHEMA["$defs"]["promote"]["properties"]["referrers"]["properties"]["copy"]["default"]
    parts["promote"]["referrers"] = {"copy": copied}
    assert set(parts["test"]) == set(loading.TEST_KEYS) - {"cluster", "command", "environment", "skip"}
    path = tmp_path / "gates.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "images": [bare]}), encoding="utf-8")
    (short,) = load(path).images
    path.write_text(yaml.safe_dump({"version": 1, "images": [bare | parts]}), encoding="utf-8")
    (long,) = load(path).images
    assert short == long
