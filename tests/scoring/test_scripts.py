"""Every script that is shipped is warm before it is ready: the first request pays for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.images import Limits, Picture
from scoring.service import Detection, Detector, warm_up
from tests.scoring.scripts import SCORING, SCRIPTS, loaded
from tests.trainer.runs import undisturbed_run


def test_warming_up_is_one_detection_on_an_image_of_the_models_size() -> None:
    seen: list[tuple[tuple[int, ...], int, int]] = []

    def detect(picture: Picture) -> list[Detection]:
        seen.append((picture.rgb.shape, picture.width, picture.height))
        return []

    warm_up(Detector(28, detect, Limits()))
    assert seen == [((28, 28, 3), 28, 28)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.parent.name)
def test_a_script_is_warm_before_it_is_ready(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = SCORING / "examples" / "detector" / "model"
    if "classifier" in script.parent.name:
        model = undisturbed_run().workdir / "export"
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(model))
    score = loaded(script)
    warmed: list[Detector] = []

    def warm(detector: Detector) -> None:
        assert score._READY == [], "it would answer already"
        warmed.append(detector)

    monkeypatch.setattr(score, "warm_up", warm)
    score.init()
    assert warmed == score._READY
