"""Checks a tree of Bicep files: symbols, types, modules, published resource types, loaded files, cycles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from tests.infra.bicep import functions, shapes, tree
from tests.infra.bicep.parse import parse_file
from tests.infra.bicep.shapes import ANY, ObjectOf, Property, PublishedTypes, Shape
from tests.infra.bicep.tokens import BicepSyntaxError
from tests.infra.bicep.tree import Declaration, Expr, TypeExpr

_TYPE_WORDS = {"string": shapes.STRING, "int": shapes.INT, "bool": shapes.BOOL, "object": shapes.OBJECT, "array": shapes.ARRAY}
_RESOURCE_META = {"parent": ANY, "scope": ANY, "dependsOn": ANY, "name": shapes.STRING}


class Project:
    """Every file of a folder, parsed once; `findings` are sentences that name file and line."""

    def __init__(self, root: Path, types: PublishedTypes) -> None:
        self.root = root
        self.types = types
        self.findings: list[str] = []
        self.files: dict[Path, tree.File] = {}
        for path in sorted(root.rglob("*.bicep")):
            try:
                self.files[path.resolve()] = parse_file(path)
            except BicepSyntaxError as error:
                self.findings.append(str(error))

    def check(self) -> list[str]:
        for path, parsed in self.files.items():
            _FileCheck(self, path, parsed).run()
        return self.findings


@dataclasses.dataclass(slots=True)
class _FileCheck:
    project: Project
    path: Path
    file: tree.File
    line: int = 0
    loops: list[dict[str, Shape]] = dataclasses.field(default_factory=list)
    used: set[str] = dataclasses.field(default_factory=set)
    resolving: list[str] = dataclasses.field(default_factory=list)

    def report(self, message: str) -> None:
        finding = f"{self.path.relative_to(self.project.root.resolve())}:{self.line}: {message}"
        if finding not in self.project.findings:
            self.project.findings.append(finding)

    def run(self) -> None:
        self._names_are_declared_once()
        for declaration in self.file.declarations:
            self.line = declaration.line
            self._decorators(declaration)
            self._declaration(declaration)
        self._everything_is_used()
        self._no_cycles()

    def _names_are_declared_once(self) -> None:
        names = [each.name for each in self.file.declarations if each.kind != "output"]
        for name in {each for each in names if names.count(each) > 1}:
            self.report(f"{name!r} is declared twice")

    def _decorators(self, declaration: Declaration) -> None:
        for decorator in declaration.decorators:
            if decorator.function not in functions.DECORATORS:
                self.report(f"unknown decorator @{decorator.function}")

    def _declaration(self, declaration: Declaration) -> None:
        match declaration.kind:
            case "param" | "output":
                self._typed_value(declaration)
            case "type" if declaration.type is not None:
                self._type(declaration.type)
            case "var" | "targetScope" if declaration.value is not None:
                self.infer(declaration.value)
            case "resource":
                self._resource(declaration)
            case "module":
                self._module(declaration)
            case "import":
                self._type(tree.TypeName(declaration.name))
                self.used.discard(declaration.name)

    def _typed_value(self, declaration: Declaration) -> None:
        assert declaration.type is not None
        declared = self._type(declaration.type)
        if allowed := declaration.decorator("allowed"):
            declared = self._allowed(allowed)
        if declaration.value is not None:
            self.assign(declaration.value, declared, declaration.name)

    def _allowed(self, decorator: tree.Call) -> Shape:
        (choices,) = decorator.arguments
        assert isinstance(choices, tree.Array)
        return shapes.union([self.infer(each) for each in choices.items])

    # Types.

    def _type(self, expression: TypeExpr) -> Shape:
        match expression:
            case tree.TypeName(name):
                return self._named_type(name)
            case tree.TypeLiteral(value):
                return shapes.Exact(value)
            case tree.TypeArray(item):
                return shapes.ArrayOf(self._type(item))
            case tree.TypeOptional(inner):
                return shapes.Union((self._type(inner), shapes.NULL))
            case tree.TypeUnion(members):
                return shapes.Union(tuple(self._type(each) for each in members))
            case tree.TypeObject(properties):
                return ObjectOf(
                    {each.name: Property(self._type(each.type), 0 if isinstance(each.type, tree.TypeOptional) else shapes.REQUIRED) for each in properties}
                )

    def _named_type(self, name: str) -> Shape:
        if name in _TYPE_WORDS:
            return _TYPE_WORDS[name]
        declared = self.file.named(name)
        if declared is None or declared.kind not in ("type", "import"):
            self.report(f"unknown type {name!r}")
            return ANY
        self.used.add(name)
        if declared.kind == "type" and declared.type is not None:
            return self._type(declared.type)
        source = (self.path.parent / declared.reference).resolve()
        imported = self.project.files.get(source)
        found = imported.named(name) if imported else None
        if imported is None or found is None or found.type is None or found.decorator("export") is None:
            self.report(f"{declared.reference} exports no {name!r}")
            return ANY
        return dataclasses.replace(self, path=source, file=imported, used=set())._type(found.type)

    # Resources and modules.

    def _resource(self, declaration: Declaration) -> None:
        shape = self.project.types.resource(declaration.reference)
        if shape is None:
            self.report(f"unknown resource type or api version {declaration.reference}")
            return
        self._unwrap(declaration.value, declaration.existing, shape)

    def _unwrap(self, value: Expr | None, existing: bool, shape: Shape) -> None:
        match value:
            case tree.For():
                self._in_loop(value, lambda body: self._unwrap(body, existing, shape))
            case tree.If(condition, body):
                self.assign(condition, shapes.BOOL, "if")
                self._unwrap(body, existing, shape)
            case tree.Object():
                self._resource_body(value, existing, shape)

    def _resource_body(self, body: tree.Object, existing: bool, shape: Shape) -> None:
        meta = [(key, each) for key, each in body.properties if isinstance(key, tree.Literal) and key.value in _RESOURCE_META]
        for key, each in meta:
            assert isinstance(key, tree.Literal)
            self.assign(each, _RESOURCE_META[str(key.value)], str(key.value))
        if body.get("name") is None:
            self.report("a resource lacks 'name'")
        if existing:
            for key, _ in body.properties:
                if not isinstance(key, tree.Literal) or key.value not in _RESOURCE_META:
                    self.report("an existing resource has only name, parent and scope")
            return
        published = shapes.resolve(shape)
        kept = {published.discriminator} if isinstance(published, shapes.Discriminated) else set()
        rest = tree.Object(tuple(pair for pair in body.properties if pair not in meta or _key(pair) in kept))
        self.assign(rest, _without(published, set(_RESOURCE_META) - kept), "")

    def _module(self, declaration: Declaration) -> None:
        target = self.project.files.get((self.path.parent / declaration.reference).resolve())
        if target is None:
            self.report(f"no module {declaration.reference}")
            return
        parameters = self._parameters(declaration)
        self._module_body(declaration.value, ObjectOf(parameters))

    def _module_body(self, value: Expr | None, parameters: ObjectOf) -> None:
        match value:
            case tree.For():
                self._in_loop(value, lambda body: self._module_body(body, parameters))
            case tree.If(condition, body):
                self.assign(condition, shapes.BOOL, "if")
                self._module_body(body, parameters)
            case tree.Object():
                required = any(each.flags & shapes.REQUIRED for each in parameters.properties.values())
                known = {"name": Property(shapes.STRING), "scope": Property(ANY), "dependsOn": Property(ANY), "params": Property(parameters, int(required))}
                self.assign(value, ObjectOf(known), "")

    def _parameters(self, declaration: Declaration) -> dict[str, Property]:
        path = (self.path.parent / declaration.reference).resolve()
        target = self.project.files[path]
        inner = dataclasses.replace(self, path=path, file=target, used=set(), loops=[])
        found: dict[str, Property] = {}
        for each in target.of_kind("param"):
            assert each.type is not None
            allowed = each.decorator("allowed")
            shape = inner._allowed(allowed) if allowed else inner._type(each.type)
            optional = each.value is not None or isinstance(each.type, tree.TypeOptional)
            found[each.name] = Property(shape, 0 if optional else shapes.REQUIRED)
        return found

    def _in_loop[R](self, loop: tree.For, inside: Callable[[Expr], R]) -> R:
        source = self.infer(loop.source)
        item = shapes.item(source)
        if item is None:
            self.report(f"a loop needs an array, not {shapes.spell(source)}")
            item = ANY
        self.loops.append({loop.item: item} | ({loop.index: shapes.INT} if loop.index else {}))
        try:
            return inside(loop.body)
        finally:
            self.loops.pop()

    # Values.

    def assign(self, value: Expr, target: Shape, where: str) -> None:
        """Check one expression against the type expected at a place, property by property."""
        match value, shapes.resolve(target):
            case tree.Ternary(condition, then, otherwise), _:
                self.infer(condition)
                self.assign(then, target, where)
                self.assign(otherwise, target, where)
            case tree.For(), shapes.ArrayOf(item):
                self._in_loop(value, lambda body: self.assign(body, item, f"{where}[]"))
            case tree.Array(items), shapes.ArrayOf(item):
                for each in items:
                    self.assign(each, item, f"{where}[]")
            case tree.Object(), ObjectOf() as expected:
                self._assign_object(value, expected, where)
            case tree.Object(), shapes.Discriminated() as expected:
                self._assign_discriminated(value, expected, where)
            case tree.Object() | tree.Array() | tree.For(), shapes.Union(members):
                self._assign_one_of(value, members, where)
            case _, _:
                if why := shapes.mismatch(self.infer(value), target):
                    self.report(f"{where or 'value'}: {why}")

    def _assign_object(self, value: tree.Object, expected: ObjectOf, where: str) -> None:
        given: set[str] = set()
        for key, each in value.properties:
            if not isinstance(key, tree.Literal):
                self.infer(key)
                self.assign(each, expected.extra or ANY, where)
                continue
            name = str(key.value)
            path = f"{where}.{name}".lstrip(".")
            if name in given:
                self.report(f"{path} is given twice")
            given.add(name)
            known = expected.properties.get(name)
            if known is None and expected.extra is None:
                self.report(f"unknown property {path}")
                self.infer(each)
            elif known is not None and known.flags & shapes.READ_ONLY:
                self.report(f"{path} is read-only")
            else:
                self.assign(each, _or_null(known) if known else expected.extra or ANY, path)
        for name, wanted in expected.properties.items():
            if wanted.flags & shapes.REQUIRED and not wanted.flags & shapes.READ_ONLY and name not in given:
                self.report(f"missing property {where}.{name}".replace(" .", " "))

    def _assign_discriminated(self, value: tree.Object, expected: shapes.Discriminated, where: str) -> None:
        chosen = value.get(expected.discriminator)
        inferred = shapes.resolve(self.infer(chosen)) if chosen is not None else None
        if not isinstance(inferred, shapes.Exact) or inferred.value not in expected.elements:
            self.report(f"{where}.{expected.discriminator} must be one of {', '.join(expected.elements)}")
            return
        self._assign_object(value, shapes.element_of(expected, str(inferred.value)), where)

    def _assign_one_of(self, value: Expr, members: tuple[Shape, ...], where: str) -> None:
        members = tuple(each for each in members if shapes.resolve(each) != shapes.NULL)
        if len(members) == 1:
            self.assign(value, members[0], where)
            return
        before = list(self.project.findings)
        tried: list[list[str]] = []
        for each in members:
            self.project.findings = list(before)
            self.assign(value, each, where)
            tried.append(self.project.findings)
        self.project.findings = min(tried, key=len)

    def infer(self, value: Expr) -> Shape:
        """The type of an expression; reports unknown symbols, members and functions inside it."""
        match value:
            case tree.Literal(literal):
                return shapes.Exact(literal)
            case tree.Interpolated(parts):
                for part in parts:
                    self.infer(part)
                return shapes.STRING
            case tree.Name(name):
                return self._symbol(name)
            case tree.Object(properties):
                return self._infer_object(properties)
            case tree.Array(items):
                return shapes.ArrayOf(shapes.union([self.infer(each) for each in items]))
            case tree.For():
                return shapes.ArrayOf(self._in_loop(value, self.infer))
            case tree.Ternary(condition, then, otherwise):
                self.assign(condition, shapes.BOOL, "condition")
                return shapes.Union((self.infer(then), self.infer(otherwise)))
            case tree.Call():
                return self._call(value)
            case tree.Member() | tree.Index():
                return self._access(value)
            case tree.Lambda(parameters, body):
                self.loops.append(dict.fromkeys(parameters, ANY))
                found = self.infer(body)
                self.loops.pop()
                return found
            case tree.NonNull(base):
                return self.infer(base)
        return self._operator(value)

    def _operator(self, value: Expr) -> Shape:
        for each in tree.children(value):
            self.infer(each)
        match value:
            case tree.Unary("!", _):
                return shapes.BOOL
            case tree.Binary("??", left, right):
                return shapes.Union((_not_null(self.infer(left)), self.infer(right)))
            case tree.Binary("+" | "-" | "*" | "/" | "%", _, _) | tree.Unary("-", _):
                return shapes.INT
        return shapes.BOOL

    def _infer_object(self, properties: tuple[tuple[Expr, Expr], ...]) -> Shape:
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
            found = shapes.item(base)
            what = "[...]"
        else:
            found = shapes.member(base, value.name)
            what = value.name
        if found is None:
            if not (isinstance(value, tree.Member) and value.safe):
                self.report(f"{shapes.spell(base)} has no {what!r}")
            return ANY
        return found

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
        try:
            return self._declared(declared)
        finally:
            self.resolving.pop()

    def _declared(self, declared: Declaration) -> Shape:
        match declared.kind:
            case "param" if declared.type is not None:
                allowed = declared.decorator("allowed")
                return self._allowed(allowed) if allowed else self._type(declared.type)
            case "var" if declared.value is not None:
                outer, self.loops = self.loops, []
                found = self.infer(declared.value)
                self.loops = outer
                return found
            case "resource":
                found = self.project.types.resource(declared.reference) or ANY
            case "module":
                found = self._outputs(declared)
            case _:
                self.report(f"{declared.name!r} is no value")
                return ANY
        return shapes.ArrayOf(found) if isinstance(declared.value, tree.For) else found

    def _outputs(self, declared: Declaration) -> Shape:
        path = (self.path.parent / declared.reference).resolve()
        target = self.project.files.get(path)
        if target is None:
            return ANY
        inner = dataclasses.replace(self, path=path, file=target, used=set(), loops=[])
        outputs = {each.name: Property(inner._type(each.type)) for each in target.of_kind("output") if each.type}
        return ObjectOf({"name": Property(shapes.STRING), "outputs": Property(ObjectOf(outputs))})

    def _call(self, call: tree.Call) -> Shape:
        inferred = [self.infer(each) for each in call.arguments]
        if call.base is not None:
            if not (call.base in (tree.Name("az"), tree.Name("sys"))):
                self.infer(call.base)
                return ANY
        if call.function in functions.LOADING:
            return self._load(call)
        if call.function in ("any",):
            self.report("any() hides a mistake")
            return ANY
        known = functions.FUNCTIONS.get(call.function)
        if known is None:
            self.report(f"unknown function {call.function}()")
            return ANY
        if not known.least <= len(call.arguments) <= known.most:
            self.report(f"{call.function}() takes {known.least} to {known.most} arguments")
        if call.function == "concat" and all(shapes.item(each) is not None for each in inferred):
            return shapes.ArrayOf(shapes.union([shapes.item(each) or ANY for each in inferred]))
        return known.result

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

    # The whole file.

    def _everything_is_used(self) -> None:
        for each in self.file.of_kind("param", "var", "import"):
            if each.name not in self.used:
                self.line = each.line
                self.report(f"{each.kind} {each.name!r} is not used")

    def _no_cycles(self) -> None:
        edges = {
            each.name: {node.name for node in tree.walk(each.value) if isinstance(node, tree.Name)}
            for each in self.file.of_kind("resource", "module", "var")
            if each.value is not None
        }
        done: set[str] = set()

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if name in trail:
                self.report(f"a cycle: {' -> '.join((*trail, name))}")
            elif name not in done:
                for each in sorted(edges.get(name, ())):
                    visit(each, (*trail, name))
                done.add(name)

        for name in edges:
            visit(name, ())


def _or_null(wanted: Property) -> Shape:
    """A property that is not required may be null: the deployment then leaves it out."""
    return wanted.shape if wanted.flags & shapes.REQUIRED else shapes.Union((wanted.shape, shapes.NULL))


def _key(pair: tuple[Expr, Expr]) -> str:
    return str(pair[0].value) if isinstance(pair[0], tree.Literal) else ""


def _not_null(shape: Shape) -> Shape:
    match shapes.resolve(shape):
        case shapes.Union(members):
            return shapes.union([each for each in members if shapes.resolve(each) not in (shapes.NULL, shapes.Exact(None))] or [ANY])
    return shape


def _without(shape: Shape, names: set[str]) -> Shape:
    match shapes.resolve(shape):
        case ObjectOf(properties, extra):
            return ObjectOf({name: each for name, each in properties.items() if name not in names}, extra)
        case shapes.Discriminated(discriminator, base, elements):
            return shapes.Discriminated(
                discriminator,
                {name: each for name, each in base.items() if name not in names},
                {key: _without(each, names) for key, each in elements.items()},
            )
    return shape
