"""Types of Bicep values: literals, objects, unions; and which value may stand where another is expected."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, override

from tests.infra.bicep.tree import Scalar

REQUIRED, READ_ONLY = 1, 2


@dataclasses.dataclass(frozen=True, slots=True)
class Primitive:
    """`least` and `most` bound a number, or the length of a string; `secret`: a value that only secure parameters give."""

    name: str
    least: int | None = None
    most: int | None = None
    pattern: str = ""
    secret: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Exact:
    """One literal value."""

    value: Scalar


@dataclasses.dataclass(frozen=True, slots=True)
class Union:
    members: tuple[Shape, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ArrayOf:
    item: Shape


@dataclasses.dataclass(frozen=True, slots=True)
class Property:
    shape: Shape
    flags: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectOf:
    """`extra` is the type of properties that are not named; None: there may be none."""

    properties: Mapping[str, Property]
    extra: Shape | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Discriminated:
    """An object whose `discriminator` property says which of the elements it is."""

    discriminator: str
    base: Mapping[str, Property]
    elements: Mapping[str, Shape]


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """A type of the published table, resolved when it is looked at: these types are recursive."""

    table: PublishedTypes
    index: int


type Shape = Primitive | Exact | Union | ArrayOf | ObjectOf | Discriminated | Published

ANY, STRING, INT, BOOL, NULL = (Primitive(name) for name in ("any", "string", "int", "bool", "null"))
SECRET = Primitive("string", secret=True)
OBJECT = ObjectOf({}, ANY)
ARRAY = ArrayOf(ANY)


class PublishedTypes:
    """Microsoft's type definitions of the resources that `infra/` uses; remembers which of them were looked at."""

    def __init__(self, resources: Mapping[str, int], nodes: list[Any]) -> None:
        self._resources = {name.lower(): index for name, index in resources.items()}
        self._nodes = nodes
        self.seen: set[int] = set()

    @override
    def __hash__(self) -> int:
        return id(self)

    @classmethod
    def read(cls, path: Path) -> PublishedTypes:
        content = json.loads(path.read_text())
        return cls(content["resources"], content["types"])

    def resource(self, reference: str) -> Shape | None:
        """The body of `type@version`, or None when that version was never published."""
        index = self._resources.get(reference.lower())
        return None if index is None else Published(self, index)

    def index_of(self, reference: str) -> int:
        return self._resources[reference.lower()]

    def node(self, index: int) -> Any:
        return self._nodes[index]

    def shape(self, index: int) -> Shape:
        self.seen.add(index)
        node = self._nodes[index]
        if isinstance(node, str) or "primitive" in node:
            return _primitive(node)
        match node:
            case {"literal": value}:
                return Exact(value)
            case {"union": members}:
                return Union(tuple(Published(self, each) for each in members))
            case {"array": item}:
                return ArrayOf(Published(self, item))
            case {"discriminator": name, "base": base, "elements": elements}:
                return Discriminated(
                    name, self._properties(base), {key: Published(self, each) for key, each in elements.items()}
                )
            case {"object": properties}:
                extra = Published(self, node["extra"]) if "extra" in node else None
                return ObjectOf(self._properties(properties), extra)
            case _:
                raise ValueError(f"type {index} has no known form")

    def _properties(self, stored: Mapping[str, list[int]]) -> dict[str, Property]:
        return {name: Property(Published(self, index), flags) for name, (index, flags) in stored.items()}


def _primitive(node: Any) -> Primitive:
    if isinstance(node, str):
        return Primitive(node)
    return Primitive(
        node["primitive"], node.get("least"), node.get("most"), node.get("pattern", ""), node.get("secret", False)
    )


def resolve(shape: Shape) -> Shape:
    """Look behind a reference into the published table."""
    return shape.table.shape(shape.index) if isinstance(shape, Published) else shape


def of_json(value: object) -> Shape:
    """The type that the compiler gives to loaded JSON: literals, closed objects, arrays of a union."""
    match value:
        case dict():
            return ObjectOf({key: Property(of_json(each), REQUIRED) for key, each in value.items()})
        case list():
            return ArrayOf(union([of_json(each) for each in value]))
        case float():
            return ANY
        case str() | bool() | int() | None:
            return Exact(value)
        case _:
            raise TypeError(f"{value!r} is no JSON")


def union(members: list[Shape]) -> Shape:
    return members[0] if len(members) == 1 else Union(tuple(members))


def member(shape: Shape, name: str) -> Shape | None:
    """The type of `value.name`, or None when the value has no such property."""
    match resolve(shape):
        case Primitive("any"):
            return ANY
        case ObjectOf(properties, extra):
            return properties[name].shape if name in properties else extra
        case Discriminated(_, base, elements):
            found = [each for element in elements.values() if (each := member(element, name)) is not None]
            return base[name].shape if name in base else (union(found) if found else None)
        case Union(members):
            known = [each for one in members if resolve(one) != NULL and (each := member(one, name)) is not None]
            return union(known) if known else None
        case _:
            return None


def item(shape: Shape) -> Shape | None:
    """The type of an array's items, or of an indexed object's values."""
    match resolve(shape):
        case Primitive("any"):
            return ANY
        case ArrayOf(inner):
            return inner
        case ObjectOf() as found:
            return found.extra or ANY
        case Union(members):
            found_items = [each for one in members if (each := item(one)) is not None]
            return union(found_items) if found_items else None
        case _:
            return None


def _primitive_of(value: Scalar) -> Primitive:
    return {str: STRING, bool: BOOL, int: INT, type(None): NULL}[type(value)]


def mismatch(source: Shape, target: Shape) -> str | None:
    """Why a value of one type cannot stand where the other is expected; None: it can."""
    source, target = resolve(source), resolve(target)
    if ANY in (source, target) or source == target or _same_primitive(source, target):
        return None
    match source, target:
        case Union(members), _:
            return next((why for each in members if (why := mismatch(each, target))), None)
        case _, Union(choices):
            return _choice_mismatch(source, choices)
        case Exact(value), Primitive():
            return _literal_mismatch(value, target)
        case ArrayOf(inner), ArrayOf(expected):
            return mismatch(inner, expected)
        case ObjectOf(), ObjectOf():
            return _object_mismatch(source, target)
        case ObjectOf(), Discriminated():
            return _discriminated_mismatch(source, target)
        case _:
            return f"{spell(source)} is no {spell(target)}"


def _same_primitive(source: Shape, target: Shape) -> bool:
    """A value that is not written out may be within the bounds or not: nobody can say."""
    return isinstance(source, Primitive) and isinstance(target, Primitive) and source.name == target.name


def _literal_mismatch(value: Scalar, target: Primitive) -> str | None:
    if _primitive_of(value).name != target.name:
        return f"{value!r} is no {target.name}"
    size = value if isinstance(value, int) else len(str(value))
    if (target.least is not None and size < target.least) or (target.most is not None and size > target.most):
        return f"{value!r} is outside of {target.least} to {target.most}"
    if target.pattern and not re.search(target.pattern, str(value)):
        return f"{value!r} does not match {target.pattern}"
    return None


def _choice_mismatch(source: Shape, choices: tuple[Shape, ...]) -> str | None:
    if isinstance(source, Exact) and isinstance(source.value, str):
        known = _known_words(choices)
        if known and source.value not in known:
            return f"{source.value!r} is none of the published {', '.join(sorted(known))}"
    if any(mismatch(source, each) is None for each in choices):
        return None
    return f"{spell(source)} is none of {spell(Union(choices))}"


def _known_words(choices: tuple[Shape, ...]) -> set[str]:
    """The published values of an enumeration, open or closed: what is written out in a file should be one of them."""
    words: set[str] = set()
    for each in choices:
        match resolve(each):
            case Exact(str(word)):
                words.add(word)
            case Union(members):
                words |= _known_words(members)
            case _:
                pass
    return words


def _object_mismatch(source: ObjectOf, target: ObjectOf) -> str | None:
    for name, wanted in target.properties.items():
        if name not in source.properties and wanted.flags & REQUIRED and source.extra is None:
            return f"lacks {name!r}"
    for name, given in source.properties.items():
        expected = member(target, name)
        if expected is None:
            return f"has an unknown {name!r}"
        if why := mismatch(given.shape, expected):
            return f"{name}: {why}"
    return None


def _discriminated_mismatch(source: ObjectOf, target: Discriminated) -> str | None:
    name = target.discriminator
    chosen = resolve(source.properties[name].shape) if name in source.properties else None
    if not isinstance(chosen, Exact) or chosen.value not in target.elements:
        return f"{name!r} must be one of {', '.join(target.elements)}"
    return mismatch(source, element_of(target, str(chosen.value)))


def element_of(shape: Discriminated, value: str) -> ObjectOf:
    """The object that a value of the discriminator chooses, with the properties that all of them share."""
    element = resolve(shape.elements[value])
    assert isinstance(element, ObjectOf)
    return ObjectOf({**shape.base, **element.properties}, element.extra)


def exposes(source: Shape, target: Shape) -> bool:
    """Whether a value that anybody may read stands where a secret is expected; what is empty or only read later is none."""
    match resolve(source), resolve(target):
        case Union(members), _:
            return any(exposes(each, target) for each in members)
        case _, Union(choices):
            return any(exposes(source, each) for each in choices)
        case Exact(value), Primitive(secret=True):
            return bool(value)
        case Primitive("string", secret=hidden), Primitive(secret=True):
            return not hidden
        case _:
            return False


def spell(shape: Shape) -> str:
    """A type in a message."""
    match resolve(shape):
        case Primitive(name):
            return name
        case Exact(value):
            return repr(value)
        case Union(members):
            return " | ".join(sorted({spell(each) for each in members}))
        case ArrayOf(inner):
            return f"({spell(inner)})[]" if isinstance(resolve(inner), Union) else f"{spell(inner)}[]"
        case Discriminated(name):
            return f"object by {name}"
        case _:
            return "object"
