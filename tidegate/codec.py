"""Values to text and back, for records and queue messages: tagged with the name of their type, and versioned.

Text is most of what is stored, so it is passed on without a call; a storm of alerts is read and written thousands of times.

Only frozen dataclasses that were registered take part, so text from a queue can never name another class. A field that is new
has a default, and text written before it existed is read with that default; a field that is gone is dropped. A change that
this cannot bridge raises VERSION and adds a step to `_UPGRADES`.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from tidegate.errors import PermanentError

VERSION = 1
_UPGRADES: dict[int, Callable[[Any], Any]] = {}
"""From a version to the next: a function on the parsed JSON."""


class Codec:
    """Encodes values built of the given dataclasses, text, numbers, times, tuples and None."""

    def __init__(self, kinds: Iterable[type[Any]]) -> None:
        self._kinds: dict[str, type[Any]] = {}
        for kind in kinds:
            if self._kinds.setdefault(kind.__name__, kind) is not kind:
                raise ValueError(f"two types are called {kind.__name__}")

    def encode(self, value: object) -> str:
        """One line of JSON with the version beside the value."""
        return json.dumps({"v": VERSION, "value": self._plain(value)}, separators=(",", ":"), ensure_ascii=False)

    def decode(self, text: str) -> Any:
        """The value. PermanentError: not text of this codec, or of a version newer than this code."""
        try:
            body = json.loads(text)
            version, value = body["v"], body["value"]
            while version < VERSION:
                value, version = _UPGRADES[version](value), version + 1
            if version != VERSION:
                raise PermanentError(f"written by a newer version ({version}, this is {VERSION}); deploy it again")
            return self._value(value, Any)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PermanentError(f"not a stored value: {type(error).__name__}: {error}") from error

    def _plain(self, value: object) -> Any:
        match value:
            case None | str() | bool() | int() | float():
                return value
            case tuple():
                return [item if type(item) is str else self._plain(item) for item in value]
            case datetime.datetime():
                return {"": "time", "at": value.astimezone(datetime.UTC).isoformat()}
            case _ if type(value).__name__ in self._kinds:
                plain: dict[str, Any] = {"": type(value).__name__}
                for name in _fields(type(value)):
                    found = getattr(value, name)
                    plain[name] = found if type(found) is str else self._plain(found)
                return plain
            case _:
                raise TypeError(f"{type(value).__name__} is not registered with the codec")

    def _value(self, plain: Any, hint: Any) -> Any:
        match plain:
            case list():
                inner = _items(hint)
                return tuple([item if type(item) is str else self._value(item, inner) for item in plain])
            case {"": "time", "at": str(text)}:
                return datetime.datetime.fromisoformat(text)
            case {"": str(name)}:
                kind = self._kinds[name]
                return kind(
                    **{
                        field: found if type(found := plain[field]) is str else self._value(found, hint)
                        for field, hint in _fields(kind).items()
                        if field in plain
                    }
                )
            case dict():
                raise ValueError("an object without the name of its type")
            case int() if hint is float:
                return float(plain)
            case _:
                return plain


def _fields(kind: type[Any]) -> dict[str, Any]:
    if kind not in _FIELDS:
        hints = typing.get_type_hints(kind)
        _FIELDS[kind] = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return _FIELDS[kind]


_FIELDS: dict[type[Any], dict[str, Any]] = {}
"""Fields with their resolved types; resolving is slow and never changes."""


@functools.cache
def _items(hint: Any) -> Any:
    arguments = typing.get_args(hint)
    return arguments[0] if arguments else Any


def kinds_of(*roots: Any) -> set[type[Any]]:
    """Every dataclass that values of these types and unions can be built of."""
    found: set[type[Any]] = set()
    for root in roots:
        _collect(root, found)
    return found


def _collect(hint: Any, found: set[type[Any]]) -> None:
    if isinstance(hint, typing.TypeAliasType):
        _collect(hint.__value__, found)
        return
    origin = typing.get_origin(hint)
    if isinstance(origin, typing.TypeAliasType):
        _collect(origin.__value__, found)
    kind = origin if isinstance(origin, type) and origin is not types.UnionType else hint
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind not in found:
        found.add(kind)
        for field_hint in _fields(kind).values():
            _collect(field_hint, found)
    for argument in typing.get_args(hint):
        _collect(argument, found)
