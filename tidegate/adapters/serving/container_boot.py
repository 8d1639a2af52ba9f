"""What the container of a container group runs first: it fetches the model's files, then becomes the inference server.

Container groups cannot mount blob storage. The source of this module is the group's command (`python -c`), so it uses nothing but
Python's library; the image has the inference server, `azmlinfsrv`, as scoring/Dockerfile does. Files that are there are left: a
container that is started again in its group finds its volume as it was.
"""

import json
import os
import pathlib
import shutil
import urllib.parse
import urllib.request

_TOKENS = "http://169.254.169.254/metadata/identity/oauth2/token"
"""Where a container group's identity gets its tokens (azure-docs: container-instances-managed-identity)."""


def fetch(files: list[list[str]], folder: pathlib.Path, identity: str) -> None:
    """Have each [path, address, size] in the folder. An address that is not signed is asked with the identity's token."""
    token = ""
    for path, address, size in files:
        place = folder / path
        if place.exists() and place.stat().st_size == int(size):
            continue
        headers = {"x-ms-version": "2021-08-06"}
        if "sig=" not in address:
            token = token or _token(identity)
            headers["Authorization"] = f"Bearer {token}"
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"{place.name}.part")
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer, part.open("wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
        part.replace(place)


def _token(identity: str) -> str:
    query = {"api-version": "2018-02-01", "resource": "https://storage.azure.com/", "mi_res_id": identity}
    request = urllib.request.Request(f"{_TOKENS}?{urllib.parse.urlencode(query)}", headers={"Metadata": "true"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["access_token"])


def main() -> None:
    """Never returns."""
    folder = pathlib.Path(os.environ["AZUREML_MODEL_DIR"])
    files = json.loads(os.environ.pop("TIDEGATE_FILES"))
    fetch(files, folder, os.environ.get("TIDEGATE_IDENTITY", ""))
    script, port = os.environ["AZUREML_ENTRY_SCRIPT"], os.environ.get("TIDEGATE_PORT", "5001")
    os.chdir(os.environ.get("AML_APP_ROOT", "."))  # the server looks for the script where it is started
    os.execvp("azmlinfsrv", ["azmlinfsrv", "--entry_script", script, "--port", port])  # noqa: S606  its whole purpose


if __name__ == "__main__":
    main()
