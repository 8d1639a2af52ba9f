"""`python -m trainer.check_data --config <name|file>`: the first step of retraining, seconds instead of a wasted run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import changed, load_config
from trainer.datasets import Data, Split, load_data
from trainer.refusal import RefusedError

_LEAST_SHARE = 0.02  # of the training samples, for every label


def faults(data: Data, batch: int) -> list[str]:
    """What would make a run fail or mean nothing; empty when it may begin."""
    found = []
    if len(data.train) < batch:
        found.append(f"{len(data.train)} samples to train on are less than a batch of {batch}")
    for name, split in (("train", data.train), ("test", data.test)):
        counts = np.bincount(split.labels, minlength=len(data.label_names))
        found += [f"{name}: no sample of {data.label_names[each]}" for each in np.flatnonzero(counts == 0)]
    shares = np.bincount(data.train.labels, minlength=len(data.label_names)) / max(1, len(data.train))
    rare = np.flatnonzero((shares > 0) & (shares < _LEAST_SHARE))
    found += [f"train: {data.label_names[each]} is {shares[each]:.1%} of the samples" for each in rare]
    if both := _hashes(data.train) & _hashes(data.test):
        found.append(f"{len(both)} images are in train and in test: the test would measure memory")
    return found


def summary(data: Data) -> dict[str, Any]:
    """For the log, and for the pipeline's output."""
    return {"data": data.digest, "labels": data.label_names, "train": len(data.train), "test": len(data.test)}


def _hashes(split: Split) -> set[bytes]:
    return {split.read(number).tobytes() for number in range(len(split))}


def main(arguments: Sequence[str] | None = None) -> int:
    """0: the data can be trained on. 1: it cannot, and why."""
    parser = argparse.ArgumentParser(prog="python -m trainer.check_data", description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field")
    parser.add_argument("--output", type=Path, help="folder for check.json")
    options = parser.parse_args(arguments)
    try:
        config = changed(load_config(options.config), options.set)
        data = load_data(config.data, config.image_size)
    except RefusedError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    report = summary(data) | {"faults": faults(data, config.batch)}
    text = json.dumps(report, indent=2)
    sys.stdout.write(text + "\n")
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "check.json").write_text(text)
    return 1 if report["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
