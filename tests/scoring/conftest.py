"""The tests of scoring need TensorFlow, LiteRT and the inference server: `make test-trainer` runs them in .tools/trainer."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("azureml_inference_server_http") is None:
    collect_ignore_glob = ["test_*.py"]
