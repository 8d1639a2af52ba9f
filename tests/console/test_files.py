"""The files of the console: what a browser gets, and what it may do with them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import azure.functions as func
import pytest

from functions import console

FOLDER = Path(console.__file__).with_name("console_files")
SERVED = sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".txt")
OURS = [path for path in FOLDER.iterdir() if path.name != "preact.mjs" and path.suffix != ".txt"]


def _get(name: str, etag: str = "") -> func.HttpResponse:
    headers = {"If-None-Match": etag} if etag else {}
    request = func.HttpRequest("GET", f"/api/console/{name}", headers=headers, route_params={"file": name}, body=b"")
    return console._file(name, request)


@pytest.mark.parametrize("name", SERVED)
def test_every_file_is_served_as_what_it_is_under_the_strictest_policy(name: str) -> None:
    answer = _get(name)
    assert answer.get_body() == (FOLDER / name).read_bytes()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_a_file_that_is_known_by_its_etag_is_not_sent_again_and_a_changed_one_is() -> None:
    etag = _get("console.css").headers["ETag"]
    again = _get("console.css", etag)
    assert (again.status_code, again.get_body()) == (304, b"")
    assert _get("console.css", '"another"').status_code == 200


@pytest.mark.parametrize("name", ["../console.py", "console.py", "LICENSE.htm.txt", "", "index.html/", "%2e%2e"])
def test_a_name_is_never_a_path(name: str) -> None:
    assert _get(name).status_code == 404


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_is_fetched_from_elsewhere_and_no_markup_is_made_of_text(path: Path) -> None:
    text = path.read_text()
    elsewhere = re.findall(r"""["'(](?:https?:)?//[^"')]+""", text.replace("http://www.w3.org/2000/svg", ""))
    assert elsewhere == []
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\b", text
    )
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text)


def test_every_module_that_is_imported_is_there() -> None:
    for path in FOLDER.glob("*.mjs"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text()):
            assert (FOLDER / name).exists(), f"{path.name} imports {name}"


def test_the_library_is_the_release_that_its_licence_stands_beside() -> None:
    """htm 3.1.1, `preact/standalone.mjs` of its package: Preact, its hooks and htm in one file, unchanged."""
    digest = hashlib.sha256((FOLDER / "preact.mjs").read_bytes()).hexdigest()
    assert f"`{digest}`" in (FOLDER.parents[1] / "docs" / "dependencies.md").read_text()
