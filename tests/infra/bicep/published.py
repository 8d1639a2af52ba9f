"""Makes published-types.json from a checkout of Azure/bicep-types-az (MIT): what infra/ uses and touches of it.

    python -m tests.infra.bicep.published FOLDER [FILE]

FOLDER holds index.json and the types.json files that it names. Run it after the first use of a resource type, an api
version or a nested object; without FILE it only prints what is wrong with infra/ by the whole of the types.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.infra.bicep.check import findings
from tests.infra.bicep.project import Project
from tests.infra.bicep.shapes import PublishedTypes

_PRIMITIVES = {
    "StringType": "string",
    "IntegerType": "int",
    "BooleanType": "bool",
    "AnyType": "any",
    "NullType": "null",
}
_LIMITS = {
    "minLength": "least",
    "maxLength": "most",
    "minValue": "least",
    "maxValue": "most",
    "pattern": "pattern",
    "sensitive": "secret",
}


class _Table:
    """Nodes of all files in one list; an index for each (file, position)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: list[Any] = []
        self._index: dict[tuple[str, int], int] = {}
        self._files: dict[str, Any] = {}

    def add(self, file: str, position: int) -> int:
        key = (file, position)
        if key not in self._index:
            self._index[key] = len(self.nodes)
            self.nodes.append(None)
            self.nodes[self._index[key]] = self._node(file, self._read(file)[position])
        return self._index[key]

    def _read(self, file: str) -> Any:
        if file not in self._files:
            self._files[file] = json.loads((self.folder / file).read_text())
        return self._files[file]

    def _ref(self, file: str, reference: dict[str, str]) -> int:
        return self.add(file, int(reference["$ref"].rpartition("/")[2]))

    def _properties(self, file: str, stored: dict[str, Any]) -> dict[str, list[int]]:
        return {name: [self._ref(file, each["type"]), each["flags"]] for name, each in stored.items()}

    def _node(self, file: str, stored: dict[str, Any]) -> Any:
        match stored["$type"]:
            case "StringLiteralType":
                return {"literal": stored["value"]}
            case "UnionType":
                return {"union": [self._ref(file, each) for each in stored["elements"]]}
            case "ArrayType":
                return {"array": self._ref(file, stored["itemType"])}
            case "DiscriminatedObjectType":
                elements = {key: self._ref(file, each) for key, each in stored["elements"].items()}
                return {
                    "discriminator": stored["discriminator"],
                    "base": self._properties(file, stored["baseProperties"]),
                    "elements": elements,
                }
            case "ObjectType":
                extra = (
                    {"extra": self._ref(file, stored["additionalProperties"])}
                    if "additionalProperties" in stored
                    else {}
                )
                return {"object": self._properties(file, stored["properties"])} | extra
            case "ResourceType":
                return self._node(file, self._read(file)[int(stored["body"]["$ref"].rpartition("/")[2])])
            case simple:
                limits = {name: stored[key] for key, name in _LIMITS.items() if key in stored}
                return {"primitive": _PRIMITIVES[simple], **limits} if limits else _PRIMITIVES[simple]


def table(folder: Path) -> PublishedTypes:
    """Every type of the folder."""
    content = _Table(folder)
    index = json.loads((folder / "index.json").read_text())["resources"]
    resources = {name: content.add(*_target(each["$ref"])) for name, each in index.items()}
    return PublishedTypes(resources, content.nodes)


def _target(reference: str) -> tuple[str, int]:
    file, _, position = reference.partition("#/")
    return file, int(position)


def pruned(full: PublishedTypes, project: Project) -> dict[str, Any]:
    """What a check of the project looked at; a type that nothing looked at becomes `any`."""
    used = {each.reference for file in project.files.values() for each in file.of_kind("resource")}
    kept = sorted(full.seen)
    position = {index: number + 1 for number, index in enumerate(kept)}

    def moved(node: Any) -> Any:
        match node:
            case {"union": members}:
                return {"union": [position.get(each, 0) for each in members]}
            case {"array": item}:
                return {"array": position.get(item, 0)}
            case {"discriminator": name, "base": base, "elements": elements}:
                return {
                    "discriminator": name,
                    "base": _moved(base, position),
                    "elements": {key: position.get(each, 0) for key, each in elements.items()},
                }
            case {"object": properties, "extra": int(extra)}:
                return {"object": _moved(properties, position), "extra": position.get(extra, 0)}
            case {"object": properties}:
                return {"object": _moved(properties, position)}
            case _:
                return node

    resources = {name: position[full.index_of(name)] for name in sorted(used) if full.resource(name) is not None}
    return {
        "source": "Azure/bicep-types-az, MIT licence",
        "resources": resources,
        "types": ["any", *(moved(full.node(index)) for index in kept)],
    }


def _moved(properties: dict[str, list[int]], position: dict[int, int]) -> dict[str, list[int]]:
    return {name: [position.get(index, 0), flags] for name, (index, flags) in properties.items()}


def main(folder: str, target: str) -> int:
    root = Path(__file__).parents[3] / "infra"
    full = table(Path(folder))
    project = Project(root, full)
    for finding in findings(project):
        sys.stdout.write(f"{finding}\n")
    if target:
        Path(target).write_text(json.dumps(pruned(full, project), separators=(",", ":")) + "\n")
    return bool(project.findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
