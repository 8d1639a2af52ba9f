"""The scoring address of online endpoints, `<endpoint>.westeurope.inference.ml.azure.com`: keys, traffic, mirror, statuses.

Statuses and headers are those of the documentation of managed online endpoints. Unverified: the bodies of refusals, what a
deployment whose process is being started again answers (here 424), and that copies are sent while the request is.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
import uuid
from typing import Any

import aiohttp
from aiohttp import web

from local import world
from local.cloud.core import Cloud
from local.cloud.ml_endpoints import Endpoints
from local.cloud.ml_online import Endpoint, Online
from local.cloud.ml_requests import Asked, Requests
from local.cloud.ml_server import Server
from local.cloud.ml_serving import Serving
from local.cloud.permissions import Permission
from local.cloud.tokens import ML_AUDIENCE, require_bearer

HOST = f"*.{world.LOCATION}.inference.ml.azure.com"
_CHOSEN = "azureml-model-deployment"
"""Header that asks for one deployment past the traffic rules; in the answer it says which deployment answered."""
_NOT_FORWARDED = {
    "host",
    "authorization",
    "connection",
    "transfer-encoding",
    "content-length",
    "keep-alive",
    "te",
    _CHOSEN,
}
_NOT_RETURNED = {"connection", "transfer-encoding", "content-length", "server", "date"}
_DEFAULT_TIMEOUT_S = 5.0


def install(cloud: Cloud, online: Online, endpoints: Endpoints, serving: Serving, requests: Requests) -> None:
    """Add the host."""
    scoring = _Scoring(cloud, online, endpoints, serving, requests)
    router = cloud.host(HOST).router
    router.add_post("/score", scoring.score)
    router.add_get("/swagger.json", scoring.score)


class _Scoring:
    def __init__(
        self, cloud: Cloud, online: Online, endpoints: Endpoints, serving: Serving, requests: Requests
    ) -> None:
        self._cloud = cloud
        self._online = online
        self._endpoints = endpoints
        self._serving = serving
        self._requests = requests
        self._chance: dict[str, random.Random] = {}
        self._copies: set[asyncio.Task[None]] = set()

    async def score(self, request: web.Request) -> web.Response:
        """One request, answered by one deployment. Copies for the mirror are sent meanwhile."""
        endpoint = self._online.by_name(request.host.partition(".")[0])
        if endpoint is None or endpoint.state == "Deleting":
            return _refused(404, "There is no such endpoint.")
        if not self._allowed(endpoint, request):
            return _refused(401, "The key or token is missing, wrong or expired.")
        body = await request.read()
        name = request.headers.get(_CHOSEN, "").lower() or self._draw(endpoint, endpoint.traffic)
        served = self._serving.served(endpoint, name) if name else None
        if served is None and name in endpoint.deployments:
            return _failed(502, "no server", b"The deployment has no server.")
        if served is None:
            words = f"There is no deployment '{name}'." if name else "No deployment has traffic."
            return _refused(404, words)
        if not request.headers.get(_CHOSEN):
            self._mirror(endpoint, request, body)
        async with served.request() as server:
            return await self._ask(endpoint, name, server, request, body)

    def _draw(self, endpoint: Endpoint, weights: dict[str, int]) -> str:
        """A deployment by its weight; empty: what is left of 100 percent. Seeded by the endpoint's name."""
        chance = self._chance.setdefault(endpoint.name, random.Random(endpoint.name))
        drawn = chance.random() * 100
        for name, weight in weights.items():
            drawn -= weight
            if drawn < 0:
                return name
        return ""

    def _mirror(self, endpoint: Endpoint, request: web.Request, body: bytes) -> None:
        name = self._draw(endpoint, endpoint.mirror) if endpoint.mirror else ""
        served = self._serving.served(endpoint, name) if name else None
        if served is None:
            return

        async def copy() -> None:
            async with served.request() as server:
                status, _answer, seconds = await self._forward(endpoint, name, server, request, body)
            self._requests.add(endpoint.name, Asked(time.time(), name, 0, status, seconds))

        task = asyncio.create_task(copy())
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    async def _ask(
        self, endpoint: Endpoint, name: str, server: Server, request: web.Request, body: bytes
    ) -> web.Response:
        model_status, answer, seconds = await self._forward(endpoint, name, server, request, body)
        self._requests.add(endpoint.name, Asked(time.time(), name, answer.status, model_status, seconds))
        answer.headers[_CHOSEN] = name
        answer.headers["x-ms-request-id"] = request.headers.get("x-ms-request-id") or str(uuid.uuid4())
        return answer

    async def _forward(
        self, endpoint: Endpoint, name: str, server: Server, request: web.Request, body: bytes
    ) -> tuple[int, web.Response, float]:
        """(status of the server, 0 for none; the endpoint's answer; seconds)."""
        began = time.monotonic()
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _NOT_FORWARDED}
        limit = aiohttp.ClientTimeout(total=self._timeout(endpoint, name))
        url = f"http://127.0.0.1:{server.port}{request.path_qs}"
        try:
            asked = self._serving.session.request(request.method, url, data=body, headers=headers, timeout=limit)
            async with asked as answer:
                content = await answer.read()
        except TimeoutError:
            return 0, _refused(408, "upstream request timeout"), time.monotonic() - began
        except aiohttp.ClientError as error:
            return 0, _failed(502, type(error).__name__, b"upstream connect error"), time.monotonic() - began
        seconds = time.monotonic() - began
        if not 200 <= answer.status < 300:
            return answer.status, _failed(answer.status, answer.reason or "", content), seconds
        kept = {key: value for key, value in answer.headers.items() if key.lower() not in _NOT_RETURNED}
        return answer.status, web.Response(status=answer.status, body=content, headers=kept), seconds

    def _timeout(self, endpoint: Endpoint, name: str) -> float:
        """Of the deployment's requestSettings."""
        deployment = endpoint.deployments.get(name)
        settings: Any = (deployment.properties.get("requestSettings") or {}) if deployment else {}
        found = re.fullmatch(r"PT(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", str(settings.get("requestTimeout") or ""))
        return float(found[1] or 0) * 60 + float(found[2] or 0) if found else _DEFAULT_TIMEOUT_S

    def _allowed(self, endpoint: Endpoint, request: web.Request) -> bool:
        """By key or token of the endpoint; an Entra token needs the role too (403 without it)."""
        if endpoint.auth_mode == "aadtoken":
            claims = require_bearer(request, (ML_AUDIENCE,))
            action = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action"
            self._cloud.roles.require(claims, Permission(action, endpoint.id))
            return True
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._endpoints.accepts(endpoint, secret.strip())


def _refused(status: int, words: str) -> web.Response:
    return web.json_response({"error": {"message": words}}, status=status)


def _failed(status: int, reason: str, content: bytes) -> web.Response:
    """424: the deployment's server did not answer well; what it said is the body."""
    headers = {"ms-azureml-model-error-statuscode": str(status), "ms-azureml-model-error-reason": reason}
    return web.Response(status=424, body=content, headers=headers)
