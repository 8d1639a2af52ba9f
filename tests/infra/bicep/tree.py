"""The syntax tree of a Bicep file: expressions, type expressions and declarations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

type Scalar = str | int | bool | None


@dataclasses.dataclass(frozen=True, slots=True)
class Literal:
    value: Scalar


@dataclasses.dataclass(frozen=True, slots=True)
class Interpolated:
    """`'a${b}c'`: the literal pieces and the expressions, in order."""

    parts: tuple[Expr, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Object:
    properties: tuple[tuple[Expr, Expr], ...]

    def get(self, key: str) -> Expr | None:
        """The value under a literal key."""
        return next((value for name, value in self.properties if name == Literal(key)), None)


@dataclasses.dataclass(frozen=True, slots=True)
class Array:
    items: tuple[Expr, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """`base` is set for namespace and method calls (`az.resourceId(...)`, `vault.getSecret(...)`)."""

    function: str
    arguments: tuple[Expr, ...]
    base: Expr | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    base: Expr
    name: str
    safe: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Index:
    base: Expr
    index: Expr
    safe: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NonNull:
    base: Expr


@dataclasses.dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    operand: Expr


@dataclasses.dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Expr
    right: Expr


@dataclasses.dataclass(frozen=True, slots=True)
class Ternary:
    condition: Expr
    then: Expr
    otherwise: Expr


@dataclasses.dataclass(frozen=True, slots=True)
class Lambda:
    parameters: tuple[str, ...]
    body: Expr


@dataclasses.dataclass(frozen=True, slots=True)
class For:
    item: str
    index: str | None
    source: Expr
    body: Expr


@dataclasses.dataclass(frozen=True, slots=True)
class If:
    condition: Expr
    body: Expr


type Expr = (
    Literal
    | Interpolated
    | Name
    | Object
    | Array
    | Call
    | Member
    | Index
    | NonNull
    | Unary
    | Binary
    | Ternary
    | Lambda
    | For
    | If
)


@dataclasses.dataclass(frozen=True, slots=True)
class TypeName:
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class TypeLiteral:
    value: Scalar


@dataclasses.dataclass(frozen=True, slots=True)
class TypeArray:
    item: TypeExpr


@dataclasses.dataclass(frozen=True, slots=True)
class TypeOptional:
    inner: TypeExpr


@dataclasses.dataclass(frozen=True, slots=True)
class TypeUnion:
    members: tuple[TypeExpr, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class TypeProperty:
    name: str
    type: TypeExpr
    decorators: tuple[Call, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class TypeObject:
    properties: tuple[TypeProperty, ...]

    def get(self, name: str) -> TypeExpr | None:
        """The declared type of a property."""
        return next((each.type for each in self.properties if each.name == name), None)


type TypeExpr = TypeName | TypeLiteral | TypeArray | TypeOptional | TypeUnion | TypeObject


@dataclasses.dataclass(frozen=True, slots=True)
class Declaration:
    """One top-level statement; which fields are set depends on `kind`."""

    kind: str
    name: str
    line: int
    decorators: tuple[Call, ...] = ()
    type: TypeExpr | None = None
    value: Expr | None = None
    reference: str = ""
    """The resource type and api version, or the module's or import's path."""
    existing: bool = False

    def decorator(self, name: str) -> Call | None:
        return next((each for each in self.decorators if each.function == name), None)

    def body(self) -> Object:
        """The object of a resource or module under its `for` and `if`."""
        value = self.value
        while isinstance(value, For | If):
            value = value.body
        return value if isinstance(value, Object) else Object(())


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    path: str
    declarations: tuple[Declaration, ...]

    def of_kind(self, *kinds: str) -> list[Declaration]:
        return [each for each in self.declarations if each.kind in kinds]

    def named(self, name: str) -> Declaration | None:
        return next((each for each in self.declarations if each.name == name and each.kind != "output"), None)


def children(node: Expr) -> list[Expr]:
    """The expressions directly inside one, in the order of their fields."""
    found: list[Expr] = []
    for field in dataclasses.fields(node):
        found.extend(_expressions(getattr(node, field.name)))
    return found


def _expressions(value: object) -> Iterator[Expr]:
    """A field holds an expression, a tuple of them, pairs of them, or something else."""
    if isinstance(value, tuple):
        for each in value:
            yield from _expressions(each)
    elif isinstance(value, Expr.__value__):
        yield value


def walk(node: Expr) -> list[Expr]:
    """An expression and everything inside it."""
    found = [node]
    for child in children(node):
        found.extend(walk(child))
    return found
