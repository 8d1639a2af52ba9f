"""The web console: files that any browser may fetch; everything it shows comes from the API, for whoever shows who they are."""

from __future__ import annotations

import functools
import hashlib
import pathlib

import azure.functions as func

blueprint = func.Blueprint()

_FOLDER = pathlib.Path(__file__).with_name("console_files")
_TYPES = {".css": "text/css", ".html": "text/html", ".mjs": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "Cache-Control": "no-cache",  # asked for again by its ETag, so that a deployment is seen at once
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@blueprint.function_name("console")
@blueprint.route("console", methods=["GET"])
def console(req: func.HttpRequest) -> func.HttpResponse:
    """The page."""
    return _file("index.html", req)


@blueprint.function_name("console_file")
@blueprint.route("console/{file}", methods=["GET"])
def console_file(req: func.HttpRequest) -> func.HttpResponse:
    """One of its files."""
    return _file(req.route_params["file"], req)


def _file(name: str, req: func.HttpRequest) -> func.HttpResponse:
    """A file by its name in the table; a name is never a path."""
    found = files().get(name)
    if found is None:
        return func.HttpResponse("not found", status_code=404, mimetype="text/plain", headers=_HEADERS)
    body, mimetype, etag = found
    headers = {**_HEADERS, "ETag": etag}
    if etag in req.headers.get("if-none-match", ""):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(body, mimetype=mimetype, charset="utf-8", headers=headers)


@functools.cache
def files() -> dict[str, tuple[bytes, str, str]]:
    """Content, media type and ETag of every file that is served."""
    read = ((path, path.read_bytes()) for path in _FOLDER.iterdir() if path.suffix in _TYPES)
    return {path.name: (data, _TYPES[path.suffix], f'"{hashlib.sha256(data).hexdigest()[:16]}"') for path, data in read}
