"""A recursive-descent parser of the Bicep subset that `infra/` is written in."""

from __future__ import annotations

import functools
from pathlib import Path

from tests.infra.bicep import tree
from tests.infra.bicep.tokens import BicepSyntaxError, Token, tokenize
from tests.infra.bicep.tree import Declaration, Expr, TypeExpr

_BINARY = (("??",), ("||",), ("&&",), ("==", "!=", "=~", "!~"), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))
_WORDS = {"true": True, "false": False, "null": None}


def parse_file(path: Path) -> tree.File:
    """Read one file; a syntax error names the file and the line."""
    try:
        return tree.File(str(path), _declarations(path.read_text()))
    except BicepSyntaxError as error:
        raise BicepSyntaxError(f"{path}: {error}") from error


@functools.cache
def _declarations(text: str) -> tuple[Declaration, ...]:
    return _Parser(tokenize(text)).file()


class _Parser:
    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens
        self._at = 0

    # The stream of tokens.

    def _peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _is(self, text: str) -> bool:
        return self._peek().text == text and self._peek().kind in ("punctuation", "word")

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise BicepSyntaxError(f"line {self._peek().line}: expected {text!r}, found {self._peek().text!r}")

    def _word(self) -> str:
        token = self._take()
        if token.kind != "word":
            raise BicepSyntaxError(f"line {token.line}: expected a name, found {token.text!r}")
        return token.text

    def _plain_string(self) -> str:
        token = self._take()
        if token.kind != "string" or not all(isinstance(part, str) for part in token.parts):
            raise BicepSyntaxError(f"line {token.line}: expected a string without interpolation")
        return "".join(part for part in token.parts if isinstance(part, str))

    def _newlines(self) -> None:
        while self._peek().kind == "newline":
            self._at += 1

    # Declarations.

    def file(self) -> tuple[Declaration, ...]:
        found: list[Declaration] = []
        self._newlines()
        while self._peek().kind != "end":
            found.extend(self._statement())
            if self._peek().kind not in ("newline", "end"):
                raise BicepSyntaxError(f"line {self._peek().line}: unexpected {self._peek().text!r}")
            self._newlines()
        return tuple(found)

    def _statement(self) -> list[Declaration]:
        decorators = self._decorators()
        line = self._peek().line
        match kind := self._word():
            case "import":
                return self._import(line)
            case "targetScope":
                self._expect("=")
                return [Declaration(kind, kind, line, value=self._expression())]
            case "param" | "output" | "var" | "type":
                return [self._value(kind, line, decorators)]
            case "resource" | "module":
                return [self._deployed(kind, line, decorators)]
            case _:
                raise BicepSyntaxError(f"line {line}: {kind!r} starts no statement")

    def _decorators(self) -> tuple[tree.Call, ...]:
        found: list[tree.Call] = []
        while self._accept("@"):
            call = self._expression()
            if not isinstance(call, tree.Call):
                raise BicepSyntaxError(f"line {self._peek().line}: a decorator is a call")
            found.append(call)
            self._newlines()
        return tuple(found)

    def _import(self, line: int) -> list[Declaration]:
        self._expect("{")
        names: list[str] = []
        self._newlines()
        while not self._accept("}"):
            names.append(self._word())
            self._accept(",")
            self._newlines()
        if self._word() != "from":
            raise BicepSyntaxError(f"line {line}: an import needs 'from'")
        path = self._plain_string()
        return [Declaration("import", name, line, reference=path) for name in names]

    def _value(self, kind: str, line: int, decorators: tuple[tree.Call, ...]) -> Declaration:
        name = self._word()
        declared: TypeExpr | None = None
        value: Expr | None = None
        if kind in ("param", "output"):
            declared = self._type()
        if kind == "type":
            self._expect("=")
            declared = self._type()
        elif kind != "param" or self._is("="):
            self._expect("=")
            value = self._expression()
        return Declaration(kind, name, line, decorators, declared, value)

    def _deployed(self, kind: str, line: int, decorators: tuple[tree.Call, ...]) -> Declaration:
        name = self._word()
        reference = self._plain_string()
        existing = self._accept("existing")
        self._expect("=")
        return Declaration(kind, name, line, decorators, None, self._body(), reference, existing)

    def _body(self) -> Expr:
        if self._accept("if"):
            self._expect("(")
            condition = self._expression()
            self._expect(")")
            return tree.If(condition, self._body())
        return self._expression()

    # Types.

    def _type(self) -> TypeExpr:
        self._accept("|")
        members = [self._type_with_suffix()]
        while True:
            mark = self._at
            self._newlines()
            if not self._accept("|"):
                self._at = mark
                break
            self._newlines()
            members.append(self._type_with_suffix())
        return members[0] if len(members) == 1 else tree.TypeUnion(tuple(members))

    def _type_with_suffix(self) -> TypeExpr:
        found = self._type_primary()
        while True:
            if self._accept("["):
                self._expect("]")
                found = tree.TypeArray(found)
            elif self._accept("?"):
                found = tree.TypeOptional(found)
            else:
                return found

    def _type_primary(self) -> TypeExpr:
        if self._peek().kind == "string":
            return tree.TypeLiteral(self._plain_string())
        if self._peek().kind == "number":
            return tree.TypeLiteral(int(self._take().text))
        if self._accept("("):
            inner = self._type()
            self._expect(")")
            return inner
        if self._accept("{"):
            return self._type_object()
        word = self._word()
        return tree.TypeLiteral(_WORDS[word]) if word in _WORDS else tree.TypeName(word)

    def _type_object(self) -> TypeExpr:
        properties: list[tree.TypeProperty] = []
        self._newlines()
        while not self._accept("}"):
            decorators = self._decorators()
            name = self._plain_string() if self._peek().kind == "string" else self._take().text
            self._expect(":")
            properties.append(tree.TypeProperty(name, self._type(), decorators))
            self._newlines()
        return tree.TypeObject(tuple(properties))

    # Expressions.

    def _expression(self) -> Expr:
        condition = self._binary(0)
        if not self._accept("?"):
            return condition
        then = self._expression()
        self._expect(":")
        return tree.Ternary(condition, then, self._expression())

    def _binary(self, level: int) -> Expr:
        if level == len(_BINARY):
            return self._unary()
        left = self._binary(level + 1)
        while self._peek().kind == "punctuation" and self._peek().text in _BINARY[level]:
            operator = self._take().text
            left = tree.Binary(operator, left, self._binary(level + 1))
        return left

    def _unary(self) -> Expr:
        for operator in ("!", "-"):
            if self._accept(operator):
                return tree.Unary(operator, self._unary())
        return self._postfix(self._primary())

    def _postfix(self, found: Expr) -> Expr:
        while True:
            if self._accept(".?"):
                found = tree.Member(found, self._word(), safe=True)
            elif self._accept("."):
                name = self._word()
                found = tree.Call(name, self._arguments(), found) if self._is("(") else tree.Member(found, name)
            elif self._accept("["):
                safe = self._accept("?")
                found = tree.Index(found, self._expression(), safe)
                self._expect("]")
            elif self._is("!") and self._peek(1).text in (".", ")", "]", "\n", "}"):
                self._take()
                found = tree.NonNull(found)
            else:
                return found

    def _primary(self) -> Expr:
        token = self._peek()
        if token.kind == "string":
            return self._string()
        if token.kind == "number":
            return tree.Literal(int(self._take().text))
        if self._accept("{"):
            return self._object()
        if self._accept("["):
            return self._array_or_loop()
        if self._accept("("):
            inner = self._expression()
            self._expect(")")
            return inner
        return self._named()

    def _named(self) -> Expr:
        word = self._word()
        if word in _WORDS:
            return tree.Literal(_WORDS[word])
        if self._accept("=>"):
            return tree.Lambda((word,), self._expression())
        return tree.Call(word, self._arguments()) if self._is("(") else tree.Name(word)

    def _string(self) -> Expr:
        token = self._take()
        if all(isinstance(part, str) for part in token.parts):
            return tree.Literal("".join(part for part in token.parts if isinstance(part, str)))
        return tree.Interpolated(
            tuple(tree.Literal(part) if isinstance(part, str) else _Parser(part)._expression() for part in token.parts)
        )

    def _arguments(self) -> tuple[Expr, ...]:
        self._expect("(")
        found: list[Expr] = []
        self._newlines()
        while not self._accept(")"):
            found.append(self._expression())
            self._newlines()
            self._accept(",")
            self._newlines()
        return tuple(found)

    def _object(self) -> Expr:
        properties: list[tuple[Expr, Expr]] = []
        self._newlines()
        while not self._accept("}"):
            key = self._string() if self._peek().kind == "string" else tree.Literal(self._word())
            self._expect(":")
            properties.append((key, self._body()))
            self._accept(",")
            self._newlines()
        return tree.Object(tuple(properties))

    def _array_or_loop(self) -> Expr:
        self._newlines()
        if self._accept("for"):
            return self._loop()
        items: list[Expr] = []
        while not self._accept("]"):
            items.append(self._expression())
            self._accept(",")
            self._newlines()
        return tree.Array(tuple(items))

    def _loop(self) -> Expr:
        index: str | None = None
        if self._accept("("):
            item = self._word()
            self._expect(",")
            index = self._word()
            self._expect(")")
        else:
            item = self._word()
        if self._word() != "in":
            raise BicepSyntaxError(f"line {self._peek().line}: a loop needs 'in'")
        source = self._expression()
        self._expect(":")
        body = self._body()
        self._newlines()
        self._expect("]")
        return tree.For(item, index, source, body)
