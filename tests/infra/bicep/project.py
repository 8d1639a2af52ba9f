"""Every Bicep file of a folder, parsed once, and what was found in them."""

from __future__ import annotations

from pathlib import Path

from tests.infra.bicep import tree
from tests.infra.bicep.parse import parse_file
from tests.infra.bicep.shapes import PublishedTypes
from tests.infra.bicep.tokens import BicepSyntaxError


class Project:
    """`findings` are sentences that name file and line; a file that cannot be read is one, and is left out."""

    def __init__(self, root: Path, types: PublishedTypes) -> None:
        self.root = root.resolve()
        self.types = types
        self.findings: list[str] = []
        self.files: dict[Path, tree.File] = {}
        for path in sorted(self.root.rglob("*.bicep")):
            try:
                self.files[path] = parse_file(path)
            except BicepSyntaxError as error:
                self.findings.append(str(error))

    def report(self, path: Path, line: int, message: str) -> None:
        finding = f"{path.relative_to(self.root)}:{line}: {message}"
        if finding not in self.findings:
            self.findings.append(finding)
