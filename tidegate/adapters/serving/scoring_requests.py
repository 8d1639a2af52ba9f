"""Requests to one deployment past the traffic rules, as our own HTTP.

Never azure-ai-ml's `invoke`: it writes the deployment's name into headers that all its calls share, so that later calls go to
that deployment although they name none (azure-ai-ml 1.35, `EndpointInvokeFields.DEFAULT_HEADER`). Here each request has its own.
"""

from __future__ import annotations

import http.cookiejar
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping

import requests
import requests.adapters

from tidegate.model_ports import Answered

DEPLOYMENT_HEADER = "azureml-model-deployment"
LIMIT = 1 << 20
"""Bytes of an answer that are kept."""
_CHUNK = 64 * 1024
_KEPT = 300.0
"""Seconds that a key is used before it is asked for again; a token lives longer."""

type Key = tuple[str, str]
"""(scoring address, key or token); empty key: the deployment asks for none."""


class ScoringRequests:
    """A pool of connections, and keys that are kept briefly. May be shared by threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, direct: bool = False) -> None:
        """`direct`: to this machine, whatever proxy the environment names."""
        self._session = requests.Session()
        self._session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=16, max_retries=0))
        self._session.trust_env = not direct
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = lambda request: request  # or requests would send passwords from ~/.netrc
        self._clock = clock
        self._keys: dict[str, tuple[float, Key]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def ask(self, endpoint: str, find: Callable[[], Key], deployment: str, body: bytes, timeout: float) -> Answered:
        """One answer within `timeout` seconds; status 0: none. `find` gives address and key, and may fail as a port does.

        A key that is refused is asked for again, once: it may have been renewed.
        """
        answered = self._post(self._key(endpoint, find), deployment, body, timeout)
        if answered.status == 401:
            self._forget(endpoint)
            answered = self._post(self._key(endpoint, find), deployment, body, timeout)
        return answered

    def status(self, address: str, timeout: float) -> int:
        """With what a server answers a GET; 0: it does not."""
        try:
            with self._session.get(address, timeout=timeout, allow_redirects=False) as answer:
                return answer.status_code
        except requests.RequestException:
            return 0

    def _post(self, key: Key, deployment: str, body: bytes, timeout: float) -> Answered:
        address, secret = key
        headers = _headers(secret, deployment)
        began = time.monotonic()
        status, content = 0, b""
        try:
            with self._session.post(
                address, data=body, headers=headers, timeout=timeout, allow_redirects=False, stream=True
            ) as answer:
                content = _body(answer, began + timeout)
                status = answer.status_code
        except (requests.RequestException, TimeoutError):
            status = 0
        return Answered(status, content, time.monotonic() - began)

    def _key(self, endpoint: str, find: Callable[[], Key]) -> Key:
        with self._lock:
            since, known = self._keys.get(endpoint, (0.0, None))
            if known is not None and self._clock() - since < _KEPT:
                return known
        found = find()
        with self._lock:
            self._keys[endpoint] = self._clock(), found
        return found

    def _forget(self, endpoint: str) -> None:
        with self._lock:
            self._keys.pop(endpoint, None)


def is_endpoint(address: str, *, private: bool) -> bool:
    """Whether an address that ARM gives is one of an endpoint. `private`: on a cluster of one's own, under any host name."""
    parts = urllib.parse.urlsplit(address)
    if private:
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    return parts.scheme == "https" and (parts.hostname or "").endswith(_HOSTS)


_HOSTS = (".inference.ml.azure.com", ".inference.ml.azure.us", ".inference.ml.azure.cn")


def _headers(secret: str, deployment: str) -> Mapping[str, str]:
    headers = {"Content-Type": "application/json"}
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    if deployment:
        headers[DEPLOYMENT_HEADER] = deployment
    return headers


def _body(answer: requests.Response, deadline: float) -> bytes:
    """The first LIMIT bytes. TimeoutError: they did not come in time."""
    content = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        content += chunk
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(content) >= LIMIT:
            break
    return bytes(content[:LIMIT])
