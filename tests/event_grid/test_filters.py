"""Every operator, with and without the key, on values of the wrong type, and on arrays."""

from __future__ import annotations

from typing import Any

import pytest

from local.cloud.event_grid_events import Event, Schema
from local.cloud.event_grid_filters import OPERATORS, Filter, advanced_filters
from tests.event_grid.fakes import event, vector

RANGES = [[1, 2], [10, 20.5]]
ABSENT = object()

# operator, value(s) of the filter, value of the event, passes
TABLE: list[tuple[str, Any, Any, bool]] = [
    ("NumberIn", [5, 1], 5, True),
    ("NumberIn", [5, 1], 5.0, True),
    ("NumberIn", [5, 1], 6, False),
    ("NumberIn", [5, 1], "5", False),
    ("NumberIn", [1], True, False),
    ("NumberIn", [5], ABSENT, False),
    ("NumberNotIn", [5, 1], 5, False),
    ("NumberNotIn", [5, 1], 6, True),
    ("NumberNotIn", [5, 1], "5", True),
    ("NumberNotIn", [5], ABSENT, True),
    ("NumberLessThan", 100, 99.9, True),
    ("NumberLessThan", 100, 100, False),
    ("NumberLessThan", 100, ABSENT, False),
    ("NumberGreaterThan", 20, 20.1, True),
    ("NumberGreaterThan", 20, 20, False),
    ("NumberGreaterThan", 20, ABSENT, False),
    ("NumberLessThanOrEquals", 100, 100, True),
    ("NumberLessThanOrEquals", 100, 101, False),
    ("NumberLessThanOrEquals", 100, ABSENT, False),
    ("NumberGreaterThanOrEquals", 30, 30, True),
    ("NumberGreaterThanOrEquals", 30, 29, False),
    ("NumberGreaterThanOrEquals", 30, ABSENT, False),
    ("NumberInRange", RANGES, 1, True),
    ("NumberInRange", RANGES, 20.5, True),
    ("NumberInRange", RANGES, 5, False),
    ("NumberInRange", RANGES, ABSENT, False),
    ("NumberNotInRange", RANGES, 5, True),
    ("NumberNotInRange", RANGES, 15, False),
    ("NumberNotInRange", RANGES, ABSENT, True),
    ("BoolEquals", True, True, True),
    ("BoolEquals", True, False, False),
    ("BoolEquals", False, False, True),
    ("BoolEquals", False, 0, False),
    ("BoolEquals", False, ABSENT, False),
    ("StringIn", ["Failed", "Canceled"], "failed", True),
    ("StringIn", ["failed"], "FAILED", True),
    ("StringIn", ["Failed"], "failed again", False),
    ("StringIn", ["5"], 5, False),
    ("StringIn", ["Failed"], ABSENT, False),
    ("StringNotIn", ["Failed"], "Completed", True),
    ("StringNotIn", ["Failed"], "FAILED", False),
    ("StringNotIn", ["Failed"], ABSENT, True),
    ("StringContains", ["azure", "microsoft"], "on Azure", True),
    ("StringContains", ["azure"], "elsewhere", False),
    ("StringContains", ["azure"], ABSENT, False),
    ("StringNotContains", ["azure"], "elsewhere", True),
    ("StringNotContains", ["azure"], "on Azure", False),
    ("StringNotContains", ["azure"], ABSENT, False),
    ("StringBeginsWith", ["event", "message"], "Event hubs", True),
    ("StringBeginsWith", ["event"], "an event", False),
    ("StringBeginsWith", ["event"], ABSENT, False),
    ("StringNotBeginsWith", ["event"], "an event", True),
    ("StringNotBeginsWith", ["event"], "EVENT", False),
    ("StringNotBeginsWith", ["event"], ABSENT, False),
    ("StringEndsWith", ["jpg", "png"], "a.PNG", True),
    ("StringEndsWith", ["jpg"], "jpg.zip", False),
    ("StringEndsWith", ["jpg"], ABSENT, False),
    ("StringNotEndsWith", ["jpg"], "jpg.zip", True),
    ("StringNotEndsWith", ["jpg"], "a.jpg", False),
    ("StringNotEndsWith", ["jpg"], ABSENT, False),
    ("IsNullOrUndefined", None, ABSENT, True),
    ("IsNullOrUndefined", None, None, True),
    ("IsNullOrUndefined", None, "", False),
    ("IsNotNull", None, 0, True),
    ("IsNotNull", None, None, False),
    ("IsNotNull", None, ABSENT, False),
]
SINGLE = {"BoolEquals"} | {name for name in OPERATORS if "Than" in name}


def condition(operator: str, wanted: Any, key: str = "data.key") -> dict[str, Any]:
    """An advanced filter as it is written in the data file."""
    member = {} if wanted is None else {"value" if operator in SINGLE else "values": wanted}
    return {"operatorType": operator, "key": key} | member


def passes(raw: list[dict[str, Any]], tested: Event, *, arrays: bool = False) -> bool:
    return Filter(advanced=advanced_filters(raw), arrays=arrays).matches(tested)


@pytest.mark.parametrize(("operator", "wanted", "value", "expected"), TABLE)
def test_an_operator_decides_as_documented(operator: str, wanted: Any, value: Any, expected: bool) -> None:
    data = {} if value is ABSENT else {"key": value}
    assert passes([condition(operator, wanted)], event(data=data)) is expected


def test_the_table_has_every_operator_with_both_results() -> None:
    assert {(operator, expected) for operator, _, _, expected in TABLE} == {
        (operator, expected) for operator in OPERATORS for expected in (True, False)
    }


@pytest.mark.parametrize(
    ("operator", "wanted", "elements", "expected"),
    [
        ("StringIn", ["b"], ["a", "B"], True),
        ("StringIn", ["c"], ["a", "b"], False),
        ("StringNotIn", ["b"], ["a", "b"], False),
        ("StringNotIn", ["c"], ["a", "b"], True),
        ("NumberIn", [2], ["2", 2], True),
        ("NumberNotIn", [2], ["2", 3], True),
        ("NumberLessThan", 3, [5, 2], True),
        ("NumberInRange", RANGES, [5, 15], True),
        ("BoolEquals", True, [False, True], True),
        ("StringIn", ["a"], [], False),
    ],
)
def test_an_array_is_compared_element_by_element_when_asked(
    operator: str, wanted: Any, elements: list[Any], expected: bool
) -> None:
    assert passes([condition(operator, wanted)], event(data={"key": elements}), arrays=True) is expected


def test_an_array_matches_nothing_unless_asked() -> None:
    assert not passes([condition("StringIn", ["a"])], event(data={"key": ["a"]}))


def test_filters_add_up_and_their_values_are_alternatives() -> None:
    failed_automl = [
        condition("StringIn", ["failed", "canceled"], "data.runStatus"),
        condition("StringContains", ["/experiments/", "runs/AutoML_"], "subject"),
    ]
    run = Event(Schema.EVENT_GRID, vector("ml_runstatuschanged.docs2021.eventgrid")[0])
    assert passes(failed_automl, run)
    assert not passes([*failed_automl, condition("IsNotNull", None, "data.runType")], run)


@pytest.mark.parametrize("schema", ["eventgrid", "cloudevents"])
@pytest.mark.parametrize("key", ["Subject", "subject", "data.target.repository"])
def test_keys_reach_the_envelope_without_case_and_into_the_data(schema: str, key: str) -> None:
    schemas = {"eventgrid": Schema.EVENT_GRID, "cloudevents": Schema.CLOUD_EVENTS}
    pushed = Event(schemas[schema], vector(f"acr_imagepushed.docs2021.{schema}")[0])
    assert passes([condition("StringBeginsWith", ["aci-"], key)], pushed)


@pytest.mark.parametrize(("event_grid", "cloud_events"), [("Topic", "source"), ("EventType", "type")])
def test_both_schemas_names_of_the_envelope_mean_the_same(event_grid: str, cloud_events: str) -> None:
    tested = event()
    for key in (event_grid, cloud_events):
        assert passes([condition("IsNotNull", None, key)], tested)


def test_keys_below_data_have_the_events_case() -> None:
    assert not passes([condition("IsNotNull", None, "data.Key")], event(data={"key": 1}))


def test_data_that_is_a_string_has_no_keys() -> None:
    assert passes([condition("IsNullOrUndefined", None, "data.key")], event(data='{"key": 1}'))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param({"event_types": ("tidegate.IMAGEpromoted",)}, True, id="type without case"),
        pytest.param({"event_types": ("Tidegate.Image",)}, False, id="type is no prefix"),
        pytest.param({"event_types": ("Other", "Tidegate.ImagePromoted")}, True, id="one of the types"),
        pytest.param({"subject_begins_with": "TRAINING/"}, True, id="begins, without case"),
        pytest.param({"subject_begins_with": "litter"}, False, id="does not begin"),
        pytest.param({"subject_ends_with": ":V1"}, True, id="ends, without case"),
        pytest.param({"subject_ends_with": ":v2"}, False, id="does not end"),
        pytest.param({"subject_begins_with": "TRAINING/", "subject_case_sensitive": True}, False, id="with case"),
        pytest.param({"subject_begins_with": "training/", "subject_case_sensitive": True}, True, id="same case"),
    ],
)
def test_types_and_subjects_are_filtered(conditions: dict[str, Any], expected: bool) -> None:
    assert Filter(**conditions).matches(event()) is expected


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (
            [{"operatorType": "StringLike", "key": "k", "values": ["a"]}],
            "advancedFilters[0].operatorType: 'StringLike'",
        ),
        ([{"operatorType": "StringIn", "key": "k"}], "StringIn needs 'values'"),
        ([{"operatorType": "StringIn", "key": "k", "values": []}], "StringIn needs 'values'"),
        ([{"operatorType": "NumberLessThan", "key": "k", "values": [1]}], "NumberLessThan needs 'value'"),
        ([condition("StringIn", ["a", 1])], "advancedFilters[0].values: must be a string, not 1"),
        ([condition("NumberIn", [True])], "must be a number, not True"),
        ([condition("BoolEquals", "true")], "must be true or false, not 'true'"),
        ([condition("NumberInRange", [[1]])], "a range is two numbers, not [1]"),
        ([condition("StringIn", ["x" * 513])], "513 characters, the limit is 512"),
        ([condition("StringIn", ["a"])] * 26, "26 filters with 26 values, the limit is 25 of each"),
        ([condition("NumberIn", list(range(26)))], "1 filters with 26 values"),
    ],
)
def test_a_filter_that_azure_would_refuse_is_refused_with_its_fault(raw: list[dict[str, Any]], fault: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is compared below
        advanced_filters(raw)
    assert fault in str(refused.value)
