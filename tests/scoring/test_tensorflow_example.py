"""The trainer's classifier served by TensorFlow answers what its manifest says, and refuses what would hang."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scoring.deploy import deploy
from scoring.models import saved_model
from scoring.service import detections
from tests.scoring.scripts import loaded
from tests.trainer.runs import undisturbed_run

_SCRIPT = Path(__file__).parents[2] / "scoring" / "examples" / "classifier_tensorflow" / "score.py"


def test_the_answers_are_those_of_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    workdir = undisturbed_run().workdir
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(workdir))  # the registered folder lies one level down
    score = loaded(_SCRIPT)
    score.init()
    samples = json.loads((workdir / "export" / "manifest.json").read_text())["samples"]
    for sample in samples:
        [detection] = detections((workdir / "export" / sample["request"]).read_bytes(), score._READY[0])
        assert (detection["label"], detection["xmax"], detection["ymax"]) == (sample["answer"], 28, 28)
        assert detection["score"] == pytest.approx(sample["score"], abs=1e-4)


def test_a_server_forked_from_a_process_that_imported_tensorflow_answers_and_so_does_the_next() -> None:
    export = undisturbed_run().workdir / "export"
    [sample, *_] = json.loads((export / "manifest.json").read_text())["samples"]
    with deploy(export, "local", script=_SCRIPT, warm="tensorflow") as service:
        for _ in range(2):
            [detection] = json.loads(service.score((export / sample["request"]).read_bytes(), timeout=30.0))
            assert detection["label"] == sample["answer"]
            service.reload()


def test_a_server_that_would_fork_a_loaded_tensorflow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_PRELOAD", "True")
    with pytest.raises(RuntimeError, match="WORKER_PRELOAD"):
        saved_model(undisturbed_run().workdir / "export" / "model")
