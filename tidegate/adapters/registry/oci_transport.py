"""HTTP to container registries: their own hosts only, bounded in time and size, redirects without credentials."""

from __future__ import annotations

import http.cookiejar
import json
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import requests
import requests.adapters

from tidegate.adapters.azure_calls import BOUNDED, retry_after
from tidegate.errors import PermanentError, TransientError

TIMEOUT = (BOUNDED["connection_timeout"], BOUNDED["read_timeout"])
_MAX_REDIRECTS = 3
_STORAGE = (".blob.core.windows.net", ".data.azurecr.io")
"""Where registries keep blobs: storage, or dedicated data endpoints (docs: container-registry-firewall-access-rules)."""
_CHUNK = 1 << 20
_MAX_REASON = 64 * 1024
_REPEATED = ("GET", "HEAD", "PUT")  # a lost connection is tried once more where twice is the same as once


class GoneError(PermanentError):
    """404: there is no such repository, tag, manifest or blob."""


class RegistryTransport:
    """A pool of connections to registries. May be shared by threads."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=16, max_retries=0))
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _no_netrc
        self._session.headers.update({"User-Agent": "tidegate", "Accept-Encoding": "identity"})

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: Any = None,
        *,
        accept: Iterable[int],
    ) -> requests.Response:
        """One call, its body not read yet. GoneError: 404. PermanentError: refused. TransientError: anything else.

        A redirect is followed only to the storage of registries, without the caller's headers.
        """
        response = self._once_more(method, url, headers, data)
        for _ in range(_MAX_REDIRECTS):
            if response.status_code not in (301, 302, 303, 307, 308) or method not in ("GET", "HEAD"):
                break
            target = _storage_url(url, response)
            response.close()
            response = self._once_more(method, target, {}, None)
        if response.status_code in accept:
            return response
        with response:
            raise _refusal(f"{method} {_shown(url)}", response)

    def post_form(self, host: str, path: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """A call to a registry's token endpoint. TransientError: it did not answer with a JSON object."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = f"https://{host}{path}"
        try:
            answer = json.loads(
                body(self.send("POST", url, headers, urllib.parse.urlencode(form).encode(), accept=(200,)), _MAX_REASON)
            )
        except (PermanentError, ValueError) as error:  # nobody's answer to an image: the identity, or the registry
            raise TransientError(f"{host}: no token ({error})") from error
        if not isinstance(answer, dict):
            raise TransientError(f"{host}: no token (the answer is no object)")
        return answer

    def _once_more(self, method: str, url: str, headers: Mapping[str, str], data: Any) -> requests.Response:
        try:
            return self._call(method, url, headers, data)
        except requests.ConnectionError as error:
            if method not in _REPEATED or (data is not None and not isinstance(data, bytes)):
                raise TransientError(f"{method} {_shown(url)}: no answer") from error
        except requests.RequestException as error:
            raise TransientError(f"{method} {_shown(url)}: no answer") from error
        try:
            return self._call(method, url, headers, data)
        except requests.RequestException as error:
            raise TransientError(f"{method} {_shown(url)}: no answer, twice") from error

    def _call(self, method: str, url: str, headers: Mapping[str, str], data: Any) -> requests.Response:
        return self._session.request(
            method, url, headers=dict(headers), data=data, timeout=TIMEOUT, allow_redirects=False, stream=True
        )


def chunks(response: requests.Response, limit: int, seconds: float) -> Iterator[bytes]:
    """The body in pieces. PermanentError: longer than `limit` bytes. TransientError: it broke off, or took too long."""
    deadline = time.monotonic() + seconds
    size = 0
    where = _shown(response.url)
    with response:
        try:
            for chunk in response.iter_content(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise PermanentError(f"{where}: more than {limit} bytes")
                if time.monotonic() > deadline:
                    raise TransientError(f"{where}: not read within {seconds:.0f} s")
                yield chunk
        except requests.RequestException as error:
            raise TransientError(f"{where}: the body broke off") from error


def body(response: requests.Response, limit: int, seconds: float = 20) -> bytes:
    """The whole body, bounded."""
    return b"".join(chunks(response, limit, seconds))


def answer_headers(response: requests.Response) -> Mapping[str, str]:
    """What an answer says whose body nobody needs. It is read to its end: a connection with something left is thrown away."""
    body(response, _MAX_REASON)
    return response.headers


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Without an authentication of its own, requests would send passwords from ~/.netrc."""
    return request


def _storage_url(url: str, response: requests.Response) -> str:
    target = urllib.parse.urljoin(url, response.headers.get("Location", ""))
    parts = urllib.parse.urlsplit(target)
    host = parts.hostname or ""
    plain = parts.scheme == "https" and parts.port in (None, 443) and not parts.username
    if not plain or not (host.endswith(_STORAGE) or host == urllib.parse.urlsplit(url).hostname):
        raise PermanentError(f"{_shown(url)}: redirected to {host!a}, which is not where registries keep blobs")
    return target


def _refusal(what: str, response: requests.Response) -> Exception:
    status = response.status_code
    message = f"{what}: {status} {_reason(response)}"
    if status == 404:
        return GoneError(message)
    if status in (401, 403, 408, 409, 425, 429) or status >= 500 or status < 400:
        return TransientError(message, retry_after=retry_after(response.headers))
    return PermanentError(message)


def _reason(response: requests.Response) -> str:
    """Code and message of the registry's first error; a HEAD has none."""
    try:
        first = json.loads(next(response.iter_content(_MAX_REASON), b""))["errors"][0]
        return f"{first['code']}: {first['message']}"[:300]
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return response.reason or ""


def _shown(url: str) -> str:
    """Without the query: storage links are signed there."""
    return url.partition("?")[0]
