"""Checks a folder of Bicep files: symbols, types, modules, published resource types, loaded files, cycles."""

from __future__ import annotations

from collections.abc import Callable

from tests.infra.bicep import functions, shapes, tree
from tests.infra.bicep.assignment import Assignment
from tests.infra.bicep.inference import Inference
from tests.infra.bicep.project import Project
from tests.infra.bicep.shapes import ANY, ObjectOf, Property, Shape
from tests.infra.bicep.tree import Declaration, Expr

_META = {"parent": ANY, "scope": ANY, "dependsOn": ANY, "name": shapes.STRING}


def findings(project: Project, *names: str) -> list[str]:
    """Everything that is wrong with a project, or with some of its files, one sentence each."""
    wanted = {project.root / name for name in names} or set(project.files)
    for path in sorted(wanted & set(project.files)):
        _FileCheck(Inference(project, path, project.files[path])).run()
    return project.findings


class _FileCheck:
    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._assignment = Assignment(inference)
        self._file = inference.file

    def run(self) -> None:
        self._each_name_once()
        for declaration in self._file.declarations:
            self._inference.line = declaration.line
            for decorator in declaration.decorators:
                if decorator.function not in functions.DECORATORS:
                    self._inference.report(f"unknown decorator @{decorator.function}")
            self._declaration(declaration)
        self._everything_is_used()
        self._no_cycles()

    def _each_name_once(self) -> None:
        names = [each.name for each in self._file.declarations if each.kind != "output"]
        for name in {each for each in names if names.count(each) > 1}:
            self._inference.report(f"{name!r} is declared twice")

    def _declaration(self, declaration: Declaration) -> None:
        match declaration.kind:
            case "param" | "output":
                declared = self._inference.declared_type(declaration)
                if declaration.value is not None:
                    self._assignment.check(declaration.value, declared, declaration.name)
            case "type" if declaration.type is not None:
                self._inference.type(declaration.type)
            case "var" | "targetScope" if declaration.value is not None:
                self._inference.infer(declaration.value)
            case "resource":
                self._resource(declaration)
            case "module":
                self._module(declaration)
            case "import":
                self._inference.type(tree.TypeName(declaration.name))
                self._inference.used.discard(declaration.name)
            case _:
                raise ValueError(f"{declaration.kind} is no kind of declaration")

    def _bodies(self, value: Expr | None, inside: Callable[[tree.Object], None]) -> None:
        """Look at the body of a resource or a module, under its loop and its condition."""
        match value:
            case tree.For():
                with self._inference.loop(value):
                    self._bodies(value.body, inside)
            case tree.If(condition, body):
                self._assignment.check(condition, shapes.BOOL, "if")
                self._bodies(body, inside)
            case tree.Object():
                inside(value)
            case _:
                self._inference.report("a resource or module needs an object")

    def _resource(self, declaration: Declaration) -> None:
        published = self._inference.project.types.resource(declaration.reference)
        if published is None:
            self._inference.report(f"unknown resource type or api version {declaration.reference}")
            return
        self._bodies(declaration.value, lambda body: self._parent(declaration.reference, body))
        shape = shapes.resolve(published)
        if declaration.existing:
            self._bodies(declaration.value, lambda body: self._assignment.check(body, _existing(), ""))
        else:
            self._bodies(declaration.value, lambda body: self._assignment.check(body, _with_meta(shape), ""))

    def _parent(self, reference: str, body: tree.Object) -> None:
        """A child names its parent, and the parent is of the type that the child's own type begins with."""
        parent_type = reference.partition("@")[0].rpartition("/")[0]
        parent = body.get("parent")
        if parent is None:
            if parent_type.count("/"):
                self._inference.report(f"a child of {parent_type} needs its parent")
            return
        symbol = parent.base if isinstance(parent, tree.Index) else parent
        declared = self._file.named(symbol.name) if isinstance(symbol, tree.Name) else None
        if declared is not None and declared.reference.partition("@")[0].lower() != parent_type.lower():
            self._inference.report(f"{declared.name} is no {parent_type}")

    def _module(self, declaration: Declaration) -> None:
        target = self._inference.other(declaration.reference)
        if target is None:
            self._inference.report(f"no module {declaration.reference}")
            return
        parameters = target.parameters()
        required = any(each.flags & shapes.REQUIRED for each in parameters.values())
        shape = ObjectOf(
            {
                "name": Property(shapes.STRING),
                "scope": Property(ANY),
                "dependsOn": Property(ANY),
                "params": Property(ObjectOf(parameters), shapes.REQUIRED if required else 0),
            }
        )
        self._bodies(declaration.value, lambda body: self._assignment.check(body, shape, ""))

    def _everything_is_used(self) -> None:
        for each in self._file.declarations:
            if (each.kind in {"param", "var", "import"} or each.existing) and each.name not in self._inference.used:
                self._inference.line = each.line
                self._inference.report(f"{each.kind} {each.name!r} is not used")

    def _no_cycles(self) -> None:
        edges = {
            each.name: {node.name for node in tree.walk(each.value) if isinstance(node, tree.Name)}
            for each in self._file.of_kind("resource", "module", "var")
            if each.value is not None
        }
        done: set[str] = set()

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if name in trail:
                self._inference.report(f"a cycle: {' -> '.join((*trail, name))}")
            elif name not in done:
                for each in sorted(edges.get(name, ())):
                    visit(each, (*trail, name))
                done.add(name)

        for name in edges:
            visit(name, ())


def _existing() -> ObjectOf:
    return ObjectOf({name: Property(shape, shapes.REQUIRED if name == "name" else 0) for name, shape in _META.items()})


def _with_meta(shape: Shape) -> Shape:
    """A resource's body with what the language adds; where its name chooses its type, the name stays as published."""
    match shape:
        case ObjectOf(properties, extra):
            named = {"name": Property(shapes.STRING, shapes.REQUIRED)} if "name" in properties else {}
            return ObjectOf({**properties, **{name: Property(each) for name, each in _META.items()}, **named}, extra)
        case shapes.Discriminated(discriminator, base, elements):
            meta = {name: Property(each) for name, each in _META.items() if name != discriminator}
            return shapes.Discriminated(discriminator, {**base, **meta}, elements)
        case _:
            return shape
