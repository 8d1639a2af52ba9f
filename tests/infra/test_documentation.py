"""The pages about the infrastructure name everything that there is."""

from __future__ import annotations

import re

from tests.infra.bicep.project import Project
from tests.infra.conftest import INFRA, ROOT, data

REFERENCE = ROOT / "docs" / "reference" / "infrastructure.md"
DEPLOY = ROOT / "docs" / "how-to" / "deploy.md"
OVERVIEW = ROOT / "docs" / "infra.md"


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
    for name in re.findall(
        r"(?<!tests/)infra/[\w./<>{}-]+\w", REFERENCE.read_text() + DEPLOY.read_text() + OVERVIEW.read_text()
    ):
        assert (ROOT / name).exists() or "<" in name or "{" in name, name


def test_alert_rules_that_a_page_names_exist() -> None:
    names = {each["name"] for each in data("alerts")["alerts"]}

    assert "silent-alert-path" in DEPLOY.read_text()
    assert "silent-alert-path" in names


def test_the_overview_says_how_to_use_everything_that_can_be_there_already(project: Project) -> None:
    declared = {each.name for each in project.files[INFRA / "main.bicep"].of_kind("param")}

    assert {each for each in declared if each.startswith("existing")} <= set(
        re.findall(r"`(\w+)`", OVERVIEW.read_text())
    )


def test_the_overview_says_of_its_prices_when_and_whence() -> None:
    costs = OVERVIEW.read_text().partition("## Costs")[2].partition("\n## ")[0]

    assert re.search(r"Written on \d{4}-\d{2}-\d{2}", costs)
    assert "no price page of Microsoft was read" in costs
    assert "Assumed: " in costs


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in (OVERVIEW, REFERENCE, DEPLOY):
        for target in re.findall(r"\]\((?!https:)([\w./-]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
    assert "docs/infra.md" in (ROOT / "README.md").read_text()
