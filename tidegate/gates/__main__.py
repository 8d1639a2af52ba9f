"""Checks a gates file and shows what it means: `python -m tidegate.gates [FILE] [--match REPOSITORY:TAG] [--json]`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Sequence

from tidegate import references
from tidegate.errors import MalformedEvent
from tidegate.flows.image_gate import ImageGate
from tidegate.gates import Gates, GatesError, load


def main(arguments: Sequence[str] | None = None) -> int:
    """0: the file is good (and a gate matches); 1: it has faults, or no gate matches; 2: the command line is wrong."""
    options = _parser().parse_args(arguments)
    try:
        gates = load(options.file)
    except GatesError as error:
        _print(
            {"problems": [dataclasses.asdict(problem) for problem in error.problems]} if options.json else str(error)
        )
        return 1
    if options.match:
        return _show_match(gates, options.match, as_json=options.json)
    _print(_all(gates) if options.json else _summary(options.file, gates))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tidegate.gates",
        description="Check a gates file, or show which gate an image would meet.",
        epilog="Exit status: 0 good (and matched), 1 faults or no match, 2 wrong command line.",
    )
    parser.add_argument("file", nargs="?", default="gates.yaml", help="the file to check (default: gates.yaml)")
    parser.add_argument("--match", metavar="REPOSITORY:TAG", type=_image, help="show the gate this image would meet")
    parser.add_argument("--json", action="store_true", help="print JSON: the gates with every default, or the problems")
    return parser


def _image(text: str) -> tuple[str, str]:
    repository, _, tag = text.partition(":")
    try:
        return references.repository(repository, "repository"), references.tag(tag, "tag")
    except MalformedEvent as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _show_match(gates: Gates, image: tuple[str, str], *, as_json: bool) -> int:
    gate = gates.match(*image)
    if as_json:
        _print({"gate": dataclasses.asdict(gate) if gate else None})
    elif gate:
        _print(f"{image[0]}:{image[1]} meets gate {_line(gate)}")
    else:
        _print(f"{image[0]}:{image[1]} meets no gate; it would be ignored")
    return 0 if gate else 1


def _all(gates: Gates) -> dict[str, object]:
    """Every gate with its defaults filled in."""
    return {
        "images": [
            {
                "match": {
                    "repository": [glob.text for glob in rule.match.repositories],
                    "tag": [glob.text for glob in rule.match.tags],
                },
                "gate": dataclasses.asdict(rule.gate),
            }
            for rule in gates.images
        ]
    }


def _summary(file: str, gates: Gates) -> str:
    lines = [f"{file}: {len(gates.images)} image gate{'s' * (len(gates.images) != 1)}"]
    for rule in gates.images:
        repositories = ", ".join(glob.text for glob in rule.match.repositories)
        tags = ", ".join(glob.text for glob in rule.match.tags)
        lines.append(f"  {repositories} : {tags} -> {_line(rule.gate)}")
    return "\n".join(lines)


def _line(gate: ImageGate) -> str:
    command = shlex.join(gate.test.command) or "the image's own command"
    test = f"no test ({gate.test.skip})" if gate.test.skip else f"test {command}"
    return f"{gate.name} {gate.version}: {test}, then {gate.promote.repository} ({gate.promote.tags})"


def _print(what: str | dict[str, object]) -> None:
    sys.stdout.write((what if isinstance(what, str) else json.dumps(what, indent=2)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
