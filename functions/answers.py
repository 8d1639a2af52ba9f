"""What HTTP functions answer: JSON, and problem details (RFC 9457) for everything that goes wrong."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import azure.functions as func

from tidegate.errors import MalformedEvent, NotFound, Refused, SettingsError, TidegateError, TransientError

type Handler = Callable[[func.HttpRequest], func.HttpResponse]

_PROBLEMS: tuple[tuple[type[Exception], int, str], ...] = (
    (MalformedEvent, 400, "The request breaks a rule"),
    (NotFound, 404, "Not found"),
    (Refused, 409, "Not in this state"),
    (SettingsError, 503, "The app is not set up"),
    (TransientError, 503, "A service does not answer"),
    (TidegateError, 502, "A service refused"),
)

_log = logging.getLogger("tidegate.http")


def answering(handler: Handler) -> Handler:
    """Turn the errors of a handler into problem details; what is no error of ours is logged and hides its words."""

    @functools.wraps(handler)
    def safe(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return handler(req)
        except TidegateError as error:
            status, title = next((status, title) for kind, status, title in _PROBLEMS if isinstance(error, kind))
            return problem(status, title, str(error), retry_after=getattr(error, "retry_after", None))

    return safe


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """JSON that no cache keeps."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return func.HttpResponse(
        text,
        status_code=status,
        mimetype="application/json",
        charset="utf-8",
        headers={"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )


def problem(status: int, title: str, detail: str, *, retry_after: float | None = None) -> func.HttpResponse:
    """Problem details."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    headers = {"Retry-After": str(max(1, round(retry_after or 10)))} if status == 503 else {}
    return func.HttpResponse(
        json.dumps(body, ensure_ascii=False),
        status_code=status,
        mimetype="application/problem+json",
        charset="utf-8",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **headers},
    )


def json_body(req: func.HttpRequest) -> Any:
    """The request's JSON. MalformedEvent: it is none, or too large."""
    raw = req.get_body()
    if len(raw) > MAX_BODY:
        raise MalformedEvent(f"body: larger than {MAX_BODY} bytes")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise MalformedEvent("body: not JSON") from error


MAX_BODY = 64 * 1024
"""Bytes; a request names an image and a reason."""


def whole_number(req: func.HttpRequest, name: str, default: int) -> int:
    """A query parameter that is a number. MalformedEvent: it is none."""
    text = req.params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise MalformedEvent(f"{name}: must be a whole number")
    return int(text)
