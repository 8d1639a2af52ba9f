"""Gates files that must be refused, read from the tables beside this module."""

from __future__ import annotations

import dataclasses
from pathlib import Path

HERE = Path(__file__).parent
GOOD_START = "version: 1\nimages:\n  - name: a\n"
_SCHEMA_IS_BLIND = "(no schema sees this)"


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """A file and the exact message that refuses it."""

    title: str
    text: str
    message: str
    schema_sees_it: bool


def refused_settings() -> list[Refused]:
    """One setting on line 4 of a gate that is good otherwise."""
    return [
        dataclasses.replace(case, text=in_a_gate(case.text), title=case.text) for case in cases("refused_settings.txt")
    ]


def refused_files() -> list[Refused]:
    """Whole files, each after a line `# title`."""
    return [
        dataclasses.replace(case, title=case.text.partition("\n")[0].removeprefix("# "))
        for case in cases("refused_files.txt")
    ]


def in_a_gate(setting: str) -> str:
    """A file with one gate that has this setting."""
    match = "" if setting.startswith("match:") else "    match: {repository: a}\n"
    return f"{GOOD_START}    {setting}\n{match}"


def cases(table: str) -> list[Refused]:
    """Blocks between blank lines: the text, then the lines of the message after `> `."""
    found = []
    for block in (HERE / table).read_text(encoding="utf-8").strip().split("\n\n"):
        lines = block.split("\n")
        message = [line.removeprefix("> ") for line in lines if line.startswith("> ")]
        text = "\n".join(line for line in lines if not line.startswith("> "))
        told = [line for line in message if line != _SCHEMA_IS_BLIND]
        found.append(Refused("", text, "\n".join(told), told == message))
    return found
