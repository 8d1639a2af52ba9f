"""Splits Bicep text into tokens; strings keep their interpolated expressions as token lists."""

from __future__ import annotations

import dataclasses
import re

_SKIP = re.compile(r"[ \t\r]+|//[^\n]*|/\*.*?\*/|#disable-next-line[^\n]*", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]+")
_PUNCTUATION = re.compile(r"\?\?|\.\?|=>|==|!=|=~|!~|<=|>=|&&|\|\||::|[-+*/%<>=!?:.,(){}\[\]@|]")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", "$": "$"}


class BicepSyntaxError(Exception):
    """The text is no Bicep of the subset that is read here."""


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """`kind` is word, number, string, punctuation, newline or end."""

    kind: str
    text: str
    line: int
    parts: tuple[str | tuple[Token, ...], ...] = ()


def tokenize(text: str, line: int = 1) -> tuple[Token, ...]:
    """All tokens of a text, ended by one of kind `end`."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        token, after = _next(text, at, line)
        if token is not None:
            found.append(token)
        line += text.count("\n", at, after)
        at = after
    return (*found, Token("end", "", line))


def _next(text: str, at: int, line: int) -> tuple[Token | None, int]:
    if text[at] == "\n":
        return Token("newline", "\n", line), at + 1
    if skipped := _SKIP.match(text, at):
        return None, skipped.end()
    if text.startswith("'''", at):
        end = text.find("'''", at + 3)
        if end < 0:
            raise BicepSyntaxError(f"line {line}: a multi-line string does not end")
        return Token("string", "", line, (text[at + 3 : end].removeprefix("\n"),)), end + 3
    if text[at] == "'":
        return _string(text, at, line)
    for kind, pattern in (("word", _WORD), ("number", _NUMBER), ("punctuation", _PUNCTUATION)):
        if matched := pattern.match(text, at):
            return Token(kind, matched.group(), line), matched.end()
    raise BicepSyntaxError(f"line {line}: {text[at]!r} starts no token")


def _string(text: str, at: int, line: int) -> tuple[Token, int]:
    parts: list[str | tuple[Token, ...]] = []
    piece = ""
    at += 1
    while at < len(text) and text[at] != "\n":
        if text[at] == "'":
            return Token("string", "", line, (*parts, piece) if piece or not parts else tuple(parts)), at + 1
        if text[at] == "\\":
            if text[at + 1] not in _ESCAPES:
                raise BicepSyntaxError(f"line {line}: unknown escape \\{text[at + 1]}")
            piece += _ESCAPES[text[at + 1]]
            at += 2
        elif text.startswith("${", at):
            end = _closing(text, at + 2, line)
            parts += ([piece] if piece else []) + [tokenize(text[at + 2 : end], line)]
            piece, at = "", end + 1
        else:
            piece += text[at]
            at += 1
    raise BicepSyntaxError(f"line {line}: a string does not end")


def _closing(text: str, at: int, line: int) -> int:
    depth = 0
    while at < len(text):
        if text[at] == "'":
            _, at = _string(text, at, line)
            continue
        if text[at] == "}" and depth == 0:
            return at
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    raise BicepSyntaxError(f"line {line}: an interpolation does not end")
