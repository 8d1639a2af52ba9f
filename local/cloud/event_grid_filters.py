"""Which events a subscription wants: event types, subject, advanced filters. Pure.

Source: "Understand event filtering for Event Grid subscriptions" (text of 2022-09): a filter's values are alternatives,
filters add up, and no comparison of strings looks at case (except a subject's, when asked for).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.cloud.event_grid_events import Event

_MOST = 25
"""Advanced filters of a subscription, and values over all of them. Source: same page, "Limitations"."""
_LONGEST = 512
"""Characters of a string to compare with. Source: same page, "Limitations"."""

_ALIASES = {"topic": "source", "eventtype": "type", "eventtime": "time"}
"""The Event Grid schema's names beside CloudEvents'. That a filter may use either for one event is unverified."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Operator:
    compares: type[object]
    """Values of the event that have another type are ignored."""
    holds: Callable[[Any, Any], bool]
    """(the event's value, one value of the filter)"""
    negated: bool = False
    without_key: bool = False
    """Result when the event has no such key, or null there (that null counts as missing is unverified)."""
    single: bool = False
    """The filter has one `value` instead of `values`."""


def _equal(value: Any, wanted: Any) -> bool:
    return bool(value == wanted)


def _within(value: float, bounds: Sequence[float]) -> bool:
    return bounds[0] <= value <= bounds[1]


_OPERATORS: Mapping[str, _Operator] = {
    "NumberIn": _Operator(float, _equal),
    "NumberNotIn": _Operator(float, _equal, negated=True, without_key=True),
    "NumberLessThan": _Operator(float, lambda value, limit: value < limit, single=True),
    "NumberGreaterThan": _Operator(float, lambda value, limit: value > limit, single=True),
    "NumberLessThanOrEquals": _Operator(float, lambda value, limit: value <= limit, single=True),
    "NumberGreaterThanOrEquals": _Operator(float, lambda value, limit: value >= limit, single=True),
    "NumberInRange": _Operator(float, _within),
    # The page leaves NumberNotInRange out of its list of results without a key: taken like NumberNotIn, unverified.
    "NumberNotInRange": _Operator(float, _within, negated=True, without_key=True),
    "BoolEquals": _Operator(bool, _equal, single=True),
    "StringIn": _Operator(str, _equal),
    "StringNotIn": _Operator(str, _equal, negated=True, without_key=True),
    "StringContains": _Operator(str, lambda text, part: part in text),
    "StringNotContains": _Operator(str, lambda text, part: part in text, negated=True),
    "StringBeginsWith": _Operator(str, lambda text, start: text.startswith(start)),
    "StringNotBeginsWith": _Operator(str, lambda text, start: text.startswith(start), negated=True),
    "StringEndsWith": _Operator(str, lambda text, end: text.endswith(end)),
    "StringNotEndsWith": _Operator(str, lambda text, end: text.endswith(end), negated=True),
}
_NULL = "IsNullOrUndefined"
_NOT_NULL = "IsNotNull"
OPERATORS = (*_OPERATORS, _NULL, _NOT_NULL)
"""Every `operatorType` of api-version 2025-02-15."""


@dataclasses.dataclass(frozen=True, slots=True)
class AdvancedFilter:
    """One condition on one key; `values` are normalised (strings without case) and checked against the operator."""

    operator: str
    key: str
    values: tuple[Any, ...] = ()

    def matches(self, event: Event, *, arrays: bool) -> bool:
        """Whether the event passes; with `arrays` an array's elements are compared one by one, else it has no type."""
        found = lookup(event, self.key)
        if self.operator in (_NULL, _NOT_NULL):
            return (found is None) == (self.operator == _NULL)
        operator = _OPERATORS[self.operator]
        if found is None:
            return operator.without_key
        candidates = found if arrays and isinstance(found, list) else [found]
        typed = [value for value in map(_normal, candidates) if type(value) is operator.compares]
        return any(operator.holds(value, wanted) for value in typed for wanted in self.values) != operator.negated


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """What a subscription wants; no condition wants everything."""

    event_types: tuple[str, ...] = ()
    subject_begins_with: str = ""
    subject_ends_with: str = ""
    subject_case_sensitive: bool = False
    advanced: tuple[AdvancedFilter, ...] = ()
    arrays: bool = False
    """`enableAdvancedFilteringOnArrays`."""

    def matches(self, event: Event) -> bool:
        """Whether the event passes all conditions."""
        return (
            self._wants_type(str(lookup(event, "type")))
            and self._wants_subject(str(lookup(event, "subject") or ""))
            and all(condition.matches(event, arrays=self.arrays) for condition in self.advanced)
        )

    def _wants_type(self, event_type: str) -> bool:
        # Azure's own vectors have event types in odd case: "microsoft.EventHUB.CaptureFileCreated".
        return not self.event_types or event_type.casefold() in {name.casefold() for name in self.event_types}

    def _wants_subject(self, subject: str) -> bool:
        if self.subject_case_sensitive:
            return subject.startswith(self.subject_begins_with) and subject.endswith(self.subject_ends_with)
        folded = subject.casefold()
        return folded.startswith(self.subject_begins_with.casefold()) and folded.endswith(
            self.subject_ends_with.casefold()
        )


def advanced_filters(raw: Sequence[Mapping[str, Any]]) -> tuple[AdvancedFilter, ...]:
    """Read `advancedFilters`; a ValueError names the filter and the fault."""
    parsed = tuple(_advanced_filter(f"advancedFilters[{index}]", item) for index, item in enumerate(raw))
    values = sum(len(condition.values) for condition in parsed)
    if len(parsed) > _MOST or values > _MOST:
        raise ValueError(f"advancedFilters: {len(parsed)} filters with {values} values, the limit is {_MOST} of each")
    return parsed


def lookup(event: Event, key: str) -> Any:
    """The event's value under a filter's key; None when there is none.

    Top-level names are found without case and in both schemas' spelling; below `data` the case must be the event's
    (unverified: the documentation does not say; the strict reading shows a wrong filter before Azure does).
    """
    head, *path = key.split(".")
    fields = {_alias(name): value for name, value in event.body.items()}
    found = fields.get(_alias(head))
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _alias(name: str) -> str:
    folded = name.casefold()
    return _ALIASES.get(folded, folded)


def _normal(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int() | float():
            return float(value)
        case str():
            return value.casefold()
        case _:
            return value


def _advanced_filter(where: str, raw: Mapping[str, Any]) -> AdvancedFilter:
    name, key = raw["operatorType"], raw["key"]
    if name in (_NULL, _NOT_NULL):
        return AdvancedFilter(name, key)
    operator = _OPERATORS.get(name)
    if operator is None:
        raise ValueError(f"{where}.operatorType: {name!r} is none of {', '.join(OPERATORS)}")
    member = "value" if operator.single else "values"
    if member not in raw or (not operator.single and not raw["values"]):
        raise ValueError(f"{where}: {name} needs {member!r}")
    given = [raw["value"]] if operator.single else raw["values"]
    return AdvancedFilter(name, key, tuple(_wanted(f"{where}.{member}", operator, value) for value in given))


def _wanted(where: str, operator: _Operator, value: Any) -> Any:
    if operator.holds is _within:
        if not isinstance(value, list) or [type(_normal(bound)) for bound in value] != [float, float]:
            raise ValueError(f"{where}: a range is two numbers, not {value!r}")
        return tuple(map(float, value))
    normal = _normal(value)
    if type(normal) is not operator.compares:
        wanted = {float: "a number", bool: "true or false", str: "a string"}[operator.compares]
        raise ValueError(f"{where}: must be {wanted}, not {value!r}")
    if isinstance(value, str) and len(value) > _LONGEST:
        raise ValueError(f"{where}: {len(value)} characters, the limit is {_LONGEST}")
    return normal
