"""Answers which digits are in pictures of 8 x 8 pixels. Called by the Azure ML inference server.

{"pixels": [[64 numbers from 0 to 16], ...]}  ->  {"digits": [7, ...]}
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from azureml_inference_server_http.api.aml_response import AMLResponse

_READY: list[Any] = []


def init() -> None:
    """Load the model, wherever in the model's folder it lies."""
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    weights = next(iter(sorted(folder.rglob("model.joblib"))), None)
    if weights is None:
        raise FileNotFoundError(f"there is no model.joblib in {folder}")
    _READY[:] = [joblib.load(weights)]


def run(data: str) -> Any:
    """400 for a request that holds no pictures; the server answers 500 for what goes wrong here."""
    try:
        pixels = np.asarray(json.loads(data)["pixels"], dtype=np.float32).reshape(-1, 64)
    except (KeyError, TypeError, ValueError) as error:
        return AMLResponse({"error": f"{type(error).__name__}: {error}"}, 400, json_str=True)
    return {"digits": _READY[0].predict(pixels).tolist()}
