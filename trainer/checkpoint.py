"""A checkpoint as bytes: named arrays and a description, with a SHA-256 that a torn or rotten file cannot have."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.refusal import RefusedError

type Arrays = Mapping[str, npt.NDArray[Any]]

_MAGIC = b"tidegate checkpoint 1\n"
_ALIGNMENT = 64


class DamagedError(ValueError):
    """These bytes are not a whole checkpoint."""


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a run between two steps."""

    meta: Mapping[str, Any]
    """Plain JSON: step, seeds, metrics, early stopping, configuration, data digest, fingerprint."""
    arrays: Arrays

    @property
    def step(self) -> int:
        """Steps done; the position in the data."""
        return int(self.meta["step"])


def encode(checkpoint: Checkpoint) -> list[bytes | memoryview]:
    """The file as parts to be written one after the other, so that big arrays are not copied."""
    entries: list[dict[str, Any]] = []
    parts: list[bytes | memoryview] = []
    offset = 0
    for name, array in checkpoint.arrays.items():
        plain = np.ascontiguousarray(array)
        view = memoryview(plain.reshape(-1).view(np.uint8))
        entries.append(
            {"name": name, "dtype": _dtype_name(plain), "shape": list(array.shape), "at": offset, "bytes": len(view)}
        )
        padding = -len(view) % _ALIGNMENT
        parts += [view, bytes(padding)]
        offset += len(view) + padding
    header = json.dumps({"meta": checkpoint.meta, "arrays": entries, "bytes": offset}, sort_keys=True).encode()
    return [_MAGIC, len(header).to_bytes(8, "little"), header, *parts]


def sha256_of(parts: list[bytes | memoryview]) -> str:
    """Over the parts as they will lie in the file."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def decode(data: bytes, sha256: str) -> Checkpoint:
    """The checkpoint whose file has this SHA-256; anything else raises DamagedError. Whole, but of another format: refused."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedError("its SHA-256 is not the one in its manifest")
    if not data.startswith(_MAGIC):
        raise RefusedError(
            f"the newest checkpoint is of another format ({data[:40].partition(b'\n')[0]!r}), not of this trainer's"
        )
    start = len(_MAGIC) + 8
    size = int.from_bytes(data[len(_MAGIC) : start], "little")
    header = json.loads(data[start : start + size])
    body = memoryview(data)[start + size :]
    arrays = {
        entry["name"]: np.frombuffer(
            body[entry["at"] : entry["at"] + entry["bytes"]], dtype=_dtype(entry["dtype"])
        ).reshape(entry["shape"])
        for entry in header["arrays"]
    }
    return Checkpoint(header["meta"], arrays)


def state_digest(arrays: Arrays, metrics: object) -> str:
    """One SHA-256 over every variable, slot, seed and metric: two runs with the same one are in the same state."""
    digest = hashlib.sha256(json.dumps(metrics, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"\n{name} {_dtype_name(array)} {array.shape}\n".encode())
        digest.update(memoryview(array.reshape(-1).view(np.uint8)))
    return digest.hexdigest()


def _dtype_name(array: npt.NDArray[Any]) -> str:
    return str(array.dtype.name)


def _dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":  # not one of NumPy's own
        import ml_dtypes

        half: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return half
    return np.dtype(name)
