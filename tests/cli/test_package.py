"""The command line as people install it: a small wheel that starts at once."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from tidegate.cli.commands import VERSION, tidegate

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_the_client_and_nothing_else_of_the_product(tmp_path: Path) -> None:
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT / "cli", capture_output=True, text=True, check=True
    )
    names = zipfile.ZipFile(tmp_path / done.stdout.split()[-1]).namelist()
    modules = {name for name in names if name.endswith(".py")}
    client = {f"tidegate/cli/{path.name}" for path in (ROOT / "tidegate" / "cli").glob("*.py")}
    assert modules == client | {"tidegate/__init__.py", "tidegate/errors.py", "tidegate/references.py"}


def test_starting_imports_no_azure_no_rich_and_no_http() -> None:
    code = "import sys; from tidegate.cli.commands import main; main(['--version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not {"azure", "rich", "http.client", "ssl", "requests", "yaml", "email"} & loaded


def test_every_command_and_every_option_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    rows = {row.split("|")[1]: row for row in re.findall(r"^\| `.*$", page, re.MULTILINE)}
    everywhere = {"--help", "--json", "--reason"}
    for name, command in tidegate.commands.items():
        row = next((text for cell, text in rows.items() if re.search(rf"`{name}[ `]", cell)), "")
        assert row, f"{name} is in no row of the page"
        missing = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        assert {each for each in missing - everywhere if each not in row} == set(), name
    for option in ("--url", "--profile", "--version", "--json", "--timeout"):
        assert f"`{option}" in page or f" {option}" in page


def test_there_is_one_version() -> None:
    for path in ("pyproject.toml", "cli/pyproject.toml"):
        assert tomllib.loads((ROOT / path).read_text())["project"]["version"] == VERSION
