"""A transport for azure-ai-ml that keeps what was asked and answers like models and endpoints of a workspace: fakes passed in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Self, override
from urllib.parse import parse_qs, urlsplit

from azure.core.credentials import AccessToken
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.transport import HttpTransport


class Credential:
    """A token that nobody checks."""

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


class _Answer:
    def __init__(self, request: Any, status: int, body: Any) -> None:
        self.request, self.status_code, self.reason = request, status, "OK" if status < 400 else "Not Found"
        self.headers = {"Content-Type": "application/json"}
        self.content_type = "application/json"
        self._text = json.dumps(body)

    def text(self, _encoding: str | None = None) -> str:
        return self._text

    def body(self) -> bytes:
        return self._text.encode()

    def json(self) -> Any:
        return json.loads(self._text)

    @property
    def content(self) -> bytes:
        return self.body()

    def read(self) -> bytes:
        return self.body()

    def iter_bytes(self, **_options: Any) -> Iterator[bytes]:
        yield self.body()

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise ResourceNotFoundError(self._text)

    @property
    def is_stream_consumed(self) -> bool:
        return True

    @property
    def is_closed(self) -> bool:
        return True


_WORKSPACE = {"mlFlowTrackingUri": "azureml://westeurope.api.azureml.ms/mlflow/v1.0/x"}
_AS_ANSWERED = {
    "provisioningState": "Succeeded",
    "scoringUri": "https://x/score",
    "scaleSettings": {"scaleType": "Default"},
}
"""What the service adds; the SDK needs it."""


class Arm(HttpTransport[Any, Any]):
    """`asked` has (method, path, query, body) of every request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, list[str]], Any]] = []
        self.models: dict[str, dict[str, Any]] = {}
        self.resources: dict[str, dict[str, Any]] = {}
        """Environments, endpoints and deployments."""

    @override
    def send(self, request: Any, **_options: Any) -> Any:
        parts = urlsplit(request.url)
        body = json.loads(request.body or request.data or "null") if request.method != "GET" else None
        self.asked.append((request.method, parts.path, parse_qs(parts.query), body))
        return self._answer(request, parts.path, body)

    def _answer(self, request: Any, path: str, body: Any) -> _Answer:
        match request.method, path.rsplit("/workspaces/", maxsplit=1)[-1].split("/")[1:]:
            case "GET", []:
                return _Answer(
                    request, 200, {"id": path, "name": "vision", "location": "westeurope", "properties": _WORKSPACE}
                )
            case ("GET", ["onlineEndpoints", *_]) if path in self.resources:
                return _Answer(request, 200, self.resources[path])
            case "PUT", [("environments" | "onlineEndpoints"), *_]:
                self.resources[path] = {"id": path, "name": path.rsplit("/", 1)[-1]} | body
                self.resources[path]["properties"] = _AS_ANSWERED | body["properties"]
                return _Answer(request, 200, self.resources[path])
            case "DELETE", ["onlineEndpoints", _]:
                return _Answer(request, 200, {})
            case _, ["models", *rest]:
                return self._model_answer(request, path, rest, body)
            case _:
                return _Answer(request, 404, {"error": {"code": "NotFound", "message": path}})

    def _model_answer(self, request: Any, path: str, rest: list[str], body: Any) -> _Answer:
        match request.method, rest:
            case "GET", [name]:
                return _Answer(
                    request, 200, {"id": path, "name": name, "properties": {"nextVersion": str(len(self.models) + 1)}}
                )
            case "GET", [_, "versions"]:
                return _Answer(request, 200, {"value": list(reversed(self.models.values()))})
            case "GET", [_, "versions", version] if path in self.models:
                return _Answer(request, 200, self.models[path] | {"name": version})
            case "PUT", [_, "versions", version]:
                created = {
                    "createdAt": "2026-01-02T03:04:05.678Z",
                    "createdBy": "trainer",
                    "createdByType": "Application",
                }
                self.models[path] = {"id": path, "name": version, "systemData": created} | body
                self.models[path]["properties"] |= {"flavors": {}}  # the service's answer has them; the SDK needs them
                return _Answer(request, 201, self.models[path])
            case _:
                return _Answer(request, 404, {"error": {"code": "NotFound", "message": path}})

    @override
    def open(self) -> None:
        return

    @override
    def close(self) -> None:
        return

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def __exit__(self, *_: object) -> None:
        return
