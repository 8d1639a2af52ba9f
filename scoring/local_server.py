"""Configuration of the local inference server's gunicorn: what is slow to import is imported once, before workers fork.

The server itself is Microsoft's, unchanged. A reload forks a worker that only has to run score.py's `init`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import types
from pathlib import Path
from typing import Any

preload_app = False
worker_class = "sync"
workers = 1
# Imported and not run: a TensorFlow that computed something would not survive the fork.
_WARM = ("azureml_inference_server_http.server.appinsights_client", "flask", "numpy", "PIL.Image", "scoring.service")
_FOR_MODEL = {"tensorflow": "tensorflow", "litert": "ai_edge_litert.interpreter"}
_TELEMETRY = "azure.monitor.opentelemetry.exporter"


def _without_telemetry() -> None:
    """Where Application Insights is switched off, the server imports its exporters and never makes one: a third of the start."""
    empty = types.ModuleType(_TELEMETRY)
    vars(empty).update(AzureMonitorLogExporter=None, AzureMonitorTraceExporter=None)
    sys.modules.setdefault(_TELEMETRY, empty)


if os.environ.get("AML_APP_INSIGHTS_ENABLED", "").lower() == "false":
    _without_telemetry()
for _name in (*_WARM, *(_FOR_MODEL.get(each, each) for each in os.environ.get("SCORING_WARM", "").split(",") if each)):
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(_name)


def post_worker_init(worker: Any) -> None:
    """`init` has returned: say so to whoever waits for it."""
    Path(os.environ["SCORING_READY_FILE"]).write_text(str(worker.pid))
