"""The manifest of an export: a digest over its files, and the proof that they are what was exported. Needs no TensorFlow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def digest_of(files: Mapping[str, str]) -> str:
    """One SHA-256 of an export: over the names and hashes of its files."""
    return "sha256:" + hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of an export whose files are all as they were written; raises ValueError otherwise."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    for name, sha256 in manifest["files"].items():
        if not (folder / name).is_file() or sha256_of(folder / name) != sha256:
            raise ValueError(f"{folder / name} is not what was exported")
    if digest_of(manifest["files"]) != manifest["digest"]:
        raise ValueError(f"{folder}/manifest.json: its digest does not match its files")
    return manifest


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
