"""HTTP functions: a request becomes an invocation, an outcome becomes a response."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local.functions_host.executor import Call
from local.functions_host.messages import (
    Binary,
    Failed,
    Function,
    HttpRequest,
    HttpResponse,
    Json,
    Outcome,
    Output,
    Text,
)
from local.functions_host.wire import Request, Response

_TEXT = ("content-type", "text/plain; charset=utf-8")


def call(request: Request, route: Mapping[str, str]) -> Call:
    """Start a function with a request. A body without Content-Length (chunked) arrives empty, as from the real host."""
    query = {name: ",".join(values) for name, values in request.parameters().items()}
    host = request.headers.get("host", "localhost")
    url = f"{request.scheme}://{host}{request.path}" + (f"?{request.query}" if request.query else "")
    body = request.body if request.headers.get("content-length", "0") != "0" else b""
    return Call(
        data=HttpRequest(request.method, url, request.headers, query, route, body),
        reason="This function was programmatically called via the host APIs.",
        traceparent=request.headers.get("traceparent", ""),
        tracestate=request.headers.get("tracestate", ""),
    )


def respond(function: Function, outcome: Outcome) -> Response:
    """A failure is a bare 500; a function without an HTTP output answers 204."""
    if isinstance(outcome, Failed):
        return Response(500)
    outputs = dict(outcome.outputs)
    for binding in function.outputs:
        if binding.type.lower() == "http":
            value = outcome.returned if binding.name == "$return" else outputs.get(binding.name)
            return _response(value)
    return Response(204)


def _response(value: Output | None) -> Response:
    match value:
        case None:
            return Response(204)
        case HttpResponse(status, headers, body):
            return Response(status, body, headers)
        case Binary(data):
            return Response(200, data, (("content-type", "application/octet-stream"),))
        case Json(text):
            return Response(200, text.encode(), (("content-type", "application/json; charset=utf-8"),))
        case Text(text):
            return _from_text(text)


def _from_text(text: str) -> Response:
    """Text that is a JSON object with a `body` describes the response; any other text is the body."""
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return Response(200, text.encode(), (_TEXT,))
    fields = {name.lower(): value for name, value in document.items()}
    if "body" not in fields:
        return Response(200, text.encode(), (_TEXT,))
    return _described(fields)


def _described(fields: Mapping[str, Any]) -> Response:
    body, headers = fields["body"], {name.lower(): str(value) for name, value in (fields.get("headers") or {}).items()}
    if isinstance(body, str):
        headers.setdefault(*_TEXT)
    else:
        headers.setdefault("content-type", "application/json; charset=utf-8")
        body = json.dumps(body)
    status = fields.get("status") or fields.get("statuscode") or 200
    return Response(int(status), body.encode(), tuple(headers.items()))
