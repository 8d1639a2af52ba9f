"""Split a step's `cmd` into arguments, by the rules of Azure's public agent (github.com/Azure/acr-builder)."""

from __future__ import annotations

import re


class TaskRefusedError(ValueError):
    """The task cannot run; the message names the part and the fault."""


_PIECE = re.compile(
    r"""(?P<gap>[ \t\r\n]+)
    | \\(?P<escaped>[ \t\r\n'"])
    | '(?P<single>[^']*)'
    | "(?P<double>(?:\\\\|\\"|[^"])*+)"
    | (?P<plain>\\\\|[^'"])""",
    re.VERBOSE,
)


def split_arguments(command: str) -> tuple[str, ...]:
    """Split a `cmd` into arguments. There is no shell: `;`, `|`, `>` and the like are text.

    ASCII space, tab and line ends separate. Quotes of both kinds group and are removed; `""` is an empty argument.
    Outside quotes a backslash escapes a separator or a quote; inside double quotes only the double quote. Every other
    backslash is text, and two of them stay two.
    """
    if "\0" in command:
        raise TaskRefusedError("the command holds a NUL character")
    arguments: list[str] = []
    current: str | None = None
    position = 0
    while position < len(command):
        piece = _PIECE.match(command, position)
        if piece is None:
            raise TaskRefusedError(f"the command has an unterminated {command[position]} quote")
        position = piece.end()
        if piece.lastgroup != "gap":
            current = (current or "") + _text(piece)
        elif current is not None:
            arguments.append(current)
            current = None
    return tuple(arguments if current is None else [*arguments, current])


def _text(piece: re.Match[str]) -> str:
    text = piece[piece.lastgroup or 0]
    if piece.lastgroup != "double":
        return text
    return re.sub(r'\\([\\"])', lambda pair: pair[0] if pair[1] == "\\" else '"', text)
