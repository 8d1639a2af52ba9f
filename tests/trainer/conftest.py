"""The tests of the trainer need TensorFlow: `make test-trainer` runs them in .tools/trainer; .venv has none of it."""

from __future__ import annotations

import importlib.util

import pytest

from tests.trainer.runs import Undisturbed, undisturbed_run

if importlib.util.find_spec("tensorflow") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def undisturbed() -> Undisturbed:
    return undisturbed_run()
