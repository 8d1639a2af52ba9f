"""Where Azure ML put the registered model, and how to run it: with LiteRT, or with TensorFlow."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

type Floats = npt.NDArray[np.float32]


def model_folder(marker: str = "manifest.json") -> Path:
    """The folder below AZUREML_MODEL_DIR that has `marker`: registered folders lie one level down, by their own name."""
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted({path.parent for path in root.rglob(marker)}, key=lambda path: len(path.parts))
    if not found:
        raise FileNotFoundError(f"no {marker} below AZUREML_MODEL_DIR={root}: register what the trainer exported")
    return found[0]


def labels_of(folder: Path) -> list[str]:
    """In the order of the model's outputs."""
    return [str(label) for label in json.loads((folder / "labels.json").read_text())]


class LiteModel:
    """A .tflite file: floats in, every output as it is. One thread: the inference server runs a process for each core."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter: Any = Interpreter(model_path=str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    @property
    def side(self) -> int:
        """Pixels of its square input."""
        return int(self._input["shape"][1])

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> list[Floats]:
        """One image of bytes; the model takes floats from 0 to 255."""
        self._interpreter.set_tensor(self._input["index"], rgb[None].astype(np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def saved_model(folder: Path) -> Callable[[npt.NDArray[np.uint8]], Floats]:
    """The SavedModel's signature `serving_default` as a function from one image to probabilities."""
    if os.environ.get("WORKER_PRELOAD", "").lower() == "true":
        raise RuntimeError("TensorFlow does not survive the fork of WORKER_PRELOAD=true: requests would hang; unset it")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    signature = loaded.signatures["serving_default"]

    def run(rgb: npt.NDArray[np.uint8]) -> Floats:
        result: Floats = signature(image=tf.constant(rgb[None]))["probabilities"].numpy()[0]
        return result

    run.keep = loaded  # type: ignore[attr-defined]  # the variables live as long as the object that owns them
    return run
