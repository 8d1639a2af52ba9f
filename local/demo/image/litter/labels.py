"""Names of the model's classes, in the order in which the model was trained."""

from __future__ import annotations

from pathlib import Path

_FILE = Path(__file__).with_name("labels.txt")


def load_labels(file: Path = _FILE) -> tuple[str, ...]:
    """Class index -> name. The file comes from the training run; a line a class."""
    labels = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    if len(set(labels)) != len(labels):
        raise ValueError(f"{file.name} names a class twice")
    return labels
