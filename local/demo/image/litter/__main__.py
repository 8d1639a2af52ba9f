"""Read an image as JSON from standard input and say what it shows, as the server does for each request."""

from __future__ import annotations

import json
import sys

from litter.model import predict
from litter.pixels import to_tensor


def main() -> int:
    try:
        rows = json.load(sys.stdin)["pixels"]
        tensor = to_tensor(rows)
    except (KeyError, TypeError, ValueError) as error:
        sys.stderr.write(f"not an image: {error}\n")
        return 2
    found = [{"label": label, "score": round(score, 4)} for label, score in predict(tensor)]
    sys.stdout.write(f"{json.dumps(found)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
