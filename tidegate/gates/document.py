"""A YAML file as a document with line numbers: parsed, bounded, and never executed."""

from __future__ import annotations

from pathlib import Path

import yaml

from tidegate.gates.cursor import Cursor
from tidegate.gates.problems import GatesError, Problem

_MAX_BYTES = 256 * 1024
_MAX_VALUES = 20_000
"""Values after following every alias: a small file can otherwise stand for billions."""


def read(path: Path) -> Cursor:
    """The root of the one document in the file, or GatesError."""
    file = str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(file, f"cannot be read: {error.strerror or error}") from error
    if len(content) > _MAX_BYTES:
        raise _unreadable(file, f"is larger than {_MAX_BYTES // 1024} KiB")
    root = _composed(file, content)
    if root is None or root.tag == "tag:yaml.org,2002:null":
        raise _unreadable(file, "is empty; it needs `version: 1` and `images:`")
    problems: list[Problem] = []
    cursor = Cursor(file, root, "", problems)
    if not _is_bounded(root):
        cursor.fault(f"stands for more than {_MAX_VALUES} values; do not nest aliases in aliases")
        raise GatesError(problems)
    return cursor


def _unreadable(file: str, text: str) -> GatesError:
    return GatesError([Problem(file, 0, 0, "", text)])


def _composed(file: str, content: bytes) -> yaml.Node | None:
    """The document as nodes with marks; nothing is constructed, so no tag can run code.

    The C parser is in every wheel of PyYAML. It bounds nesting, which the parser in Python does not.
    """
    try:
        return yaml.compose(content.decode("utf-8"), Loader=yaml.CSafeLoader)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise GatesError([Problem(file, line, 1, "", "is not UTF-8 text")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        words = ", ".join(part for part in (error.context, error.problem) if part)
        words += "; a value that begins with * needs quotes" * ("alias" in words)
        raise GatesError([Problem(file, line, column, "", f"not valid YAML: {words}")]) from error
    except yaml.YAMLError as error:
        raise _unreadable(file, f"not valid YAML: {str(error).splitlines()[0]}") from error


def _is_bounded(root: yaml.Node) -> bool:
    """Whether a walk that follows aliases ends within the limit; an alias inside its own anchor never does."""
    waiting, count = [root], 0
    while waiting and count <= _MAX_VALUES:
        node = waiting.pop()
        count += 1
        match node:
            case yaml.MappingNode():
                waiting.extend(part for entry in node.value for part in entry)
            case yaml.SequenceNode():
                waiting.extend(node.value)
            case _:
                pass
    return count <= _MAX_VALUES
