"""The scoring image's own test, run by the image gate: the inference server answers an image and refuses what is none."""

from __future__ import annotations

import io
import json
import sys
import urllib.error
from pathlib import Path

from PIL import Image

from scoring.local_service import LocalService

_FOLDER = Path(__file__).resolve().parent
_ROOT = _FOLDER if (_FOLDER / "scoring").is_dir() else _FOLDER.parent


def main() -> int:
    """0: it serves. The example detector brings its model, so no model has to be mounted for this."""
    detector = _ROOT / "scoring" / "examples" / "detector"
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "grey").save(picture, "PNG")
    with LocalService(detector / "score.py", detector / "model") as service:
        if not isinstance(json.loads(service.score(picture.getvalue())), list):
            return 1
        try:
            service.score(b"no image")
        except urllib.error.HTTPError as refusal:
            with refusal:
                return 0 if refusal.code == 400 else 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
