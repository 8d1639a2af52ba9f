"""A user of the local stack: its API with an API key, and both registries as anybody sees them."""

from __future__ import annotations

import base64
import dataclasses
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from local import world
from local.functions_host import keys
from local.image_blobs import find_manifest
from local.stack import Stack

_LIMIT_S = 35
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """One running stack."""

    stack: Stack

    def api(self, method: str, path: str, body: Any = None, *, key: str | None = None, token: str = "") -> Answer:
        """Call the app's API; without `key` with the operator's of the stack, with an empty one without any. `token`: as whom."""
        used = ("" if token else self.key) if key is None else key
        headers = {"X-Api-Key": used} if used else {}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        return send(method, f"http://127.0.0.1:{self.stack.ports.functions}/api{path}", data, headers)

    def token(self, person: str, *roles: str, seconds: int = 3600) -> str:
        """The Entra token of a person with app roles, by the stand-in's own key. RuntimeError: the stand-in does not give one."""
        asked = {"name": person, "roles": roles, "seconds": seconds}
        given = self.cloud("POST", "/admin/tokens", asked)
        if given.status != 200:
            raise RuntimeError(f"POST /admin/tokens: {given.status} {given.body.decode(errors='replace')[:500]}")
        return str(given.json()["access_token"])

    def promotions(self, repository: str) -> list[dict[str, Any]]:
        """The newest promotions of a repository. RuntimeError: the app answers with a problem."""
        listed = self.api("GET", f"/promotions?repository={urllib.parse.quote(repository, safe='')}")
        if listed.status != 200:
            raise RuntimeError(f"GET /api/promotions: {listed.status} {listed.body.decode(errors='replace')[:500]}")
        items: list[dict[str, Any]] = listed.json()["items"]
        return items

    def promotion(self, identity: str) -> dict[str, Any]:
        """One promotion with its history."""
        found: dict[str, Any] = self.api("GET", f"/promotions/{identity}").json()
        return found

    def deliver(self, events: Any, function: str = "image_pushed", *, key: str | None = None) -> Answer:
        """Post events as Event Grid does."""
        code = self.keys.event_grid if key is None else key
        query = urllib.parse.urlencode({"functionName": function, "code": code})
        url = f"http://127.0.0.1:{self.stack.ports.functions}/runtime/webhooks/eventgrid?{query}"
        body = events if isinstance(events, bytes) else json.dumps(events).encode()
        return send("POST", url, body, {"aeg-event-type": "Notification", "Content-Type": "application/json"})

    def cloud(self, method: str, path: str, body: Any = None) -> Answer:
        """Call the stand-in's own admin endpoints."""
        data = None if body is None else json.dumps(body).encode()
        return send(method, f"http://127.0.0.1:{self.stack.ports.cloud}{path}", data, {})

    def digest(self, registry: str, repository: str, reference: str) -> str | None:
        """What a tag or digest names in a registry; None: nothing."""
        found = find_manifest(self.registry_url(registry), repository, reference)
        return found.digest if found else None

    def tags(self, registry: str, repository: str) -> list[str]:
        """All tags of a repository; none where there is no such repository."""
        listed = send("GET", f"{self.registry_url(registry)}/v2/{repository}/tags/list", None, {})
        return (listed.json()["tags"] or []) if listed.status == 200 else []

    def referrers(self, registry: str, repository: str, digest: str) -> list[dict[str, Any]]:
        """What is attached to a digest, by the referrers API at the registry's own host name."""
        manifests: list[dict[str, Any]] = self._registry(registry, f"/v2/{repository}/referrers/{digest}")["manifests"]
        return manifests

    def is_locked(self, registry: str, repository: str, reference: str) -> bool:
        """Whether a tag, or a manifest named by its digest, can neither be overwritten nor deleted."""
        kind, one = ("_manifests", "manifest") if ":" in reference else ("_tags", "tag")
        found = self._registry(registry, f"/acr/v1/{repository}/{kind}/{reference}")[one]["changeableAttributes"]
        return not found["writeEnabled"] and not found["deleteEnabled"]

    def _registry(self, registry: str, path: str) -> Any:
        """What the registry answers at its own host name."""
        basic = base64.b64encode(f"00000000-0000-0000-0000-000000000000:{self._refresh_token(registry)}".encode())
        headers = {"Host": world.login_server(registry), "Authorization": f"Basic {basic.decode()}"}
        return send("GET", f"http://127.0.0.1:{self.stack.ports.cloud}{path}", None, headers).json()

    def _refresh_token(self, registry: str) -> str:
        """What `az acr login --expose-token` gives: an Entra token exchanged at the registry."""
        cloud = f"http://127.0.0.1:{self.stack.ports.cloud}"
        identity = f"{cloud}/msi/token?api-version=2019-08-01&resource=https://management.azure.com"
        entra = send("GET", identity, None, {"X-IDENTITY-HEADER": "local"}).json()["access_token"]
        form = {"grant_type": "access_token", "service": world.login_server(registry), "access_token": entra}
        body = urllib.parse.urlencode(form).encode()
        exchanged = send("POST", f"{cloud}/oauth2/exchange", body, {"Host": world.login_server(registry)})
        token: str = exchanged.json()["refresh_token"]
        return token

    def registry_url(self, registry: str) -> str:
        """Where a registry listens on this machine."""
        ports = self.stack.ports
        return f"http://127.0.0.1:{ports.staging_registry if registry == world.STAGING else ports.healthy_registry}"

    @property
    def key(self) -> str:
        """The API key of whoever uses this stack by hand: an operator's."""
        return self.stack.api_key()

    @property
    def keys(self) -> keys.HostKeys:
        return keys.load(self.stack.state / "keys")


def send(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    """One request to this machine, without a proxy; every status is an answer."""
    request = urllib.request.Request(url, data=body, headers=headers, method=method)  # loopback
    try:
        with _DIRECT.open(request, timeout=_LIMIT_S) as response:
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())
