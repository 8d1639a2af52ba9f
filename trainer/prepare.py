"""`python -m trainer.prepare horses_or_humans`: download and prepare a set of TensorFlow Datasets, once, outside training."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Needs the dependency group `tfds`, which the trainer's image leaves out."""
    parser = argparse.ArgumentParser(prog="python -m trainer.prepare", description=__doc__)
    parser.add_argument("name", help="such as horses_or_humans")
    parser.add_argument("--to", default=os.environ.get("TFDS_DATA_DIR"), help="folder; TFDS_DATA_DIR of the training")
    options = parser.parse_args(arguments)
    import tensorflow_datasets as tfds

    builder = tfds.builder(options.name, data_dir=options.to, file_format="array_record")
    builder.download_and_prepare()
    sys.stdout.write(f"{builder.info.full_name} is in {builder.data_dir}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
