"""Adds the samples that are new to the golden file, and takes out those that are gone. Lines that are there stay as they are.

python -m tests.codec.golden
"""

from __future__ import annotations

import json

from tests.codec.test_codec import GOLDEN, VALUES
from tidegate.composition import CODEC


def main() -> None:
    known = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else {}
    lines = {name: known.get(name) or CODEC.encode(value) for name, value in VALUES.items()}
    GOLDEN.write_text(json.dumps(lines, indent=0, ensure_ascii=False) + "\n", "utf-8")


main()
