"""Route templates of HTTP functions, as ASP.NET writes them: `jobs/{id:int}/logs/{*path}`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

_CONSTRAINTS: Mapping[str, str] = {
    "int": r"-?\d{1,10}",
    "long": r"-?\d{1,19}",
    "bool": r"(?:true|false)",
    "alpha": r"[a-z]+",
    "guid": r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?",
}
_PARAMETER = re.compile(r"\{(\*{0,2})(\w+)((?::[^{}?=]+)*)(\?)?\}")


class RouteError(Exception):
    """A route template that this host cannot serve, or that no host serves."""


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    function: str
    template: str
    """With the route prefix, without a leading slash."""
    methods: frozenset[str]
    """Upper case; empty is every method."""
    pattern: re.Pattern[str]
    rank: tuple[int, ...]
    """More specific routes have the smaller rank."""

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The route parameters that are there, or None. A wrong method is no match: the real host answers 404."""
        if self.methods and method not in self.methods:
            return None
        found = self.pattern.fullmatch("/" + path)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items() if value}


def compile_route(function: str, template: str, methods: Iterable[str], prefix: str) -> Route:
    """Compile the template of one function; literals match in any case."""
    whole = "/".join(part for part in (prefix, template.strip("/")) if part)
    if whole.split("/")[0].lower() in {"admin", "runtime"}:
        raise RouteError(f"{function}: the route {whole!r} conflicts with the host's own routes")
    segments = whole.split("/")
    pattern = "".join(_segment(function, segment) for segment in segments)
    rank = tuple(_rank(segment) for segment in segments)
    return Route(function, whole, frozenset(each.upper() for each in methods), re.compile(pattern, re.IGNORECASE), rank)


class RouteTable:
    """All HTTP routes of one app, the most specific first.

    Unverified: which of two overlapping routes the real host prefers (it asks them in its own order of functions), so
    `overlaps` reports them and an app should not depend on the answer given here.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = sorted(routes, key=lambda route: route.rank)

    def find(self, method: str, path: str) -> tuple[str, dict[str, str]] | None:
        """The function for a path (percent-encoded, without a leading slash), and its route parameters."""
        for route in self._routes:
            if (parameters := route.match(method, path)) is not None:
                return route.function, parameters
        return None

    def overlaps(self) -> list[tuple[Route, Route]]:
        """Pairs of routes that one request could match."""
        return [
            (one, other)
            for index, one in enumerate(self._routes)
            for other in self._routes[index + 1 :]
            if _methods_meet(one, other) and _paths_meet(one.template.split("/"), other.template.split("/"))
        ]

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)


def _segment(function: str, segment: str) -> str:
    if "{" not in segment:
        return "/" + re.escape(segment)
    match = _PARAMETER.fullmatch(segment)
    if not match:
        raise RouteError(f"{function}: this host does not support the route segment {segment!r}")
    star, name, constraints, optional = match.groups()
    value = ".*" if star else _constrained(function, constraints)
    return f"(?:/(?P<{name}>{value}))?" if star or optional else f"/(?P<{name}>{value})"


def _constrained(function: str, constraints: str) -> str:
    names = constraints.split(":")[1:]
    unknown = [name for name in names if name not in _CONSTRAINTS]
    if unknown or len(names) > 1:
        raise RouteError(f"{function}: this host does not support the route constraint {constraints!r}")
    return _CONSTRAINTS[names[0]] if names else "[^/]+"


def _rank(segment: str) -> int:
    if "{" not in segment:
        return 0
    if "{*" in segment:
        return 3
    return 1 if ":" in segment else 2


def _methods_meet(one: Route, other: Route) -> bool:
    return not one.methods or not other.methods or bool(one.methods & other.methods)


def _paths_meet(one: list[str], other: list[str]) -> bool:
    if any("{*" in each[0] for each in (one, other) if each):
        return True
    if not one or not other:
        return all(segment.endswith("?}") for segment in one or other)
    literal = "{" not in one[0] and "{" not in other[0]
    return (not literal or one[0].lower() == other[0].lower()) and _paths_meet(one[1:], other[1:])
