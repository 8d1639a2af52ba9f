"""The Makefile: help lists every target a person calls, and CI runs what a person runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PROMISED = {"help", "demo", "up", "down", "status", "test", "check", "e2e", "bench", "lock", "setup", "clean"}
INTERNAL = {"setup-python"}


def make(*arguments: str) -> str:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_make_alone_lists_every_target() -> None:
    lines = make().splitlines()
    assert {line.split()[1] for line in lines} == TARGETS - INTERNAL
    assert TARGETS >= PROMISED
    assert all(re.fullmatch(r"  make [\w-]+ +[A-Z].{10,}", line) for line in lines)


def test_no_target_is_mistaken_for_a_file_of_its_name() -> None:
    declared = re.search(r"^\.PHONY: (.+)$", make("--print-data-base", "--dry-run", "help"), re.MULTILINE)
    assert declared
    assert set(declared[1].split()) == TARGETS


def test_down_has_nothing_to_stop_where_setup_failed_half_way(tmp_path: Path) -> None:
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho \"No module named 'yaml'\" >&2\nexit 1\n")
    python.chmod(0o755)
    done = subprocess.run(["make", "-f", ROOT / "Makefile", "down"], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ci_runs_make_test_and_nothing_else() -> None:
    commands = [line for line in (ROOT / ".ci/run").read_text().splitlines() if not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "exec make test"]


def test_make_test_runs_the_checks_and_every_test() -> None:
    commands = make("--dry-run", "--always-make", "test")
    for each in ("tools/setup", "ruff format --check", "ruff check", "mypy", "lint-imports", "-m pytest\n"):
        assert each in commands
