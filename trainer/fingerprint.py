"""What the bits of a run depend on besides its configuration and data, and whether another machine has the same."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path

type Fingerprint = Mapping[str, str]


def fingerprint(threads: int, replicas: int) -> Fingerprint:
    """Versions, devices, the instruction set, threads and determinism, each as text that can be compared and shown."""
    import keras
    import numpy as np
    import tensorflow as tf

    devices = [
        tf.config.experimental.get_device_details(device).get("device_name", device.device_type)
        for device in tf.config.list_physical_devices()
    ]
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "devices": ", ".join(sorted(devices)),
        "processor": _instruction_set(),
        "threads": str(threads or _cores()),
        "deterministic": "yes",  # engine.prepare_process demands it; TensorFlow has no way to ask
        "replicas": str(replicas),
        "code": _code(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    }


def differences(before: Fingerprint, now: Fingerprint) -> list[str]:
    """`name: before -> now` for everything that is not the same; empty: the continued run is exact."""
    return [
        f"{name}: {before.get(name)} -> {now.get(name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def _code() -> str:
    """The modules that decide the numbers. Even a reordered graph may be fused differently and round differently."""
    folder = Path(__file__).parent
    modules = ("datasets", "engine", "history", "models", "order", "pictures", "stream", "training")
    return hashlib.sha256(b"".join((folder / f"{name}.py").read_bytes() for name in modules)).hexdigest()[:16]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _instruction_set() -> str:
    """The vector instructions that kernels choose by; two processors with the same ones compute the same sums."""
    wanted = (
        "avx2",
        "fma",
        "avx512f",
        "avx512_vnni",
        "avx512_bf16",
        "avx_vnni",
        "amx_bf16",
        "amx_tile",
        "asimd",
        "sve",
    )
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    flags = next((set(line.split()) for line in lines if line.startswith(("flags", "Features"))), set())
    return " ".join([platform.machine(), *(flag for flag in wanted if flag in flags)])
