"""Cursors over a YAML document: each read notes its faults and goes on, so that one run shows all of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection

import yaml

from tidegate.gates.problems import Problem, did_you_mean, shown

_TAG = "tag:yaml.org,2002:"
# YAML 1.1 also has octal, hexadecimal and base 60 (1:30); nobody means them here.
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,9})?")
_KINDS = {
    "map": "a mapping",
    "seq": "a list",
    "str": "text",
    "null": "nothing",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "timestamp": "a date",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Cursor:
    """One value of the document. A reading method returns the value, or notes the fault and returns None or nothing."""

    file: str
    node: yaml.Node
    field: str
    problems: list[Problem]

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    @property
    def kind(self) -> str:
        """YAML's own name of the type (`str`, `int`, `map` ...), after its implicit rules."""
        return str(self.node.tag).removeprefix(_TAG)

    def fault(self, text: str) -> None:
        self.problems.append(Problem(self.file, self.line, int(self.node.start_mark.column) + 1, self.field, text))

    def entries(self) -> list[tuple[str, Cursor, Cursor]]:
        """Name, key and value of each entry of a mapping; a key that is no text, or is written twice, is a fault."""
        if not isinstance(self.node, yaml.MappingNode) or self.kind != "map":
            self.fault(f"expected a mapping, found {self._found()}")
            return []
        found: dict[str, tuple[str, Cursor, Cursor]] = {}
        for key_node, value_node in self.node.value:
            key = self._below(key_node, "")
            if key.kind == "merge":
                key.fault("merge keys are not supported; repeat the settings, or use an alias for a whole value")
                continue
            name = key.text(what="a key")
            if name is None:
                continue
            field = f"{self.field}.{name}" if self.field else name
            if name in found:
                self._below(key_node, f".{name}").fault(f"written twice; first on line {found[name][1].line}")
            else:
                key = dataclasses.replace(key, field=field)
                found[name] = (name, key, dataclasses.replace(key, node=value_node))
        return list(found.values())

    def items(self, *, empty: bool = False) -> list[Cursor]:
        """The values of a list; `empty`: it may have none."""
        if not isinstance(self.node, yaml.SequenceNode) or self.kind != "seq":
            self.fault(f"expected a list, found {self._found()}")
            return []
        if not self.node.value and not empty:
            self.fault("the list is empty")
        return [self._below(node, f"[{index}]") for index, node in enumerate(self.node.value)]

    def scalar(self, what: str) -> str | None:
        """The characters of a single value, whichever of YAML's own types it has."""
        if isinstance(self.node, yaml.ScalarNode) and self.kind in _KINDS and self.kind != "null":
            return str(self.node.value)
        self.fault(f"expected {what}, found {self._found()}")
        return None

    def text(self, what: str = "text") -> str | None:
        """A string. What YAML takes for something else is a fault, not converted: versions of YAML differ on `no`."""
        value = self.scalar(what)
        if value is not None and self.kind != "str":
            self.fault(f"{shown(value)} is not text here ({self._found()}); write it in quotes")
            return None
        return value

    def parsed[T](self, parse: Callable[[str], T], what: str = "text") -> T | None:
        """A string with a rule: `parse` returns the value or raises ValueError with the rule."""
        value = self.text(what)
        return None if value is None else self._ruled(parse, value)

    def each[T](self, parse: Callable[[str], T], *, empty: bool = False) -> tuple[T, ...]:
        """The values of a list of distinct strings with a rule; `empty`: it may have none."""
        values: list[T] = []
        for item in self.items(empty=empty):
            value = item.parsed(parse)
            if value in values:
                item.fault(f"{shown(str(item.node.value))} is in the list twice")
            elif value is not None:
                values.append(value)
        return tuple(values)

    def one_or_each[T](self, parse: Callable[[str], T]) -> tuple[T, ...]:
        """Like `each`, but a single string may stand without a list."""
        if self.kind == "seq":
            return self.each(parse)
        value = self.parsed(parse, "text or a list, in quotes where it begins with {")
        return () if value is None else (value,)

    def quantity[T](self, parse: Callable[[str], T], what: str) -> T | None:
        """A number with its unit; a number alone gets the message about the unit, not the one about quotes."""
        value = self.scalar(what)
        return None if value is None else self._ruled(parse, value)

    def choice[W: str](self, allowed: Collection[W], later: Collection[str] = ()) -> W | None:
        """One of the allowed words; `later`: words that a later version will allow."""
        words = ", ".join(allowed)
        value = self.scalar(f"one of {words}")
        if value is None:
            return None
        for word in allowed:
            if word == value:
                return word
        fault = "is not available yet" if value in later else f"is not allowed{did_you_mean(value, allowed)}"
        self.fault(f"{shown(value)} {fault}; allowed: {words}")
        return None

    def number(self, low: float, high: float) -> float | None:
        value = self.scalar(what := f"a number from {low} to {high}")
        if value is None:
            return None
        if self.kind in {"int", "float"} and _DECIMAL.fullmatch(value) and low <= float(value) <= high:
            return float(value)
        self.fault(f"{shown(value)} is not {what}")
        return None

    def integer(self, low: int, high: int) -> int | None:
        value = self.scalar(what := f"a whole number from {low} to {high}")
        if value is None:
            return None
        if self.kind == "int" and _WHOLE.fullmatch(value) and low <= int(value) <= high:
            return int(value)
        self.fault(f"{shown(value)} is not {what}")
        return None

    def boolean(self) -> bool | None:
        """`true` or `false`, the two spellings all versions of YAML agree on."""
        value = self.scalar("true or false")
        if value in {"true", "false"} and self.kind == "bool":
            return value == "true"
        if value is not None:
            self.fault(f"{shown(value)} is not allowed; allowed: true, false")
        return None

    def _ruled[T](self, parse: Callable[[str], T], value: str) -> T | None:
        try:
            return parse(value)
        except ValueError as error:
            self.fault(str(error))
            return None

    def _below(self, node: yaml.Node, step: str) -> Cursor:
        return dataclasses.replace(self, node=node, field=(self.field + step).removeprefix("."))

    def _found(self) -> str:
        return _KINDS.get(self.kind, f"the unknown tag {self.kind}")
