"""Infers the type of every expression of one file; reports what it names and is not there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.infra.bicep import functions, shapes, tree
from tests.infra.bicep.project import Project
from tests.infra.bicep.shapes import ANY, ObjectOf, Property, Shape
from tests.infra.bicep.tree import Declaration, Expr, TypeExpr

_TYPE_WORDS: dict[str, Shape] = {
    "string": shapes.STRING,
    "int": shapes.INT,
    "bool": shapes.BOOL,
    "object": shapes.OBJECT,
    "array": shapes.ARRAY,
}


@dataclasses.dataclass(slots=True)
class Inference:
    """The symbols of one file. `line` is the declaration that is being looked at; findings name it."""

    project: Project
    path: Path
    file: tree.File
    line: int = 0
    used: set[str] = dataclasses.field(default_factory=set)
    loops: list[dict[str, Shape]] = dataclasses.field(default_factory=list)
    resolving: list[str] = dataclasses.field(default_factory=list)

    def report(self, message: str) -> None:
        self.project.report(self.path, self.line, message)

    def other(self, reference: str) -> Inference | None:
        """The symbols of the file that a module or an import names."""
        path = (self.path.parent / reference).resolve()
        found = self.project.files.get(path)
        return None if found is None else Inference(self.project, path, found, self.line)

    # What a file declares.

    def declared_type(self, declaration: Declaration) -> Shape:
        """The type of a parameter or an output; `@allowed` narrows it."""
        if allowed := declaration.decorator("allowed"):
            (choices,) = allowed.arguments
            return shapes.item(self.infer(choices)) or ANY
        assert declaration.type is not None
        found = self.type(declaration.type)
        return shapes.SECRET if found == shapes.STRING and declaration.decorator("secure") else found

    def parameters(self) -> dict[str, Property]:
        """What a call of this file as a module must and may give; a module keeps a secret that its caller does not."""
        found: dict[str, Property] = {}
        for each in self.file.of_kind("param"):
            optional = each.value is not None or isinstance(each.type, tree.TypeOptional)
            shape = self.declared_type(each)
            given = shapes.STRING if shape == shapes.SECRET else shape
            found[each.name] = Property(given, 0 if optional else shapes.REQUIRED)
        return found

    def outputs(self) -> Shape:
        """What a module of this file gives."""
        found = {each.name: Property(self.declared_type(each)) for each in self.file.of_kind("output")}
        return ObjectOf({"name": Property(shapes.STRING), "outputs": Property(ObjectOf(found))})

    def type(self, expression: TypeExpr) -> Shape:
        """The type that a type expression means."""
        match expression:
            case tree.TypeName(name):
                return self._named_type(name)
            case tree.TypeLiteral(value):
                return shapes.Exact(value)
            case tree.TypeArray(item):
                return shapes.ArrayOf(self.type(item))
            case tree.TypeOptional(inner):
                return shapes.Union((self.type(inner), shapes.NULL))
            case tree.TypeUnion(members):
                return shapes.Union(tuple(self.type(each) for each in members))
            case tree.TypeObject(properties):
                return ObjectOf({each.name: self._type_property(each) for each in properties})

    def _type_property(self, declared: tree.TypeProperty) -> Property:
        optional = isinstance(declared.type, tree.TypeOptional)
        return Property(self.type(declared.type), 0 if optional else shapes.REQUIRED)

    def _named_type(self, name: str) -> Shape:
        if name in _TYPE_WORDS:
            return _TYPE_WORDS[name]
        declared = self.file.named(name)
        if declared is None or declared.kind not in {"type", "import"}:
            self.report(f"unknown type {name!r}")
            return ANY
        self.used.add(name)
        if declared.type is not None:
            return self.type(declared.type)
        source = self.other(declared.reference)
        found = source.file.named(name) if source else None
        if source is None or found is None or found.type is None or found.decorator("export") is None:
            self.report(f"{declared.reference} exports no {name!r}")
            return ANY
        return source.type(found.type)

    # Expressions.

    def infer(self, value: Expr) -> Shape:
        """The type of an expression; reports unknown symbols, members and functions inside it."""
        match value:
            case tree.Literal(literal):
                return shapes.Exact(literal)
            case tree.Name(name):
                return self._symbol(name)
            case tree.Call():
                return self._call(value)
            case tree.Member() | tree.Index():
                return self._access(value)
            case tree.Object() | tree.Array() | tree.For() | tree.Lambda():
                return self._structure(value)
            case _:
                return _result(value, [self.infer(each) for each in tree.children(value)])

    def _structure(self, value: tree.Object | tree.Array | tree.For | tree.Lambda) -> Shape:
        match value:
            case tree.Object(properties):
                return self._object(properties)
            case tree.Array(items):
                return shapes.ArrayOf(shapes.union([self.infer(each) for each in items]))
            case tree.For():
                with self.loop(value):
                    return shapes.ArrayOf(self.infer(value.body))
            case tree.Lambda():
                return self._lambda(value, ANY)

    @contextmanager
    def loop(self, loop: tree.For) -> Iterator[None]:
        """Inside of a loop its item and index are symbols."""
        source = self.infer(loop.source)
        item = shapes.item(source)
        if item is None:
            self.report(f"a loop needs an array, not {shapes.spell(source)}")
        self._bind({loop.item: item or ANY} | ({loop.index: shapes.INT} if loop.index else {}))
        try:
            yield
        finally:
            self.loops.pop()

    def _bind(self, names: dict[str, Shape]) -> None:
        """Let names stand for something in here; one that stands for something else outside of it confuses readers."""
        for name in names:
            if self.file.named(name) is not None or any(name in scope for scope in self.loops):
                self.report(f"{name!r} hides another of this name")
        self.loops.append(names)

    def _lambda(self, value: tree.Lambda, item: Shape) -> Shape:
        self._bind(dict.fromkeys(value.parameters, item))
        try:
            return self.infer(value.body)
        finally:
            self.loops.pop()

    def _object(self, properties: tuple[tuple[Expr, Expr], ...]) -> Shape:
        named: dict[str, Property] = {}
        extra: Shape | None = None
        for key, each in properties:
            inferred = self.infer(each)
            if isinstance(key, tree.Literal):
                named[str(key.value)] = Property(inferred, shapes.REQUIRED)
            else:
                self.infer(key)
                extra = ANY
        return ObjectOf(named, extra)

    def _access(self, value: tree.Member | tree.Index) -> Shape:
        base = self.infer(value.base)
        if isinstance(value, tree.Index):
            self.infer(value.index)
            found, what, safe = shapes.item(base), "[...]", value.safe
        else:
            found, what, safe = shapes.member(base, value.name), value.name, value.safe
        if found is None and not safe:
            self.report(f"{shapes.spell(base)} has no {what!r}")
        return shapes.Union((found or ANY, shapes.NULL)) if safe else found or ANY

    def _symbol(self, name: str) -> Shape:
        for scope in reversed(self.loops):
            if name in scope:
                return scope[name]
        declared = self.file.named(name)
        if declared is None:
            self.report(f"unknown symbol {name!r}")
            return ANY
        self.used.add(name)
        if name in self.resolving:
            self.report(f"{name!r} depends on itself")
            return ANY
        self.resolving.append(name)
        outer, self.loops = self.loops, []
        try:
            return self._declared(declared)
        finally:
            self.loops = outer
            self.resolving.pop()

    def _declared(self, declared: Declaration) -> Shape:
        match declared.kind:
            case "param":
                return self.declared_type(declared)
            case "var" if declared.value is not None:
                return self.infer(declared.value)
            case "resource":
                found = self.project.types.resource(declared.reference) or ANY
            case "module":
                target = self.other(declared.reference)
                found = target.outputs() if target else ANY
            case _:
                self.report(f"{declared.name!r} is no value")
                return ANY
        return shapes.ArrayOf(found) if isinstance(declared.value, tree.For) else found

    # Calls.

    def _call(self, call: tree.Call) -> Shape:
        if call.base is not None and call.base not in {tree.Name("az"), tree.Name("sys")}:
            for each in (call.base, *call.arguments):
                self.infer(each)
            return ANY
        if call.function in functions.LOADING:
            return self._load(call)
        known = functions.FUNCTIONS.get(call.function)
        if known is None:
            self.report(f"unknown function {call.function}()")
        elif not known.least <= len(call.arguments) <= known.most:
            self.report(f"{call.function}() takes {known.least} to {known.most} arguments")
        first, given = self._arguments(call)
        if special := _GENERIC.get(call.function):
            return special(first, given)
        return known.result if known else ANY

    def _arguments(self, call: tree.Call) -> tuple[Shape, list[Shape]]:
        """Types of the arguments; the parameter of a lambda is an item of the first of them."""
        first = self.infer(call.arguments[0]) if call.arguments else ANY
        item = shapes.item(first) or ANY
        rest = (
            self._lambda(each, item) if isinstance(each, tree.Lambda) else self.infer(each)
            for each in call.arguments[1:]
        )
        return first, [first, *rest]

    def _load(self, call: tree.Call) -> Shape:
        first = call.arguments[0]
        if not isinstance(first, tree.Literal):
            self.report(f"{call.function}() needs a literal path")
            return ANY
        path = self.path.parent / str(first.value)
        if not path.is_file():
            self.report(f"{call.function}(): no file {first.value}")
            return ANY
        if call.function != "loadJsonContent":
            return shapes.STRING
        try:
            return shapes.of_json(json.loads(path.read_text()))
        except json.JSONDecodeError as error:
            self.report(f"{first.value} is no JSON: {error}")
            return ANY


def _concatenated(_first: Shape, given: list[Shape]) -> Shape:
    return shapes.ArrayOf(shapes.union([shapes.item(each) or ANY for each in given]))


_GENERIC: dict[str, Callable[[Shape, list[Shape]], Shape]] = {
    "concat": _concatenated,
    "filter": lambda first, _given: first,
    "flatten": lambda first, _given: shapes.item(first) or ANY,
    "map": lambda _first, given: shapes.ArrayOf(given[1]),
}
"""Functions whose result has the type of what they are given."""


def _result(value: Expr, inner: list[Shape]) -> Shape:
    """The type of an operation over operands of these types."""
    match value:
        case tree.NonNull():
            return _not_null(inner[0])
        case tree.Interpolated():
            return shapes.STRING
        case tree.Ternary():
            return shapes.Union((inner[1], inner[2]))
        case tree.Binary("??", _, _):
            return shapes.Union((_not_null(inner[0]), inner[1]))
        case tree.Binary("+" | "-" | "*" | "/" | "%", _, _) | tree.Unary("-", _):
            return shapes.INT
        case _:
            return shapes.BOOL


def _not_null(shape: Shape) -> Shape:
    match shapes.resolve(shape):
        case shapes.Union(members):
            kept = [each for each in members if shapes.resolve(each) not in (shapes.NULL, shapes.Exact(None))]
            return shapes.union(kept or [ANY])
        case _:
            return shape
