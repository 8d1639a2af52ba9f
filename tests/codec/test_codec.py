"""Records and messages as text: what is written is read again, by this version and by those before and after it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import types
import typing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.flows import delivery_samples, endpoint_samples
from tests.flows.samples import COMMANDS, IMAGE_STATES, NOW, TAG_STATES, before_targets, image_events, tag_events
from tidegate.codec import VERSION, Codec, kinds_of
from tidegate.composition import CODEC
from tidegate.errors import PermanentError
from tidegate.flows.base import After
from tidegate.flows.deliveries import delivery_messages, delivery_states
from tidegate.flows.endpoints import endpoint_states, rollout_messages
from tidegate.flows.images import image_messages as im
from tidegate.flows.images import image_states as st
from tidegate.flows.images import tag_ownership as own
from tidegate.records import Entry, Lease, ListRecord, Record

GOLDEN = pathlib.Path(__file__).parent / "golden.json"
"""Text as it lies in storage, by the name of the sample. A line that can no longer be read is a record that is lost:
an incompatible change raises VERSION and adds an upgrade. New samples are added by `python -m tests.codec.golden`."""

KINDS = kinds_of(
    *(Record, ListRecord, st.State, im.Event, im.Command, own.State, own.Event, own.Command),
    *(delivery_states.State, delivery_messages.Event, delivery_messages.Command),
    *(endpoint_states.State, rollout_messages.Event, rollout_messages.Command),
)


def one_of_each(samples: dict[str, Any]) -> dict[str, Any]:
    """The first sample of every kind: others of it are written by the same rule."""
    kinds = {type(value): name for name, value in reversed(samples.items())}
    return {name: value for name, value in samples.items() if kinds[type(value)] == name}


VALUES: dict[str, Any] = {
    **{f"image state: {name}": before_targets(value) for name, value in IMAGE_STATES.items()},
    **{f"placed image state: {name}": value for name, value in one_of_each(IMAGE_STATES).items()},
    **{f"image event: {name}": value for name, value in image_events(2).items()},
    **{f"tag state: {name}": value for name, value in TAG_STATES.items()},
    **{f"tag event: {name}": value for name, value in tag_events(2).items()},
    **{f"command: {name}": value for name, value in COMMANDS.items()},
    **{f"delivery state: {name}": value for name, value in one_of_each(delivery_samples.STATES).items()},
    **{f"delivery event: {name}": value for name, value in one_of_each(delivery_samples.events(2)).items()},
    **{f"endpoint state: {name}": value for name, value in one_of_each(endpoint_samples.STATES).items()},
    **{f"endpoint event: {name}": value for name, value in one_of_each(endpoint_samples.events(2)).items()},
    "record": Record(
        before_targets(IMAGE_STATES["testing-running"]),
        NOW,
        (Entry(3, COMMANDS["check-test"], NOW, NOW, 2), Entry(4, ListRecord(), NOW, NOW)),
        4,
        7,
        Lease("worker", NOW),
    ),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_comes_back_from_its_text(value: Any) -> None:
    text = CODEC.encode(value)
    again = CODEC.decode(text)
    assert (again, type(again)) == (value, type(value))
    assert "\n" not in text


_TIMES = some.datetimes(
    datetime.datetime(1970, 1, 1),  # noqa: DTZ001  # the zone is drawn beside it
    datetime.datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=some.just(datetime.UTC),
)
_PLAIN: dict[Any, some.SearchStrategy[Any]] = {
    str: some.text(max_size=20),
    int: some.integers(),
    bool: some.booleans(),
    float: some.floats(allow_nan=False),
    type(None): some.none(),
    datetime.datetime: _TIMES,
    object: some.sampled_from(list(COMMANDS.values())),
}


def values_of(hint: Any) -> some.SearchStrategy[Any]:
    """Any value of a type, as deep as it goes."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, typing.TypeVar):
        return _PLAIN[object]
    if isinstance(hint, typing.TypeAliasType):
        return values_of(hint.__value__)
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Literal:
            return some.sampled_from(arguments)
        case origin if origin is tuple and arguments[-1] is ...:
            return some.lists(values_of(arguments[0]), max_size=3).map(tuple)
        case origin if origin is tuple:
            return some.tuples(*map(values_of, arguments))
        case types.UnionType | typing.Union:
            return some.one_of(*map(values_of, arguments))
        case _:
            hints = typing.get_type_hints(hint)
            fields = {field.name: values_of(hints[field.name]) for field in dataclasses.fields(hint)}
            return some.builds(hint, **fields)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.sampled_from(sorted(KINDS, key=lambda kind: kind.__name__)).flatmap(values_of))
def test_any_value_of_any_kind_comes_back(value: Any) -> None:
    assert CODEC.decode(CODEC.encode(value)) == value


def test_what_was_written_before_can_still_be_read() -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    assert golden.keys() == VALUES.keys(), "run python -m tests.codec.golden and read the difference"
    assert {name: CODEC.decode(text) for name, text in golden.items()} == VALUES


# Other versions ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Old:
    """A kind as it was."""

    name: str
    gone: int


def _as(kind: type[Any]) -> Codec:
    """A codec in which the kind takes the place of `Old`."""
    named = dataclasses.make_dataclass("Old", [(f.name, f.type, f) for f in dataclasses.fields(kind)], frozen=True)
    return Codec([named])


@dataclasses.dataclass(frozen=True, slots=True)
class WithAnother:
    """The kind with a field more, and one gone."""

    name: str
    added: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class WithoutDefault:
    """The kind with a field that nobody wrote."""

    name: str
    gone: int
    added: str


def test_a_field_that_is_new_has_its_default_and_one_that_is_gone_is_dropped() -> None:
    text = Codec([Old]).encode(Old("x", 7))
    again = _as(WithAnother).decode(text)
    assert (again.name, again.added) == ("x", ())
    assert not hasattr(again, "gone")


def test_a_field_that_nobody_wrote_is_refused() -> None:
    with pytest.raises(PermanentError, match="not a stored value: TypeError"):
        _as(WithoutDefault).decode(Codec([Old]).encode(Old("x", 7)))


def test_text_of_a_newer_version_is_refused_in_words_that_say_what_to_do() -> None:
    text = json.dumps({"v": VERSION + 1, "value": None})
    with pytest.raises(PermanentError, match="written by a newer version"):
        CODEC.decode(text)


GARBAGE: dict[str, str] = {
    "nothing": "",
    "no JSON": "{",
    "no object": "7",
    "null": "null",
    "a list": "[]",
    "no version": '{"value":null}',
    "no value": '{"v":1}',
    "a version of no kind": '{"v":"1","value":null}',
    "an older version without an upgrade": '{"v":0,"value":null}',
    "an unknown kind": '{"v":1,"value":{"":"Popen","args":["x"]}}',
    "a kind of no name": '{"v":1,"value":{"name":"x"}}',
    "a kind that is no text": '{"v":1,"value":{"":7}}',
    "a time that is none": '{"v":1,"value":{"":"time","at":"yesterday"}}',
    "a time without a time": '{"v":1,"value":{"":"time"}}',
    "nested without end": '{"v":1,"value":' + "[" * 200_000,
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE.keys())
def test_text_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(PermanentError):
        CODEC.decode(text)


@given(
    some.text()
    | some.recursive(
        some.none() | some.integers() | some.text(),
        lambda inner: some.lists(inner) | some.dictionaries(some.sampled_from(["", "v", "value", "at"]), inner),
    ).map(json.dumps)
)
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_value_or_refused(text: str) -> None:
    try:
        value = CODEC.decode(text)
    except PermanentError:
        return
    assert CODEC.decode(CODEC.encode(value)) == value


# What takes part ---------------------------------------------------------------------------------------------------


def test_only_registered_kinds_are_written() -> None:
    with pytest.raises(TypeError, match="Old is not registered"):
        CODEC.encode(Old("x", 7))
    with pytest.raises(TypeError, match="set is not registered"):
        CODEC.encode({1, 2})


def test_two_kinds_of_one_name_are_refused_at_once() -> None:
    other = dataclasses.make_dataclass("Old", ["name"])
    with pytest.raises(ValueError, match="two types are called Old"):
        Codec([Old, other])


def test_times_are_written_in_utc() -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    moment = datetime.datetime(2026, 3, 2, 10, 0, tzinfo=east)
    assert '"at":"2026-03-02T08:00:00+00:00"' in CODEC.encode(moment)


def test_every_kind_a_command_may_wait_in_is_found() -> None:
    assert After in kinds_of(im.Command)
    assert own.TagSettled in kinds_of(own.Command)
