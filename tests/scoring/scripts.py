"""Scoring scripts, imported as the inference server imports them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

SCORING = Path(__file__).parents[2] / "scoring"
SCRIPTS = sorted([SCORING / "skeleton" / "score.py", *SCORING.glob("examples/*/score.py")])


def loaded(script: Path) -> ModuleType:
    """The module, before its `init`."""
    spec = importlib.util.spec_from_file_location("score", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
