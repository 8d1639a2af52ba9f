"""A container instance has its registered model before its server starts: all of it, or it does not start."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, override
from urllib.parse import parse_qs, urlsplit

import pytest

from scoring.fetch_model import fetch
from scoring.model_files import PlaceError, files_of

_IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id"
_MODEL = {"manifest.json": b"{}", "model/saved model.pb": b"graph" * 1000}


class Cloud(http.server.HTTPServer):
    """Blobs for whoever has the token, and the emulated endpoint that gives it to the identity."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.blobs = {f"/models/{name.replace(' ', '%20')}": content for name, content in _MODEL.items()}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def files(self) -> list[tuple[str, str, int]]:
        return [
            (name, f"{self.address}/models/{name.replace(' ', '%20')}", len(content))
            for name, content in _MODEL.items()
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Cloud

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        self.server.asked.append(path)
        if path == "/token":
            allowed = self.headers["Metadata"] == "true" and query["mi_res_id"] == [_IDENTITY]
            self._answer(200 if allowed else 400, json.dumps({"access_token": "t"}).encode())
        else:
            allowed = self.headers["Authorization"] == "Bearer t" and path in self.server.blobs
            self._answer(200 if allowed else 403, self.server.blobs.get(path, b""))

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_every_file_is_fetched_once(cloud: Cloud, tmp_path: Path) -> None:
    for _ in range(2):  # a container that starts again has its volume
        fetch(cloud.files, tmp_path, _IDENTITY, f"{cloud.address}/token")
        assert {name: (tmp_path / name).read_bytes() for name in _MODEL} == _MODEL
    assert cloud.asked == ["/token", "/models/manifest.json", "/models/model/saved%20model.pb"]


def test_a_file_that_was_cut_off_is_fetched_again_and_one_that_comes_short_is_an_error(
    cloud: Cloud, tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_bytes(b"{")
    cloud.blobs["/models/model/saved%20model.pb"] = b"short"
    with pytest.raises(OSError, match="5 bytes came of 5000"):
        fetch(cloud.files, tmp_path, _IDENTITY, f"{cloud.address}/token")
    assert (tmp_path / "manifest.json").read_bytes() == b"{}"
    assert not (tmp_path / "model" / "saved model.pb").exists()


class Workplace:
    """A workspace with one model in one datastore, as azure-ai-ml tells of it, and the datastore's container."""

    def __init__(self, path: str, blobs: dict[str, int]) -> None:
        self.models = self.datastores = self
        self._path, self._blobs = path, blobs
        self.asked: list[tuple[str, ...]] = []

    def get(self, *names: str) -> Any:
        self.asked.append(names)
        if len(names) == 2:
            return SimpleNamespace(path=self._path)
        return SimpleNamespace(account_name="account", container_name="models", endpoint="core.windows.net")

    def list_blobs(self, name_starts_with: str) -> list[Any]:
        found = {name: size for name, size in self._blobs.items() if name.startswith(name_starts_with)}
        return [SimpleNamespace(name=name, size=size) for name, size in found.items()]

    def container(self, account: str, name: str) -> Any:
        self.asked.append((account, name))
        return self


@pytest.mark.parametrize("start", ["azureml://", "azureml://subscriptions/s/resourcegroups/g/workspaces/w/"])
def test_the_files_of_a_model_are_the_blobs_below_its_path(start: str) -> None:
    blobs = {
        "runs/a b/export/manifest.json": 12,
        "runs/a b/export/model/x y.pb": 5,
        "runs/a b/export-2/manifest.json": 1,
    }
    workplace = Workplace(f"{start}datastores/blobs/paths/runs/a b/export", blobs)
    root = "https://account.blob.core.windows.net/models/runs/a%20b/export"
    assert files_of("animals:3", workplace, workplace.container) == [
        ("manifest.json", f"{root}/manifest.json", 12),
        ("model/x y.pb", f"{root}/model/x%20y.pb", 5),
    ]
    assert workplace.asked == [("animals", "3"), ("blobs",), ("https://account.blob.core.windows.net", "models")]


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("azureml://jobs/j/outputs/artifacts/paths/model", "no path of a datastore"),
        ("azureml://datastores/blobs/paths/nothing", "has 0 files"),
    ],
)
def test_a_model_that_cannot_be_fetched_is_refused_before_anything_is_made(path: str, fault: str) -> None:
    workplace = Workplace(path, {"other/manifest.json": 1})
    with pytest.raises(PlaceError, match=fault):
        files_of("animals:3", workplace, workplace.container)
