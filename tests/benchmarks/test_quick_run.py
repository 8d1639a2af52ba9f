"""All benchmarks run; what they measure in a quick run means nothing, and is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.stack
@pytest.mark.containers
def test_a_quick_run_measures_everything_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set((ROOT / "build").glob("bench-*"))
    output = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--output", str(output)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    conditions, *figures = json.loads(output.read_text())
    assert "load" in conditions["unit"]
    words = {figure["name"].split(",")[0].split(" ")[0] for figure in figures}
    assert words == {"index", "overhead", "copy", "duplicate", "one-row", "new", "work", "look"}
    assert all(figure["value"] > 0 and figure["reference"] > 0 for figure in figures)
    assert {figure["aim"] for figure in figures if "overhead push" in figure["name"]} == {"value < 1.5", "value < 3"}
    assert set((ROOT / "build").glob("bench-*")) == before


def test_an_unknown_benchmark_is_refused_with_the_names_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "speed"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "indexing" in done.stderr
