"""What HTTP functions answer: JSON, and problem details (RFC 9457) for everything that goes wrong."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import urllib.parse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import azure.functions as func

from tidegate.bootstrap import runtime
from tidegate.errors import (
    Forbidden,
    MalformedEvent,
    NotFound,
    NotSignedIn,
    Refused,
    SettingsError,
    TidegateError,
    TransientError,
)
from tidegate.identity import Shown, shown

if TYPE_CHECKING:
    from tidegate.api.answers import Answer
    from tidegate.identity import Person

MAX_BODY = 64 * 1024
"""Bytes; a request names an image and a reason."""

# Text of images is shown as text: no browser may take it for a page, run it, or keep it.
_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}

# Pages that buttons of mails open, on a phone in the night: the one style there is, allowed by its hash.
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif;max-width:640px;margin:0 auto;padding:24px 16px}"
    "h1{font-size:20px;line-height:1.3}p,td,th,pre{overflow-wrap:anywhere}th{text-align:left;vertical-align:top;padding-right:12px}"
    "button{font:inherit;padding:10px 16px;border:0;border-radius:4px;background:#0b57d0;color:#fff}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",  # not no-referrer: with it a browser says `Origin: null` for our own forms
    "X-Robots-Tag": "noindex",
}

_PROBLEMS: tuple[tuple[type[TidegateError], int, str], ...] = (
    (MalformedEvent, 400, "The request breaks a rule"),
    (NotSignedIn, 401, "Nobody is signed in"),
    (Forbidden, 403, "Not allowed"),
    (NotFound, 404, "Not found"),
    (Refused, 409, "Not in this state"),
    (SettingsError, 503, "The app is not set up"),
    (TransientError, 503, "A service does not answer"),
    (TidegateError, 502, "A service refused"),
)


def answered(handle: Callable[[], Answer], *, in_browser: bool = False) -> func.HttpResponse:
    """The answer of a handler; an error of ours becomes problem details, or a page `in_browser`.

    Any other error is the host's 500 and is logged by it.
    """
    try:
        answer = handle()
    except TidegateError as error:
        status, title = next((status, title) for kind, status, title in _PROBLEMS if isinstance(error, kind))
        show = _problem_page if in_browser else _problem
        return show(status, title, str(error), _more_headers(error))
    if isinstance(answer.body, bytes):
        return _response(answer.body, answer.status, "text/plain", dict(answer.headers))
    if (page := getattr(answer.body, "text", None)) is not None:
        return _page(page, answer.status, dict(answer.headers))
    text = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
    return _response(text, answer.status, "application/json", dict(answer.headers))


def to_reader(req: func.HttpRequest, handle: Callable[[], Answer]) -> func.HttpResponse:
    """The answer to whoever follows a link of a mail, mostly in a browser: trouble is a page there as well."""
    return answered(handle, in_browser="text/html" in req.headers.get("accept", ""))


def to_person(req: func.HttpRequest, handle: Callable[[Person], Answer]) -> func.HttpResponse:
    """The answer to somebody who was identified. Nobody else gets further: 401, before anything else of the request is read."""
    return answered(lambda: handle(runtime().people.identify(sender(req))))


def sender(req: func.HttpRequest) -> Shown:
    """What the request shows of who sent it."""
    return shown(req.headers, req.method)


def json_body(req: func.HttpRequest) -> Any:
    """The request's JSON. MalformedEvent: it is none, or too large."""
    raw = req.get_body()
    if len(raw) > MAX_BODY:
        raise MalformedEvent(f"body: larger than {MAX_BODY} bytes")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise MalformedEvent("body: not JSON") from error


def form_body(req: func.HttpRequest) -> dict[str, str]:
    """The fields of a form, of each the last; a body of another kind has none. MalformedEvent: it is too large, or no form."""
    raw = req.get_body()
    if len(raw) > MAX_BODY:
        raise MalformedEvent(f"body: larger than {MAX_BODY} bytes")
    if req.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return {}
    try:
        return dict(urllib.parse.parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=20, errors="strict"))
    except ValueError as error:
        raise MalformedEvent("body: not the fields of a form") from error


def _more_headers(error: TidegateError) -> dict[str, str]:
    """RFC 9110: 401 says how to sign in (RFC 6750 for tokens), 503 when to come again."""
    match error:
        case NotSignedIn(is_token=True):
            words = str(error).partition(": ")[2]
            return {"WWW-Authenticate": f'Bearer realm="tidegate", error="invalid_token", error_description="{words}"'}
        case NotSignedIn():
            return {"WWW-Authenticate": 'Bearer realm="tidegate"'}
        case TransientError(retry_after=seconds):
            return {"Retry-After": str(max(1, round(seconds or 10)))}
        case SettingsError():
            return {"Retry-After": "10"}
        case _:
            return {}


def _problem(status: int, title: str, detail: str, headers: Mapping[str, str]) -> func.HttpResponse:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return _response(json.dumps(body, ensure_ascii=False), status, "application/problem+json", headers)


def _problem_page(status: int, title: str, detail: str, headers: Mapping[str, str]) -> func.HttpResponse:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tidegate</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"></head>'
        f"<body><h1>{html.escape(title)}</h1><p>{html.escape(detail)}</p>"
        "<p>Nothing was done. A link of a mail is good for three days, and only as a whole; some programs cut it.</p>"
        '<p><a href="/api/console">Open the console instead</a></p></body></html>'
    )
    return _page(text, status, headers)


def _page(text: str, status: int, headers: Mapping[str, str]) -> func.HttpResponse:
    styled = text.replace("</head>", f"<style>{_STYLE}</style></head>", 1)
    return _response(styled, status, "text/html", {**headers, **_PAGE_HEADERS})


def _response(body: str | bytes, status: int, mimetype: str, headers: Mapping[str, str]) -> func.HttpResponse:
    every = {**_HEADERS, **headers}
    return func.HttpResponse(body, status_code=status, mimetype=mimetype, charset="utf-8", headers=every)
