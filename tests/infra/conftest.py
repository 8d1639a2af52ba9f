"""The infrastructure as tests see it: parsed Bicep and loaded data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep.project import Project
from tests.infra.bicep.shapes import PublishedTypes

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"


@pytest.fixture(scope="session")
def published() -> PublishedTypes:
    return PublishedTypes.read(Path(__file__).with_name("published-types.json"))


@pytest.fixture(scope="session")
def project(published: PublishedTypes) -> Project:
    return Project(INFRA, published)


def data(name: str) -> Any:
    """A data file of infra/."""
    return json.loads((INFRA / "data" / f"{name}.json").read_text())
