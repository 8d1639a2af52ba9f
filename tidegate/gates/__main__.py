"""Checks a gates file and shows what it means.

python -m tidegate.gates [FILE] [--match REPOSITORY:TAG | --model NAME [--tag NAME=VALUE ...]] [--json]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Sequence

from tidegate import references
from tidegate.errors import MalformedEvent
from tidegate.flows.images.image_gate import ImageGate
from tidegate.flows.models.model_gate import ModelGate, Stage
from tidegate.gates import Gates, GatesError, load


def main(arguments: Sequence[str] | None = None) -> int:
    """0: the file is good (and a gate matches); 1: it has faults, or no gate matches; 2: the command line is wrong."""
    options = (parser := _parser()).parse_args(arguments)
    if options.tag and not options.model:
        parser.error("argument --tag: only with --model")
    try:
        gates = load(options.file)
    except GatesError as error:
        _print(
            {"problems": [dataclasses.asdict(problem) for problem in error.problems]} if options.json else str(error)
        )
        return 1
    if options.match:
        return _show(":".join(options.match), gates.match(*options.match), as_json=options.json)
    if options.model:
        return _show(options.model, gates.model_gate(options.model, dict(options.tag)), as_json=options.json)
    _print(_all(gates) if options.json else _summary(options.file, gates))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tidegate.gates",
        description="Check a gates file, or show which gate an image or a model would meet.",
        epilog="Exit status: 0 good (and matched), 1 faults or no match, 2 wrong command line.",
    )
    parser.add_argument("file", nargs="?", default="gates.yaml", help="the file to check (default: gates.yaml)")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--match", metavar="REPOSITORY:TAG", type=_image, help="show the gate this image would meet")
    asked.add_argument("--model", metavar="NAME", type=_model, help="show the gate a version of this model would meet")
    tag_help = "a tag of that version; may be given more than once"
    parser.add_argument("--tag", metavar="NAME=VALUE", type=_tag, action="append", default=[], help=tag_help)
    parser.add_argument("--json", action="store_true", help="print JSON: the gates with every default, or the problems")
    return parser


def _image(text: str) -> tuple[str, str]:
    repository, _, tag = text.partition(":")
    try:
        return references.repository(repository, "repository"), references.tag(tag, "tag")
    except MalformedEvent as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _model(text: str) -> str:
    try:
        return references.model(text, "model")
    except MalformedEvent as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _tag(text: str) -> tuple[str, str]:
    name, is_pair, tag_value = text.partition("=")
    if not name or not is_pair:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, tag_value


def _show(name: str, gate: ImageGate | ModelGate | None, *, as_json: bool) -> int:
    if as_json:
        _print({"gate": dataclasses.asdict(gate) if gate else None})
    elif gate:
        _print(f"{name} meets gate {_line(gate)}")
    else:
        _print(f"{name} meets no gate; it would be ignored")
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
        ],
        "models": [
            {
                "match": {"model": [glob.text for glob in rule.match.names], "tags": dict(rule.match.tags)},
                "gate": dataclasses.asdict(rule.gate),
            }
            for rule in gates.models
        ],
    }


def _summary(file: str, gates: Gates) -> str:
    lines = [f"{file}: {_count(len(gates.images), 'image gate')}"]
    for rule in gates.images:
        repositories = ", ".join(glob.text for glob in rule.match.repositories)
        tags = ", ".join(glob.text for glob in rule.match.tags)
        lines.append(f"  {repositories} : {tags} -> {_line(rule.gate)}")
    if gates.models:
        lines.append(f"{file}: {_count(len(gates.models), 'model gate')}")
    for each in gates.models:
        names = ", ".join([glob.text for glob in each.match.names] + [f"{tag}={want}" for tag, want in each.match.tags])
        lines.append(f"  {names} -> {_line(each.gate)}")
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _line(gate: ImageGate | ModelGate) -> str:
    match gate:
        case ModelGate(name, version, stages=stages):
            return f"{name} {version}: {', then '.join(map(_place, stages))}"
        case ImageGate(name, version, test=test, promote=promote):
            command = shlex.join(test.command) or "the image's own command"
            words = f"no test ({test.skip})" if test.skip else f"test {command}"
            return f"{name} {version}: {words}, then {promote.repository} ({promote.tags})"


def _place(stage: Stage) -> str:
    where = f"{stage.release.kind} {stage.release.project}" if stage.release else stage.target.endpoint
    return f"{stage.name} ({where}{', approved' * (stage.approval is not None)})"


def _print(what: str | dict[str, object]) -> None:
    sys.stdout.write((what if isinstance(what, str) else json.dumps(what, indent=2)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
