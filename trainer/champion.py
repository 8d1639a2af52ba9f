"""`python -m trainer.champion <challenger> --champion <folder>`: both models on the same test samples; the better one stays."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import from_values
from trainer.datasets import Data, load_data
from trainer.manifest import verify

_BATCH = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """Whether the challenger is to be registered."""

    promote: bool
    challenger: float
    champion: float | None
    reason: str


def decide(challenger: float, champion: float | None, least_gain: float) -> Decision:
    """By accuracy; a challenger that is only as good stays out when a gain is asked for."""
    if champion is None:
        return Decision(True, challenger, None, "there is no champion")
    gain = challenger - champion
    better = gain >= least_gain
    return Decision(
        better, challenger, champion, f"gain {gain:+.4f}, {'at least' if better else 'less than'} {least_gain:+.4f}"
    )


def accuracy(export: Path, data: Data) -> float:
    """Of an export's SavedModel; its labels are matched by name, and a label that it does not know is a miss."""
    import tensorflow as tf

    names = list(verify(export)["labels"])
    signature = tf.saved_model.load(str(export / "model")).signatures["serving_default"]
    hits = 0
    for start in range(0, len(data.test), _BATCH):
        numbers = range(start, min(start + _BATCH, len(data.test)))
        images = np.stack([_rgb(data.test.read(number)) for number in numbers])
        answers = signature(image=tf.constant(images))["probabilities"].numpy().argmax(axis=1)
        hits += sum(
            names[answer] == data.label_names[data.test.labels[each]]
            for answer, each in zip(answers, numbers, strict=True)
        )
    return hits / len(data.test)


def _rgb(image: Any) -> Any:
    return image if image.shape[-1] == 3 else image.repeat(3, axis=-1)


def _holds_something(folder: Path | None) -> bool:
    """Half a copy of a champion is no absent one: it is verified, which fails, rather than beaten by whoever comes next."""
    return folder is not None and folder.is_dir() and any(folder.iterdir())


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes decision.json; 0 whatever the decision is."""
    parser = argparse.ArgumentParser(prog="python -m trainer.champion", description=__doc__)
    parser.add_argument("challenger", type=Path, help="an export")
    parser.add_argument("--champion", type=Path, help="the export to beat; none there: the challenger wins")
    parser.add_argument("--data", help="where the test samples are; default: where the challenger's were")
    parser.add_argument("--least-gain", type=float, default=0.0, help="of accuracy, from 0 to 1")
    parser.add_argument("--output", type=Path, required=True, help="folder for decision.json")
    options = parser.parse_args(arguments)
    config = from_values(verify(options.challenger)["config"], "challenger")
    data = load_data(options.data or config.data, config.image_size)
    champion = accuracy(options.champion, data) if _holds_something(options.champion) else None
    decision = decide(accuracy(options.challenger, data), champion, options.least_gain)
    options.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(decision), indent=2)
    (options.output / "decision.json").write_text(text)
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
