"""An export says what it is, where it comes from and how it is asked, and is what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scoring.models import LiteModel
from tests.trainer.runs import ORIGIN, SHORT, Undisturbed
from trainer.datasets import load_data
from trainer.drill import live
from trainer.manifest import verify


def test_a_manifest_says_what_the_model_is_and_where_it_comes_from(undisturbed: Undisturbed) -> None:
    manifest = verify(undisturbed.workdir / "export")
    data = load_data(SHORT.data, SHORT.image_size)
    assert manifest["digest"].startswith("sha256:")
    assert (manifest["state"], manifest["exact"]) == (undisturbed.digest, True)
    assert manifest["config"] == SHORT.as_json()
    assert (manifest["data"], tuple(manifest["labels"])) == (data.digest, data.label_names)
    assert (manifest["image"], manifest["revision"]) == (ORIGIN["TRAINER_IMAGE"], ORIGIN["TRAINER_REVISION"])
    assert {"loss", "accuracy", "test_loss", "test_accuracy"} <= manifest["metrics"].keys()
    assert manifest["step"] in {20, 40}


def test_an_export_that_was_killed_is_made_anew_and_whole(undisturbed: Undisturbed, tmp_path: Path) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed.workdir, workdir)
    (workdir / "result.json").unlink()
    (workdir / "export" / "manifest.json").unlink()
    (workdir / "export" / "of-another-life").write_text("x")
    (workdir / ".export.part").mkdir()
    (workdir / ".export.part" / "half").write_text("x")
    again = live(SHORT, workdir, exports=True, environment=ORIGIN)
    assert again.result is not None
    assert again.result["digest"] == undisturbed.digest
    before, after = (verify(each / "export") for each in (undisturbed.workdir, workdir))
    assert (after["state"], after["files"].keys()) == (undisturbed.digest, before["files"].keys())
    assert not (workdir / ".export.part").exists()
    assert not (workdir / "export" / "of-another-life").exists()


def test_the_signature_takes_bytes_of_images_of_any_size_and_agrees_with_the_lite_model(
    undisturbed: Undisturbed,
) -> None:
    import tensorflow as tf

    export = undisturbed.workdir / "export"
    signature = tf.saved_model.load(str(export / "model")).signatures["serving_default"]
    [(_, described)] = signature.structured_input_signature[1].items()
    assert (described.name, described.dtype, described.shape.as_list()) == ("image", tf.uint8, [None, None, None, 3])
    images = [np.asarray(Image.open(export / f"samples/{number}.png").convert("RGB")) for number in range(4)]
    answers = [signature(image=tf.constant(image[None])) for image in images]
    assert [each.decode() for each in answers[0]["labels"].numpy()] == json.loads((export / "labels.json").read_text())
    lite = LiteModel(export / "model.tflite")
    for image, answer in zip(images, answers, strict=True):
        assert lite(image)[0][0] == pytest.approx(answer["probabilities"].numpy()[0], abs=1e-4)
    twice = np.asarray(Image.fromarray(images[0]).resize((56, 56), Image.Resampling.NEAREST))
    assert signature(image=tf.constant(twice[None]))["probabilities"].shape == (1, 4)
