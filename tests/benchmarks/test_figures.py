"""The arithmetic of figures, and how they are written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import Aim, Figure, compared, percentile, rounds, table, write
from benchmarks.overhead import Passage


def test_a_ratio_is_the_value_over_its_reference() -> None:
    assert Figure("a / b", 3.0, "s", 2.0).ratio == 1.5


def test_without_a_reference_there_is_no_ratio() -> None:
    assert Figure("a", 3.0, "s").ratio is None


@pytest.mark.parametrize(
    ("aim", "is_met"),
    [
        (Aim("ratio", "<=", 1.5), True),
        (Aim("ratio", "<", 1.5), False),
        (Aim("ratio", ">=", 1.5), True),
        (Aim("ratio", ">=", 1.6), False),
        (Aim("value", "<", 3.1), True),
        (Aim("value", "<=", 2.9), False),
    ],
    ids=str,
)
def test_an_aim_bounds_the_ratio_or_the_value(aim: Aim, is_met: bool) -> None:
    assert Figure("a / b", 3.0, "s", 2.0, aim).ok is is_met


def test_an_aim_at_the_ratio_is_missed_when_there_is_none() -> None:
    assert Figure("a", 3.0, "s", None, Aim("ratio", "<=", 9)).ok is False


def test_a_figure_without_an_aim_is_neither_met_nor_missed() -> None:
    assert Figure("a / b", 3.0, "s", 2.0).ok is None


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 2.0), (51, 3.0), (75, 3.0), (76, 4.0), (95, 4.0), (100, 4.0), (1, 1.0)]
)
def test_a_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    assert percentile([4.0, 2.0, 1.0, 3.0], percent) == expected


def test_the_95th_percentile_of_twenty_is_the_second_largest() -> None:
    assert percentile([float(n) for n in range(1, 21)], 95) == 19.0


def test_a_comparison_summarises_both_sides_alike() -> None:
    medians = compared("a / b", [1.0, 9.0, 2.0], [4.0, 5.0, 100.0], "s")
    assert (medians.value, medians.reference) == (2.0, 5.0)
    least = compared("a / b", [1.0, 9.0, 2.0], [4.0, 5.0, 100.0], "s", summary=min)
    assert (least.value, least.reference) == (1.0, 4.0)


def test_each_round_has_every_way_once_and_begins_with_another() -> None:
    assert list(rounds(("a", "b", "c"), 4)) == [*"abc", *"bca", *"cab", *"abc"]


def test_the_file_is_a_list_of_rows_with_the_same_seven_fields(tmp_path: Path) -> None:
    path = tmp_path / "build/bench.json"
    write(
        path,
        "2 cores, load 1.00",
        [Figure("a / b", 1.23456789, "s", 2.0, Aim("ratio", "<=", 1.1)), Figure("c", 7, "ms")],
    )
    rows = json.loads(path.read_text())
    assert rows == [
        dict.fromkeys(("value", "reference", "ratio", "aim", "ok"))
        | {"name": "conditions", "unit": "2 cores, load 1.00"},
        {
            "name": "a / b",
            "value": 1.2346,
            "unit": "s",
            "reference": 2.0,
            "ratio": 0.61728,
            "aim": "ratio <= 1.1",
            "ok": True,
        },
        {"name": "c", "value": 7.0, "unit": "ms", "reference": None, "ratio": None, "aim": None, "ok": None},
    ]


def test_the_table_shows_three_digits_and_says_what_is_missed() -> None:
    heading, met, missed = table(
        [
            Figure("small / big", 0.0123456, "s", 1.5, Aim("ratio", "<=", 1.1)),
            Figure("slow", 1234.5, "ms", None, Aim("value", "<", 3)),
        ]
    ).splitlines()
    assert heading.split() == ["FIGURE", "/", "REFERENCE", "VALUE", "REFERENCE", "UNIT", "RATIO", "AIM"]
    assert met.split() == ["small", "/", "big", "0.0123", "1.50", "s", "0.00823", "ratio", "<=", "1.1", "ok"]
    assert missed.split() == ["slow", "1234", "ms", "value", "<", "3", "MISSED"]


def test_overhead_is_what_neither_the_test_nor_the_copy_took() -> None:
    assert Passage(pushed=100.0, promoted=107.5, test=4.0, copy=2.25).overhead == 1.25
