"""`make check-infra` itself, in a copy of the repository: it passes there, and each planted mistake makes it fail."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.conftest import ROOT

PARTS = ("infra", "functions", "tidegate", "tests/infra", "docs", ".github", "Makefile", "pyproject.toml", "README.md")


@dataclasses.dataclass(frozen=True, slots=True)
class Mistake:
    file: str
    old: str
    new: str
    narrow: str
    """Words of the tests that run in the copy: a part of `make check-infra`, for speed."""
    found: str
    """What the failure says."""


MISTAKES = {
    "a typo in a property": Mistake(
        "infra/modules/storage.bicep", "minimumTlsVersion:", "minTlsVersion:", "nothing_is_wrong", "minTlsVersion"
    ),
    "an unknown module parameter": Mistake(
        "infra/main.bicep", "retentionDays: log", "days: log", "nothing_is_wrong", "unknown property params.days"
    ),
    "a missing file": Mistake(
        "infra/modules/budget.bicep", "", "", "nothing_is_wrong", "no module modules/budget.bicep"
    ),
    "a removed role": Mistake(
        "infra/data/roles.json", '"role": "image-target"', '"role": "image-source"', "adapters", "AssertionError"
    ),
    "a misspelt event type": Mistake(
        "infra/data/events.json", ".ImagePushed", ".ImagePush", "event_type_that_is_subscribed", "ImagePush"
    ),
    "a name that is known too late": Mistake(
        "infra/modules/function-app.bicep",
        "'plan-${name}'",
        "'plan-${insights.properties.AppId}'",
        "known_before",
        "insights.properties",
    ),
    "a renamed function": Mistake(
        "functions/container_registry.py", '"image_pushed"', '"image_arrived"', "every_function", "image_arrived"
    ),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for part in PARTS:
        source, target = ROOT / part, tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (tmp_path / "tests" / "__init__.py").touch()
    return tmp_path


def check_infra(copy: Path, narrow: str) -> subprocess.CompletedProcess[str]:
    """Run the target with this Python, without set-up, as far as `narrow` says."""
    options = f"-k {narrow} -x -p no:cacheprovider -o addopts=--import-mode=importlib"
    environment = {**os.environ, "PYTEST_ADDOPTS": options, "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["make", "--assume-old=setup-python", "check-infra", f"python={sys.executable}"]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_planted_mistake_fails_check_infra(mistake: Mistake, copy: Path) -> None:
    planted = copy / mistake.file
    if mistake.old:
        text = planted.read_text()
        assert mistake.old in text
        planted.write_text(text.replace(mistake.old, mistake.new))
    else:
        planted.unlink()

    done = check_infra(copy, mistake.narrow)

    assert done.returncode != 0
    assert mistake.found in done.stdout, done.stdout + done.stderr


def test_check_infra_passes_on_what_is_there(copy: Path) -> None:
    done = check_infra(copy, "'nothing_is_wrong or adapters or every_function'")

    assert done.returncode == 0, done.stdout + done.stderr
