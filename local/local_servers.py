"""Inference servers that deliveries to local targets started: they outlive the app, and end with the stack."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from local import processes

FOLDER = "endpoints"
"""Of a stack's state: what TIDEGATE_LOCAL_ENDPOINTS names."""


def stop_all(state: Path, grace_s: float) -> None:
    """End them and remove their folders. Twice is the same as once."""
    folder = state / FOLDER
    processes.stop(list(_running(folder)), grace_s)
    shutil.rmtree(folder, ignore_errors=True)


def _running(folder: Path) -> Iterator[processes.Process]:
    for record in folder.glob("*/*/server.json"):
        known = json.loads(record.read_text())
        process = processes.find(int(known["pid"]))
        if process is not None and str(known["began"]) == str(process.started):
            yield process
