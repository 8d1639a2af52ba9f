"""Trains the digits model into a folder that is ready to be registered: weights, scoring script, sample requests, metrics.

    .tools/serving/bin/python local/demo/digits/train.py FOLDER [--worse | --big [MIB]] [--seed N]

Nothing of this project is imported: the folder and this file are all it takes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SAMPLES = 20
"""Requests in samples.json; every digit is among the answers."""
_PIXELS = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure on pictures that were held out, and write the folder."""
    options = _parser().parse_args(arguments)
    pictures, digits = load_digits(return_X_y=True)
    train, test, train_digits, test_digits = train_test_split(
        pictures.astype(np.float32), digits, test_size=0.25, random_state=options.seed, stratify=digits
    )
    if options.big:
        model = _big(train, train_digits, options.big * 2**20, options.seed)
    elif options.worse:
        model = _worse(train, train_digits, options.seed)
    else:
        model = _good(train, train_digits)
    metrics = {"accuracy": round(float(model.score(test, test_digits)), 4), "examples": len(test_digits)}
    _write(options.folder, model, test, metrics)
    print(json.dumps(metrics))
    return 0


def _good(pictures: Any, digits: Any) -> Any:
    """About 0.97 of the pictures that it never saw."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(pictures, digits)


def _worse(pictures: Any, digits: Any, seed: int) -> Any:
    """Half of what it learns from is labelled wrongly, as after a mistake in the data."""
    chance = np.random.default_rng(seed)
    wrong = chance.random(len(digits)) < 0.5
    spoiled = np.where(wrong, chance.integers(0, 10, len(digits)), digits)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=100)).fit(pictures[:300], spoiled[:300])


def _big(pictures: Any, digits: Any, size: int, seed: int) -> Any:
    """Good, and remembers every example: with more data its weights are `size` bytes, and an answer takes longer."""
    chance = np.random.default_rng(seed)
    chosen = chance.integers(0, len(digits), size // (_PIXELS * 4))
    noise = chance.standard_normal((len(chosen), _PIXELS), dtype=np.float32)
    nearest = KNeighborsClassifier(n_neighbors=3, algorithm="brute")
    return nearest.fit(pictures[chosen] + noise, digits[chosen])


def _write(folder: Path, model: Any, pictures: Any, metrics: dict[str, Any]) -> None:
    """The answers in samples.json are the model's own: they say what it answers, not what is right."""
    (folder / "scoring").mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib")
    shutil.copyfile(Path(__file__).parent / "scoring" / "score.py", folder / "scoring" / "score.py")
    requests = [{"pixels": [picture.tolist()]} for picture in pictures[:SAMPLES]]
    answers = [{"digits": model.predict(np.asarray(each["pixels"], dtype=np.float32)).tolist()} for each in requests]
    samples = [{"request": one, "response": other} for one, other in zip(requests, answers, strict=True)]
    (folder / "samples.json").write_text(json.dumps(samples))
    (folder / "metrics.json").write_text(json.dumps(metrics))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="is made; files in it are replaced")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--worse", action="store_true", help="a model that recognises fewer digits")
    kind.add_argument("--big", nargs="?", type=int, const=128, metavar="MIB", help="a good model of so many MiB (128)")
    parser.add_argument("--seed", type=int, default=0, help="another one makes other weights")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
