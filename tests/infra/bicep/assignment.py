"""Checks an expression against the type expected at its place, property by property."""

from __future__ import annotations

from collections.abc import Mapping

from tests.infra.bicep import shapes, tree
from tests.infra.bicep.inference import Inference
from tests.infra.bicep.shapes import ANY, ObjectOf, Property, Shape
from tests.infra.bicep.tree import Expr


class Assignment:
    """Findings are reported where the inference stands."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    def check(self, value: Expr, target: Shape, where: str) -> None:
        expected = shapes.resolve(target)
        if isinstance(value, tree.Ternary):
            self.check(value.condition, shapes.BOOL, "condition")
            self.check(value.then, expected, where)
            self.check(value.otherwise, expected, where)
        elif isinstance(value, tree.Object | tree.Array | tree.For):
            self._structure(value, expected, where)
        else:
            self._value(self._inference.infer(value), expected, where)

    def _value(self, inferred: Shape, expected: Shape, where: str) -> None:
        if why := shapes.mismatch(inferred, expected):
            self._inference.report(f"{where or 'value'}: {why}")
        elif shapes.exposes(inferred, expected):
            self._inference.report(f"{where or 'value'}: is a secret, and is given by no secure parameter")

    def _structure(self, value: tree.Object | tree.Array | tree.For, expected: Shape, where: str) -> None:
        match value, expected:
            case tree.For(), shapes.ArrayOf(item):
                with self._inference.loop(value):
                    self.check(value.body, item, f"{where}[]")
            case tree.Array(items), shapes.ArrayOf(item):
                for each in items:
                    self.check(each, item, f"{where}[]")
            case tree.Object(), ObjectOf():
                self._object(value, expected, where)
            case tree.Object(), shapes.Discriminated():
                self._discriminated(value, expected, where)
            case _, shapes.Union(members):
                self._one_of(value, members, where)
            case _:
                if why := shapes.mismatch(self._inference.infer(value), expected):
                    self._inference.report(f"{where or 'value'}: {why}")

    def _object(self, value: tree.Object, expected: ObjectOf, where: str) -> None:
        given: set[str] = set()
        for key, each in value.properties:
            if not isinstance(key, tree.Literal):
                self._inference.infer(key)
                self.check(each, expected.extra or ANY, where)
                continue
            if str(key.value) in given:
                self._inference.report(f"{_join(where, str(key.value))} is given twice")
            given.add(str(key.value))
            self._property(str(key.value), each, expected, where)
        self._missing(given, expected.properties, where)

    def _property(self, name: str, value: Expr, expected: ObjectOf, where: str) -> None:
        known, path = expected.properties.get(name), _join(where, name)
        if known is None and expected.extra is None:
            self._inference.report(f"unknown property {path}")
            self._inference.infer(value)
        elif known is not None and known.flags & shapes.READ_ONLY:
            self._inference.report(f"{path} is read-only")
        else:
            self.check(value, _or_null(known) if known else expected.extra or ANY, path)

    def _missing(self, given: set[str], expected: Mapping[str, Property], where: str) -> None:
        for name, wanted in expected.items():
            if wanted.flags & shapes.REQUIRED and not wanted.flags & shapes.READ_ONLY and name not in given:
                self._inference.report(f"missing property {_join(where, name)}")

    def _discriminated(self, value: tree.Object, expected: shapes.Discriminated, where: str) -> None:
        chosen = value.get(expected.discriminator)
        inferred = shapes.resolve(self._inference.infer(chosen)) if chosen is not None else None
        if not isinstance(inferred, shapes.Exact) or inferred.value not in expected.elements:
            self._inference.report(
                f"{_join(where, expected.discriminator)} must be one of {', '.join(expected.elements)}"
            )
            return
        self._object(value, shapes.element_of(expected, str(inferred.value)), where)

    def _one_of(self, value: Expr, members: tuple[Shape, ...], where: str) -> None:
        """The member that fits best says what is wrong."""
        candidates = [each for each in members if shapes.resolve(each) != shapes.NULL]
        project = self._inference.project
        before, tried = list(project.findings), list[list[str]]()
        for each in candidates:
            project.findings = list(before)
            self.check(value, each, where)
            tried.append(project.findings)
        project.findings = min(tried, key=len)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _or_null(wanted: Property) -> Shape:
    """A property that is not required may be null: the deployment then leaves it out."""
    return wanted.shape if wanted.flags & shapes.REQUIRED else shapes.Union((wanted.shape, shapes.NULL))
