"""A file that is wrong is refused with every fault, each at its line, with what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gates.refused import Refused, in_a_gate, refused_files, refused_settings
from tidegate.gates import GatesError, Problem, load

CASES = [*refused_settings(), *refused_files()]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(content: bytes | str) -> GatesError:
    path = Path("gates.yaml")
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(GatesError) as caught:
        load(path)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_a_wrong_file_is_refused_with_this_message(case: Refused) -> None:
    assert str(refusal(case.text)) == case.message


def test_the_good_part_of_every_refused_setting_is_good() -> None:
    Path("gates.yaml").write_text(in_a_gate("test: {}"), encoding="utf-8")
    assert len(load("gates.yaml").images) == 1


def test_a_problem_can_be_used_without_reading_its_message() -> None:
    error = refusal(in_a_gate("test: {cpu: 99}"))
    assert error.problems == (
        Problem("gates.yaml", 4, 17, "images[0].test.cpu", "'99' is not a number from 0.1 to 32"),
    )
    assert isinstance(error, ValueError)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(GatesError, match=r"^nowhere/gates\.yaml: cannot be read: No such file or directory$"):
        load("nowhere/gates.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(GatesError, match=r"cannot be read: Is a directory$"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n", "---\n", "null", "\ufeff"])
def test_a_file_without_content_says_what_it_needs(content: str) -> None:
    assert str(refusal(content)) == "gates.yaml: is empty; it needs `version: 1` and `images:`"


def test_bytes_that_are_no_text_are_refused_at_their_line() -> None:
    assert str(refusal(b"version: 1\nimages: \xff\n")) == "gates.yaml:2:1: is not UTF-8 text"


def test_control_characters_are_refused() -> None:
    assert str(refusal("version: 1\x07\n")).startswith("gates.yaml: not valid YAML: unacceptable character")


def test_a_byte_order_mark_is_no_fault() -> None:
    Path("gates.yaml").write_text("\ufeff" + in_a_gate("test: {}"), encoding="utf-8")
    assert len(load("gates.yaml").images) == 1


def test_a_file_too_large_for_gates_is_not_parsed() -> None:
    assert str(refusal("#" * (256 * 1024 + 1))) == "gates.yaml: is larger than 256 KiB"


def test_aliases_that_stand_for_millions_of_values_are_refused() -> None:
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    error = refusal("\n".join(["a0: &a0 [x]", *levels]))
    assert str(error) == "gates.yaml:1:1: stands for more than 20000 values; do not nest aliases in aliases"


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    error = refusal("version: 1\nimages: &all\n  - *all\n")
    assert str(error) == "gates.yaml:1:1: stands for more than 20000 values; do not nest aliases in aliases"


@pytest.mark.parametrize("opening", ["[", "{", "- "])
def test_deep_nesting_is_refused(opening: str) -> None:
    assert "not valid YAML" in str(refusal(opening * 5000))


def test_problems_come_in_the_order_of_the_file() -> None:
    problems = refusal(in_a_gate("promote: {lock: x}\n    test: {cpu: x, attempts: x}\n    require: x")).problems
    assert [problem.line for problem in problems] == [4, 5, 5, 6]
