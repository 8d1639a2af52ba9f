"""Expressions of the Workflow Definition Language: the part that infra/data/alert-email.workflow.json uses, and no more.

Grammar and functions: azure-docs workflow-definition-language-schema and -functions-reference. What is outside is refused by name
when the definition is loaded: a workflow that runs here uses nothing that was not looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<mark>\?\[|[\[\](),]))"
)


class UnsupportedError(ValueError):
    """The definition uses something that the stand-in does not run."""


class EvaluationError(ValueError):
    """An expression cannot be evaluated with what there is; in Azure the action fails with InvalidTemplate."""


type Scope = Mapping[str, Callable[..., Any]]
"""What the run gives: `triggerBody`, `parameters`, `outputs`, `body`, `item`."""

SCOPE = ("triggerBody", "parameters", "outputs", "body", "item")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "True" if value else "False"
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and len(value) == 0)


def _join(values: Any, delimiter: Any) -> str:
    if not isinstance(values, list):
        raise EvaluationError("join: its first argument is no array")
    return _text(delimiter).join(_text(each) for each in values)


def _split(value: Any, delimiter: Any) -> list[str]:
    if not isinstance(value, str) or not isinstance(delimiter, str) or not delimiter:
        raise EvaluationError("split: both arguments are text")
    return value.split(delimiter)


def _length(value: Any) -> int:
    if not isinstance(value, str | list):
        raise EvaluationError("length: of text or an array")
    return len(value)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "and": lambda *values: all(values),
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "concat": lambda *values: "".join(map(_text, values)),
    "contains": lambda whole, part: part in whole,
    "empty": _empty,
    "equals": lambda left, right: left == right,
    "join": _join,
    "length": _length,
    "not": lambda value: not value,
    "or": lambda *values: any(values),
    "split": _split,
    "string": _text,
    "toLower": lambda value: _text(value).lower(),
    "trim": lambda value: _text(value).strip(),
}
"""Functions of values; `if` is apart, because only the chosen branch counts."""


def check(value: Any) -> None:
    """UnsupportedError: an expression somewhere in the value has a function that is not known, or cannot be read."""
    match value:
        case str():
            for part in _expressions(value):
                _names(_parse(part))
        case list():
            for each in value:
                check(each)
        case dict():
            for each in value.values():
                check(each)
        case _:
            pass


def evaluate(value: Any, scope: Scope) -> Any:
    """The value with every expression in it replaced: `@x` gives what x is, `@{x}` puts it into the text, `@@` is an @."""
    match value:
        case str() if value.startswith("@@"):
            return value[1:]
        case str() if value.startswith("@") and not value.startswith("@{"):
            return _value(_parse(value[1:]), scope)
        case str():
            return _interpolated(value, scope)
        case list():
            return [evaluate(each, scope) for each in value]
        case dict():
            return {key: evaluate(each, scope) for key, each in value.items()}
        case _:
            return value


def _interpolated(text: str, scope: Scope) -> str:
    done, place = [], 0
    for start, end in _holes(text):
        done += [text[place:start], _text(_value(_parse(text[start + 2 : end]), scope))]
        place = end + 1
    return "".join((*done, text[place:]))


def _expressions(text: str) -> list[str]:
    if text.startswith("@@"):
        return []
    if text.startswith("@") and not text.startswith("@{"):
        return [text[1:]]
    return [text[start + 2 : end] for start, end in _holes(text)]


def _holes(text: str) -> list[tuple[int, int]]:
    """Where `@{` and its `}` are; braces inside quotes do not count."""
    found, place = [], text.find("@{")
    while place >= 0:
        end, quoted = place + 2, False
        while end < len(text) and (quoted or text[end] != "}"):
            quoted ^= text[end] == "'"
            end += 1
        if end == len(text):
            raise UnsupportedError(f"{text!r}: '@{{' is not closed")
        found.append((place, end))
        place = text.find("@{", end)
    return found


# Trees: ("value", x), ("call", name, arguments), ("index", tree, tree, optional).


def _parse(text: str) -> Any:
    tokens = _tokens(text)
    tree, rest = _expression(tokens, text)
    if rest:
        raise UnsupportedError(f"{text!r}: something is left over at {rest[0][1]!r}")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while text[place:].strip():
        token = _TOKEN.match(text, place)
        if token is None:
            raise UnsupportedError(f"{text!r}: cannot be read at {text[place:].strip()[:20]!r}")
        kind = str(token.lastgroup)
        found.append((kind, token[kind]))
        place = token.end()
    return found


def _expression(tokens: list[tuple[str, str]], text: str) -> tuple[Any, list[tuple[str, str]]]:
    if not tokens:
        raise UnsupportedError(f"{text!r}: ends too early")
    (kind, word), rest = tokens[0], tokens[1:]
    match kind:
        case "text":
            tree: Any = ("value", word[1:-1].replace("''", "'"))
        case "number":
            tree = ("value", float(word) if "." in word else int(word))
        case "name" if rest and rest[0] == ("mark", "("):
            arguments, rest = _arguments(rest[1:], text)
            tree = ("call", word, arguments)
        case "name" if word in ("true", "false", "null"):
            tree = ("value", {"true": True, "false": False, "null": None}[word])
        case _:
            raise UnsupportedError(f"{text!r}: {word!r} is not expected")
    while rest and rest[0][1] in ("[", "?["):
        optional = rest[0][1] == "?["
        index, rest = _expression(rest[1:], text)
        rest = _expect("]", rest, text)
        tree = ("index", tree, index, optional)
    return tree, rest


def _arguments(tokens: list[tuple[str, str]], text: str) -> tuple[list[Any], list[tuple[str, str]]]:
    arguments: list[Any] = []
    while tokens and tokens[0] != ("mark", ")"):
        if arguments:
            tokens = _expect(",", tokens, text)
        argument, tokens = _expression(tokens, text)
        arguments.append(argument)
    return arguments, _expect(")", tokens, text)


def _expect(mark: str, tokens: list[tuple[str, str]], text: str) -> list[tuple[str, str]]:
    if not tokens or tokens[0] != ("mark", mark):
        raise UnsupportedError(f"{text!r}: {mark!r} is missing")
    return tokens[1:]


def _names(tree: Any) -> None:
    match tree:
        case ("call", name, arguments):
            if name not in FUNCTIONS and name not in SCOPE and name != "if":
                raise UnsupportedError(f"the function {name}() is not one of those the stand-in runs")
            for each in arguments:
                _names(each)
        case ("index", inner, index, _):
            _names(inner)
            _names(index)
        case _:
            pass


def _value(tree: Any, scope: Scope) -> Any:
    match tree:
        case ("value", value):
            return value
        case ("call", "if", [condition, then, otherwise]):
            return _value(then if _value(condition, scope) else otherwise, scope)
        case ("call", name, arguments):
            function = scope.get(name) or FUNCTIONS[name]
            try:
                return function(*(_value(each, scope) for each in arguments))
            except (TypeError, KeyError) as error:
                raise EvaluationError(f"{name}(): {error}") from error
        case ("index", inner, index, optional):
            return _indexed(_value(inner, scope), _value(index, scope), optional=optional)
        case _:
            raise EvaluationError(f"{tree!r} is no expression")


def _indexed(whole: Any, index: Any, *, optional: bool) -> Any:
    try:
        return whole[index]
    except (KeyError, IndexError, TypeError) as error:
        if optional:
            return None
        raise EvaluationError(f"there is no {index!r}") from error
