"""Passes a call on to docker-registry and its answer back; bodies stream both ways."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from local.cloud.core import Cloud
from local.cloud.registries import Registry

_NOT_PASSED = frozenset(
    (
        "authorization",
        "connection",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "transfer-encoding",
        "upgrade",
    )
)
_CHUNK = 1 << 20


async def pass_through(
    cloud: Cloud, registry: Registry, request: web.Request, *, path: str | None = None, content: bytes | None = None
) -> web.StreamResponse:
    """The same call to docker-registry (`path` and `content` when they differ from the request's).

    A Location in the answer names the host that the client knows.
    """
    body: bytes | aiohttp.StreamReader | None = content
    if body is None and request.body_exists:
        body = request.content
    url = registry.upstream.url(path or request.raw_path)
    headers = _passed_headers(request.headers)
    async with cloud.http.request(request.method, url, data=body, headers=headers, allow_redirects=False) as upstream:
        answered = _answer_headers(upstream.headers, registry)
        if request.method != "GET":
            text = None if request.method == "HEAD" else await upstream.read()
            return web.Response(status=upstream.status, headers=answered, body=text)
        response = web.StreamResponse(status=upstream.status, headers=answered)
        await response.prepare(request)
        async for chunk in upstream.content.iter_chunked(_CHUNK):
            await response.write(chunk)
        await response.write_eof()
        return response


def _passed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Go clients send one Accept line a type; docker-registry must see all of them, so repeated lines are joined."""
    passed: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower() not in _NOT_PASSED:
            passed[name] = f"{passed[name]}, {value}" if name in passed else value
    return passed


def _answer_headers(headers: Mapping[str, str], registry: Registry) -> CIMultiDict[str]:
    answer = CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _NOT_PASSED)
    if location := answer.get("Location"):
        answer["Location"] = f"https://{registry.host}{URL(location, encoded=True).raw_path_qs}"
    return answer
