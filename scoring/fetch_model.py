"""`python -m scoring.fetch_model`: a container instance's command; it fetches the registered model, then becomes the server.

Azure mounts no registered model into a container instance. The image has this package; nothing but Python's library is used.
Unverified against live Azure: where a container group's identity gets its tokens (the vendor's page on managed identities in
container groups).
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

FILES = "SCORING_MODEL_FILES"
"""Environment variable: a JSON list of [path, address, bytes]."""
IDENTITY = "SCORING_IDENTITY"
"""Environment variable: the resource id of the identity that reads them."""
FOLDER = "/var/scoring-model"
TOKENS = "http://169.254.169.254/metadata/identity/oauth2/token"
_STORAGE = "https://storage.azure.com/"


def fetch(files: Sequence[tuple[str, str, int]], folder: Path, identity: str, tokens: str = TOKENS) -> None:
    """Have each file in the folder, whole. What is there already is left: a container that starts again finds its volume."""
    wanted = [(folder / path, address, size) for path, address, size in files]
    missing = [(path, address, size) for path, address, size in wanted if not _is_whole(path, size)]
    if not missing:
        return
    headers = {"Authorization": f"Bearer {_token(identity, tokens)}", "x-ms-version": "2021-08-06"}
    for path, address, size in missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        with (
            urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60) as answer,
            part.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file, 1 << 20)
        if not _is_whole(part, size):
            raise OSError(f"{path}: {part.stat().st_size} bytes came of {size}")
        part.replace(path)


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _token(identity: str, tokens: str) -> str:
    query = urllib.parse.urlencode({"api-version": "2018-02-01", "resource": _STORAGE, "mi_res_id": identity})
    request = urllib.request.Request(f"{tokens}?{query}", headers={"Metadata": "true"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["access_token"])


def main(environment: Mapping[str, str] = os.environ) -> None:
    """Never returns."""
    fetch(json.loads(environment[FILES]), Path(environment["AZUREML_MODEL_DIR"]), environment[IDENTITY])
    os.execvp("azmlinfsrv", ["azmlinfsrv", "--entry_script", environment["AZUREML_ENTRY_SCRIPT"]])  # noqa: S606  # its purpose


if __name__ == "__main__":
    main()
