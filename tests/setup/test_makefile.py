"""The Makefile: help lists every target a person calls, and CI runs what a person runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGETS = {
    "help",
    "demo",
    "up",
    "down",
    "status",
    "test",
    "check",
    "e2e",
    "bench",
    "lock",
    "setup",
    "setup-az",
    "clean",
}


def make(*arguments: str) -> str:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_make_alone_lists_every_target() -> None:
    lines = make().splitlines()
    assert {line.split()[1] for line in lines} == TARGETS
    assert all(re.fullmatch(r"  make [\w-]+ +[A-Z].{10,}", line) for line in lines)


def test_ci_runs_make_test_and_nothing_else() -> None:
    commands = [line for line in (ROOT / ".ci/run").read_text().splitlines() if not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "exec make test"]


def test_make_test_runs_the_checks_and_every_test() -> None:
    commands = make("--dry-run", "--always-make", "test")
    for each in ("tools/setup", "ruff format --check", "ruff check", "mypy", "lint-imports", "-m pytest\n"):
        assert each in commands
