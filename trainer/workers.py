"""Which of several workers this process is, by TF_CONFIG: Azure ML sets it for `distribution: tensorflow`."""

from __future__ import annotations

import json
import os
from typing import Any

from trainer.refusal import RefusedError

_THAT_TRAIN = ("chief", "worker")


def count() -> int:
    """Processes that share each batch; 1 without a cluster."""
    cluster = _config().get("cluster", {})
    return max(1, sum(len(cluster.get(kind, [])) for kind in _THAT_TRAIN))


def is_chief() -> bool:
    """The one that writes: the chief, or the first worker of a cluster that names none."""
    config = _config()
    task = config.get("task", {})
    kind = task.get("type", "worker")
    if kind not in _THAT_TRAIN:
        raise RefusedError(
            f"TF_CONFIG: a task of type {kind!r} has nothing to do here; {' and '.join(_THAT_TRAIN)} train"
        )
    return bool(kind == "chief" or (not config.get("cluster", {}).get("chief") and task.get("index", 0) == 0))


def _config() -> dict[str, Any]:
    try:
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    except ValueError as error:
        raise RefusedError(f"TF_CONFIG is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise RefusedError("TF_CONFIG must be an object")
    return config
