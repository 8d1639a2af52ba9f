"""gates.schema.json, which editors use, and the loader say the same about the same files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
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


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_example_is_good_and_names_its_schema() -> None:
    text = (ROOT / "gates.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=./gates.schema.json\n")
    assert schema_accepts(text)
    assert [rule.gate.name for rule in load(ROOT / "gates.yaml").images] == ["training", "scoring", "base-images"]


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_the_schema_sees_every_fault_but_those_marked(case: Refused) -> None:
    assert schema_accepts(case.text) is not case.schema_sees_it


# Good and nearly good files, drawn at random ---------------------------------------------------------------------------

SIZES = st.builds("{}{}".format, st.integers(0, 2000), st.sampled_from(["Ki", "Mi", "Gi", "", "M"]))
DURATIONS = st.builds("{}{}".format, st.integers(0, 30_000), st.sampled_from(["s", "m", "h", "", "d"]))
WORDS = st.sampled_from(
    ["a", "no", "", "a b", "it's", '"', "x\ny", "1", "&&", "V1", "a/b", "**", "*", "[a-c]?", "{a,b}", "a[", "-a"]
)
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 100), st.floats(-1, 40, width=16), WORDS, st.just([]), st.just({})
)
LISTS = st.lists(WORDS, max_size=3)
TESTS = st.fixed_dictionaries(
    {},
    optional={
        "runner": st.sampled_from(["acr-task", "azure-ml"]),
        "command": st.one_of(WORDS, LISTS),
        "timeout": DURATIONS,
        "cpu": st.one_of(st.integers(0, 33), st.floats(0, 33, width=16)),
        "memory": SIZES,
        "tmp": SIZES,
        "environment": st.dictionaries(WORDS, WORDS, max_size=2),
        "attempts": st.integers(0, 11),
        "skip": WORDS,
    },
)
PLATFORMS = st.lists(st.sampled_from(["linux/amd64", "linux/arm/v7", "linux", "windows/amd64"]), max_size=3)
REQUIREMENTS = st.fixed_dictionaries(
    {},
    optional={
        "platforms": PLATFORMS,
        "non_root": st.booleans(),
        "labels": st.one_of(LISTS, st.dictionaries(WORDS, WORDS, max_size=2)),
        "max_size": SIZES,
        "max_manifests": st.integers(0, 51),
        "media_types": st.lists(st.sampled_from([*MEDIA_TYPES, "text/plain"]), max_size=2),
    },
)
PROMOTIONS = st.fixed_dictionaries(
    {},
    optional={
        "repository": st.one_of(
            WORDS, st.sampled_from(["{repository}", "x/{repository}-ok", "x-{repository}", "{name}"])
        ),
        "tags": st.sampled_from(["immutable", "movable", "fixed"]),
        "lock": st.one_of(st.booleans(), st.sampled_from(["none", "tag", "manifest", "both", "all"])),
        "referrers": st.fixed_dictionaries({}, optional={"copy": LISTS, "require": LISTS}),
    },
)
GATES = st.fixed_dictionaries(
    {"name": WORDS, "match": st.fixed_dictionaries({"repository": st.one_of(WORDS, LISTS)}, optional={"tag": WORDS})},
    optional={
        "test": st.one_of(TESTS, ANYTHING),
        "require": st.one_of(REQUIREMENTS, ANYTHING),
        "promote": st.one_of(PROMOTIONS, ANYTHING),
        "extra": ANYTHING,
    },
)


@given(gate=GATES)
def test_the_schema_refuses_nothing_that_the_loader_takes(
    gate: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = yaml.safe_dump({"version": 1, "images": [gate]}, sort_keys=False)
    path = tmp_path_factory.getbasetemp() / "drawn.yaml"
    path.write_text(text, encoding="utf-8")
    if loader_accepts(path):
        assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []


@given(part=st.one_of(TESTS.map(lambda test: {"test": test}), REQUIREMENTS.map(lambda require: {"require": require})))
def test_a_setting_the_loader_takes_is_taken_by_the_schema(
    part: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = yaml.safe_dump({"version": 1, "images": [{"name": "a", "match": {"repository": "a"}} | part]})
    path = tmp_path_factory.getbasetemp() / "drawn.yaml"
    path.write_text(text, encoding="utf-8")
    if loader_accepts(path):
        assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []


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
    assert set(parts["test"]) == set(loading.TEST_KEYS) - {"command", "environment", "skip"}
    path = tmp_path / "gates.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "images": [bare]}), encoding="utf-8")
    (short,) = load(path).images
    path.write_text(yaml.safe_dump({"version": 1, "images": [bare | parts]}), encoding="utf-8")
    (long,) = load(path).images
    assert short == long
