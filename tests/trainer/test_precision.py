"""Mixed precision and XLA by configuration; resumed exactly there too."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.runs import SHORT
from trainer.drill import live


@pytest.mark.parametrize(
    "changes",
    [{"precision": "mixed_float16"}, {"precision": "mixed_bfloat16", "schedule": "constant", "xla": True}],
    ids=["float16", "bfloat16-xla"],
)
def test_a_killed_run_ends_in_the_same_state(changes: dict[str, Any], tmp_path: Path) -> None:
    config = dataclasses.replace(SHORT, epochs=1, **changes)
    undisturbed = live(config, tmp_path / "undisturbed")
    assert undisturbed.result is not None
    assert "digest" in undisturbed.result, undisturbed
    killed = live(config, tmp_path / "killed", (8, 0.0))
    assert killed.result is None
    resumed = live(config, tmp_path / "killed")
    assert resumed.result is not None
    assert resumed.resumed_at > 0
    assert resumed.result["digest"] == undisturbed.result["digest"]
