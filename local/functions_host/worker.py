"""Indexes and invokes one function app through Microsoft's worker library, in the process it is called in.

The library keeps its state in module globals: one process, one app.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import pathlib
import sys
from email.utils import formatdate
from http import cookies
from typing import Any

import azure_functions_runtime as runtime  # type: ignore[import-untyped]

from local.functions_host import protos
from local.functions_host.messages import (
    Binary,
    Binding,
    Failed,
    Function,
    HttpRequest,
    HttpResponse,
    Index,
    Indexed,
    IndexFailed,
    Input,
    Invocation,
    Json,
    Outcome,
    Output,
    Retry,
    Succeeded,
    Text,
)

running: contextvars.ContextVar[str | None] = contextvars.ContextVar("running", default=None)
"""Id of the invocation whose task, sub-task or `asyncio.to_thread` call is asking."""


class Worker:
    """One app. `start` once, then `invoke` as often and as much at a time as wanted, all on one event loop."""

    def __init__(self, app: pathlib.Path) -> None:
        self._app = app

    async def start(self) -> Index:
        """Import `function_app.py` and read its functions; puts the app's folder first on `sys.path`, as on Azure."""
        sys.path.insert(0, str(self._app))
        runtime.start_threadpool_executor()
        request = protos.WorkerInitRequest(str(self._app))
        answer = await runtime.worker_init_request(_envelope(worker_init_request=request))
        if answer.result.status != protos.StatusResult.Success:
            return IndexFailed(answer.result.exception.message, answer.result.exception.stack_trace)
        if "HttpUri" in answer.capabilities:
            return IndexFailed("This host has no HTTP streaming (azurefunctions-extensions-http-*).")
        found = await runtime.functions_metadata_request(_envelope())
        return Indexed(tuple(_function(each) for each in found.function_metadata_results or ()))

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run one invocation to its end. SystemExit passes through: it ends the worker, as it does on Azure."""
        return await asyncio.create_task(self._invoke(invocation))  # a task of its own, for a context of its own

    async def _invoke(self, invocation: Invocation) -> Outcome:
        running.set(invocation.id)
        answer = await runtime.invocation_request(_envelope(invocation_request=_request(invocation)))
        if answer.result.status != protos.StatusResult.Success:
            return Failed(answer.result.exception.message, answer.result.exception.stack_trace)
        try:
            outputs = tuple((each.name, _output(each.data)) for each in answer.output_data if each.data is not None)
            return Succeeded(None if answer.return_value is None else _output(answer.return_value), outputs)
        except ValueError as error:
            return Failed(f"ValueError: {error}")


def _envelope(**requests: Any) -> protos.Request:
    return protos.Request(protos.StreamingMessage(**requests), {"protos": protos, "host": "127.0.0.1"})


def _function(metadata: protos.RpcFunctionMetadata) -> Function:
    bindings = tuple(_binding(json.loads(each)) for each in metadata.raw_bindings)
    return Function(metadata.name, metadata.function_id, bindings, _retry(metadata.retry_options))


def _binding(raw: dict[str, Any]) -> Binding:
    rest = {key: value for key, value in raw.items() if key not in {"name", "type", "direction"}}
    return Binding(raw["name"], raw["type"], "in" if raw["direction"] == "IN" else "out", rest)


def _retry(options: protos.RpcRetryOptions | None) -> Retry | None:
    if options is None:
        return None
    if options.retry_strategy == "fixed_delay":
        return Retry(options.max_retry_count, "fixed_delay", delay_s=_seconds(options.delay_interval))
    low, high = _seconds(options.minimum_interval), _seconds(options.maximum_interval)
    return Retry(options.max_retry_count, "exponential_backoff", minimum_s=low, maximum_s=high)


def _seconds(duration: protos.Duration | None) -> float:
    return duration.total_seconds() if duration else 0


def _request(invocation: Invocation) -> protos.InvocationRequest:
    return protos.InvocationRequest(
        invocation_id=invocation.id,
        function_id=invocation.function_id,
        input_data=[protos.ParameterBinding(invocation.trigger, _typed(invocation.data))],
        trigger_metadata={name: _typed(value) for name, value in invocation.metadata.items()},
        trace_context=protos.RpcTraceContext(invocation.traceparent, invocation.tracestate),
        retry_context=protos.RetryContext(invocation.attempt, invocation.max_retries),
    )


def _typed(value: Input) -> protos.TypedData:
    match value:
        case Text(text):
            return protos.TypedData(string=text)
        case Json(text):
            return protos.TypedData(json=text)
        case Binary(data):
            return protos.TypedData(bytes=data)
        case HttpRequest(method, url, headers, query, route, body):
            http = protos.RpcHttp(method, url, headers, route, query, protos.TypedData(bytes=body))
            return protos.TypedData(http=http)


def _output(data: protos.TypedData) -> Output:
    match data.WhichOneof("data"):
        case "string":
            return Text(data.string or "")
        case "json":
            return Json(data.json or "null")
        case "bytes":
            return Binary(data.bytes or b"")
        case "int":
            return Json(json.dumps(data.int))
        case "double":
            return Json(json.dumps(data.double))
        case "http" if data.http is not None:
            return _response(data.http)
        case other:
            raise ValueError(f"the worker library answered with data of an unknown kind: {other}")


def _response(http: protos.RpcHttp) -> HttpResponse:
    headers = [*http.headers.items(), *(("set-cookie", _cookie(each)) for each in http.cookies or ())]
    return HttpResponse(int(http.status_code), tuple(headers), http.body.bytes or b"" if http.body else b"")


def _cookie(cookie: protos.RpcHttpCookie) -> str:
    morsel: cookies.Morsel[str] = cookies.Morsel()
    morsel.set(cookie.name, cookie.value, cookie.value)
    morsel["domain"] = cookie.domain.value if cookie.domain else ""
    morsel["path"] = cookie.path.value if cookie.path else ""
    morsel["secure"] = bool(cookie.secure and cookie.secure.value)
    morsel["httponly"] = bool(cookie.http_only and cookie.http_only.value)
    morsel["max-age"] = str(int(cookie.max_age.value)) if cookie.max_age else ""
    morsel["samesite"] = {1: "lax", 2: "strict", 3: "none"}.get(cookie.same_site, "")
    if cookie.expires:
        morsel["expires"] = formatdate(cookie.expires.value.seconds, usegmt=True)
    return morsel.OutputString()
