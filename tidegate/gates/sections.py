"""Mappings of a gates file: which keys they may have, and what stands for one that is absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tidegate.flows.base import Pairs
from tidegate.gates.cursor import Cursor
from tidegate.gates.problems import did_you_mean


def section(
    cursor: Cursor,
    allowed: Sequence[str],
    *,
    required: Sequence[str] = (),
    later: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Cursor]:
    """The values of a mapping by key; unknown and missing keys are faults."""
    entries = cursor.entries()
    for name, key, _ in entries:
        if name in later:
            key.fault(later[name])
        elif name not in allowed:
            key.fault(f"unknown key{did_you_mean(name, allowed)}; allowed: {', '.join(allowed)}")
    found = {name: value for name, _, value in entries if name in allowed}
    if entries or cursor.kind == "map":
        for name in required:
            if name not in found:
                cursor.fault(f"the key {name!r} is missing")
    return found


def pairs(cursor: Cursor, parse_name: Callable[[str], str], parse_value: Callable[[str], str]) -> Pairs:
    """A mapping of the user's own names, sorted: its order in the file means nothing."""
    read = [(key.parsed(parse_name), value.parsed(parse_value)) for _, key, value in cursor.entries()]
    return tuple(sorted((name, value) for name, value in read if name is not None and value is not None))


def value[T](keys: Mapping[str, Cursor], name: str, read: Callable[[Cursor], T | None], default: T) -> T:
    """What the key says; the default if the key is absent, or faulty: then the fault is noted and the load fails."""
    found = read(keys[name]) if name in keys else None
    return default if found is None else found
