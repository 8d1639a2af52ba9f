"""What a good file means: units, defaults, order, and the version of a gate."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gates.refused import in_a_gate
from tidegate.flows.images.image_gate import ImageGate, ImageRequirements, ImageTest, PromotionRules
from tidegate.gates import Gates, load
from tidegate.gates.values import command

ALL_MEDIA_TYPES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
)

FULL = """
    test:
      runner: acr-task
      command: [python3, -c, "print('a b')", ""]
      timeout: 90s
      cpu: 0.5
      memory: 512Mi
      tmp: 1Gi
      environment: {B: "2", A: "1"}
      attempts: 5
    require:
      platforms: [linux/arm64, linux/amd64]
      non_root: true
      labels: {b: "*", a: "x/*"}
      max_size: 3Gi
      max_manifests: 10
      media_types: [application/vnd.oci.image.manifest.v1+json]
    promote:
      repository: approved/{repository}
      tags: movable
      lock: both
      referrers: {copy: [b/x, a/x], require: [a/x]}
"""


def read(tmp_path: Path, text: str) -> Gates:
    path = tmp_path / "gates.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def one(tmp_path: Path, setting: str) -> ImageGate:
    (rule,) = read(tmp_path, in_a_gate(setting)).images
    return rule.gate


def test_a_gate_that_says_nothing_still_tests_and_still_locks(tmp_path: Path) -> None:
    gate = one(tmp_path, "test: {}")
    assert gate.test == ImageTest("acr-task", (), 600, 1.0, 2 * 1024**3, 64 * 1024**2, (), 3, skip="")
    assert gate.require == ImageRequirements(False, (), 0, 50, ("linux/amd64",), ALL_MEDIA_TYPES)
    assert gate.promote == PromotionRules("{repository}", "immutable", True, False, ("*",), ())


def test_every_setting_is_read_in_seconds_bytes_and_sorted_pairs(tmp_path: Path) -> None:
    gate = one(tmp_path, FULL.strip())
    assert gate.test == ImageTest(
        runner="acr-task",
        command=("python3", "-c", "print('a b')", ""),
        timeout=90,
        cpu=0.5,
        memory=512 * 1024**2,
        tmp=1024**3,
        environment=(("A", "1"), ("B", "2")),
        attempts=5,
    )
    assert gate.require == ImageRequirements(
        non_root=True,
        labels=(("a", "x/*"), ("b", "*")),
        max_size=3 * 1024**3,
        max_manifests=10,
        platforms=("linux/amd64", "linux/arm64"),
        media_types=("application/vnd.oci.image.manifest.v1+json",),
    )
    assert gate.promote == PromotionRules("approved/{repository}", "movable", True, True, ("a/x", "b/x"), ("a/x",))


@pytest.mark.parametrize(
    ("written", "seconds"), [("1s", 1), ("28800s", 28800), ("480m", 28800), ("1h", 3600), ("8h", 28800)]
)
def test_durations_are_seconds(tmp_path: Path, written: str, seconds: int) -> None:
    assert one(tmp_path, f"test: {{timeout: {written}}}").test.timeout == seconds


@pytest.mark.parametrize(
    ("written", "locks"),
    [
        ("none", (False, False)),
        ("false", (False, False)),
        ("tag", (True, False)),
        ("true", (True, False)),
        ("manifest", (False, True)),
        ("both", (True, True)),
    ],
)
def test_locks_name_what_they_lock(tmp_path: Path, written: str, locks: tuple[bool, bool]) -> None:
    promote = one(tmp_path, f"promote: {{lock: {written}}}").promote
    assert (promote.lock_tag, promote.lock_manifest) == locks


def test_a_skipped_test_keeps_its_reason(tmp_path: Path) -> None:
    assert one(tmp_path, "test: {skip: scanned elsewhere}").test.skip == "scanned elsewhere"


def test_a_list_of_labels_asks_for_them_with_any_value(tmp_path: Path) -> None:
    assert one(tmp_path, "require: {labels: [b, a]}").require.labels == (("a", "*"), ("b", "*"))


def test_referrers_may_stay_behind(tmp_path: Path) -> None:
    assert one(tmp_path, "promote: {referrers: {copy: []}}").promote.referrers == ()


def test_a_command_of_one_string_is_split_like_a_shell_would(tmp_path: Path) -> None:
    gate = one(tmp_path, """test: {command: "python3 -c 'print(1)' \\"a b\\" # c"}""")
    assert gate.test.command == ("python3", "-c", "print(1)", "a b", "#", "c")


def test_a_folded_command_is_one_line(tmp_path: Path) -> None:
    gate = one(tmp_path, "test:\n      command: >\n        python3 check.py\n        --quick\n")
    assert gate.test.command == ("python3", "check.py", "--quick")


WORDS = st.text(alphabet=st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=8)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(WORDS, min_size=1).filter(lambda words: not {"&&", "||", "|", "&", ";", ">", ">>", "<"} & set(words)))
def test_quoted_arguments_come_back_as_they_were(words: list[str]) -> None:
    assert command(shlex.join(words)) == tuple(words)


def test_an_alias_repeats_a_value(tmp_path: Path) -> None:
    first, second = read(
        tmp_path,
        "version: 1\nimages:\n"
        "  - {name: a, match: {repository: a}, test: &quick {timeout: 1m}}\n"
        "  - {name: b, match: {repository: b}, test: *quick}\n",
    ).images
    assert first.gate.test == second.gate.test
    assert second.gate.test.timeout == 60


# Which gate -----------------------------------------------------------------------------------------------------------

THREE = """
version: 1
images:
  - {name: gpu, match: {repository: "training/*-gpu", tag: [v*, "release-*"]}}
  - {name: training, match: {repository: "training/**"}}
  - {name: rest, match: {repository: ["a/*", b], tag: v1}}
"""


@pytest.mark.parametrize(
    ("repository", "tag", "name"),
    [
        ("training/litter-gpu", "v1", "gpu"),
        ("training/litter-gpu", "release-7", "gpu"),
        ("training/litter-gpu", "latest", "training"),
        ("training/litter/x-gpu", "v1", "training"),
        ("a/x", "v1", "rest"),
        ("b", "v1", "rest"),
        ("b", "v2", None),
        ("training", "v1", None),
        ("other", "v1", None),
    ],
)
def test_the_first_gate_that_matches_wins_and_others_are_ignored(
    tmp_path: Path, repository: str, tag: str, name: str | None
) -> None:
    gate = read(tmp_path, THREE).match(repository, tag)
    assert (gate.name if gate else None) == name


# The version of a gate ------------------------------------------------------------------------------------------------


def test_the_version_is_the_same_whatever_the_order_the_comments_and_the_units(tmp_path: Path) -> None:
    rewritten = """
    promote:  # where it goes
      {referrers: {require: ["a/x"], copy: [a/x, b/x]}, lock: both, tags: movable, repository: 'approved/{repository}'}
    require:
      media_types: ["application/vnd.oci.image.manifest.v1+json"]
      max_manifests: 10
      max_size: 3072Mi
      labels: {a: x/*, b: '*'}
      non_root: true
      platforms: [linux/amd64, linux/arm64]
    test:
      attempts: 5
      environment:
        A: "1"
        B: "2"
      tmp: 1024Mi
      memory: 512Mi
      cpu: 0.50
      timeout: 90s
      command: python3 -c "print('a b')" ""
    """
    assert one(tmp_path, rewritten.strip()) == one(tmp_path, FULL.strip())


def test_defaults_written_out_are_the_same_gate(tmp_path: Path) -> None:
    written = (
        "test: {timeout: 10m, cpu: 1, memory: 2Gi, tmp: 64Mi, attempts: 3, runner: acr-task}\n    promote: {lock: tag}"
    )
    assert one(tmp_path, written) == one(tmp_path, "require: {}")


def test_name_and_globs_are_no_part_of_the_version(tmp_path: Path) -> None:
    (here,) = read(tmp_path, "version: 1\nimages:\n  - {name: a, match: {repository: a}}\n").images
    (there,) = read(tmp_path, "version: 1\nimages:\n  - {name: b, match: {repository: 'b/**', tag: v*}}\n").images
    assert here.gate.version == there.gate.version


CHANGES = [
    "test: {command: [x]}",
    "test: {timeout: 11m}",
    "test: {cpu: 2}",
    "test: {memory: 3Gi}",
    "test: {tmp: 65Mi}",
    "test: {environment: {A: x}}",
    "test: {environment: {A: y}}",
    "test: {attempts: 4}",
    "test: {runner: azure-ml, cluster: vision/gpu, command: x}",
    "test: {skip: because}",
    "require: {non_root: true}",
    "require: {labels: [a]}",
    "require: {labels: {a: b}}",
    "require: {max_size: 1Gi}",
    "require: {max_manifests: 49}",
    "require: {platforms: [linux/arm64]}",
    "require: {media_types: [application/vnd.oci.image.manifest.v1+json]}",
    "promote: {repository: x}",
    "promote: {tags: movable}",
    "promote: {lock: none}",
    "promote: {lock: manifest}",
    "promote: {lock: both}",
    "promote: {referrers: {copy: []}}",
    "promote: {referrers: {require: [a/x]}}",
]


def test_every_setting_changes_the_version(tmp_path: Path) -> None:
    versions = {setting: one(tmp_path, setting).version for setting in ["test: {}", *CHANGES]}
    assert len(set(versions.values())) == len(versions)


def test_the_settings_that_change_the_version_are_all_there_are() -> None:
    """A new field of a gate needs a line in CHANGES."""
    fields = {
        field.name for part in (ImageTest, ImageRequirements, PromotionRules) for field in dataclasses.fields(part)
    }
    changed = {"lock_tag", "lock_manifest", "required_referrers"}
    changed |= {name for name in fields if any(f"{name}:" in setting for setting in CHANGES)}
    assert fields == changed


def test_no_release_changes_the_version_of_an_unchanged_gate_by_accident(tmp_path: Path) -> None:
    """Another version means that every image is tested anew: a new default or field is worth a line in the changelog."""
    assert one(tmp_path, "test: {}").version == "6700e9f66054"
