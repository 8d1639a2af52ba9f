"""The pages about the infrastructure name everything that there is."""

from __future__ import annotations

import re

from tests.infra.bicep.project import Project
from tests.infra.conftest import INFRA, ROOT, data

REFERENCE = ROOT / "docs" / "reference" / "infrastructure.md"
DEPLOY = ROOT / "docs" / "how-to" / "deploy.md"


def test_the_reference_names_every_parameter_and_no_other(project: Project) -> None:
    text = REFERENCE.read_text()
    section = text[text.index("## Parameters of") : text.index("## How it is checked")]
    declared = {each.name for each in project.files[INFRA / "main.bicep"].of_kind("param")}

    assert set(re.findall(r"`(\w+)`", section)) == declared


def test_the_reference_names_every_module(project: Project) -> None:
    text = REFERENCE.read_text()
    section = text[text.index("### Modules") : text.index("## Decisions")]
    modules = {path.stem for path in project.files if path.parent.name == "modules"}

    assert set(re.findall(r"`([\w-]+)`", section)) == modules


def test_the_reference_names_every_data_file() -> None:
    text = REFERENCE.read_text()
    for path in (INFRA / "data").iterdir():
        if not path.name.endswith(".schema.json"):
            assert f"`{path.name}" in text, path.name


def test_files_that_the_pages_name_are_there() -> None:
    for name in re.findall(r"(?<!tests/)infra/[\w./<>{}-]+\w", REFERENCE.read_text() + DEPLOY.read_text()):
        assert (ROOT / name).exists() or "<" in name or "{" in name, name


def test_alert_rules_that_a_page_names_exist() -> None:
    names = {each["name"] for each in data("alerts")["alerts"]}

    assert "silent-alert-path" in DEPLOY.read_text()
    assert "silent-alert-path" in names
