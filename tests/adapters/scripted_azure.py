"""Hosts of Azure, Azure DevOps and GitHub that answer as a test says, at their real names, over TLS; what was asked is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from azure.core.credentials import AccessToken

from local.authority import open_authority
from local.environment import client_environment
from local.front import Front, listening
from tests.cloud.world import free_ports, in_thread

ARM = "management.azure.com"
HOSTS = (
    ARM,
    "*.api.azureml.ms",
    "*.inference.ml.azure.com",
    "*.azurecontainer.io",
    "*.vault.azure.net",
    "dev.azure.com",
    "api.github.com",
    "*.evil.example",
)
BLOBS = "*.blob.core.windows.net"

type Answer = web.Response | dict[str, Any] | Callable[["Asked"], web.Response | dict[str, Any]] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass(slots=True)
class ScriptedAzure:
    """Resources of ARM are kept by path as they are PUT; `answers` (`METHOD path`, without a query) go before that."""

    environment: dict[str, str]
    answers: dict[str, Answer] = dataclasses.field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    seen: list[Asked] = dataclasses.field(default_factory=list)
    """Newest last."""

    def clear(self) -> None:
        for each in (self.answers, self.resources, self.seen):
            each.clear()

    def calls(self, method: str = "", part: str = "") -> list[Asked]:
        """What was asked by this method of paths with this part."""
        return [each for each in self.seen if method in ("", each.method) and part in each.path]

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        asked = Asked(request.method, request.host, request.path, dict(request.query), headers, body)
        self.seen.append(asked)
        found = self.answers.get(f"{asked.method} {asked.path}")
        answer = found(asked) if callable(found) else self._resource(asked) if found is None else found
        if isinstance(answer, dict):
            return web.json_response(answer)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _resource(self, asked: Asked) -> web.Response | dict[str, Any]:
        match asked.method:
            case "PUT":
                new = asked.path not in self.resources
                self.resources[asked.path] = {"id": asked.path, "name": asked.path.rpartition("/")[2], **asked.json}
                return web.json_response(self.resources[asked.path], status=201 if new else 200)
            case "DELETE":
                self.resources.pop(asked.path, None)
                return web.Response(status=202)
            case "PATCH" if asked.path in self.resources:
                self.resources[asked.path] |= asked.json
                return self.resources[asked.path]
            case _ if asked.path in self.resources:
                return self.resources[asked.path]
            case _:
                return refusal(404, "ResourceNotFound", "There is none.")


def refusal(status: int, code: str, message: str, **headers: str) -> web.Response:
    """An error as ARM writes it."""
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


class Identity:
    """A credential whose token names what it is for."""

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(f"token for {scopes[0]}", 2**40)


@contextlib.contextmanager
def scripted_azure(folder: Path, blob_port: int = 0) -> Iterator[ScriptedAzure]:
    """Serves HOSTS; blobs go to the emulator at `blob_port`. Any other host is refused by the proxy."""
    front_port, port = free_ports(2)
    authority = open_authority(folder)
    azure = ScriptedAzure(client_environment(front_port=front_port, cloud_port=port, bundle=authority.bundle))
    routes = {**dict.fromkeys(HOSTS, port), BLOBS: blob_port or port}

    async def serve(stack: contextlib.AsyncExitStack) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", azure.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await stack.enter_async_context(listening(Front(authority, routes), front_port))

    with in_thread(serve):
        yield azure
