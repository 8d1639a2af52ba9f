"""Azure Resource Manager by plain requests, for what is started and never waited for.

azure-ai-ml starts every change of an endpoint or a deployment with a poller: a thread of this process that asks until the change
is over, and that nobody may miss. Here a change is one request, and how it went is seen by a GET (invariant C8). The api-versions
are those of azure-ai-ml 1.35, and nothing of it is imported.
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import policies
from azure.core.rest import HttpRequest, HttpResponse

from tidegate.adapters.azure_calls import BOUNDED, Verdict, retry_after, translated
from tidegate.errors import PermanentError, TransientError

HOST = "management.azure.com"
SCOPE = f"https://{HOST}/.default"

_SERVICE_HOSTS = (".azureml.ms", ".azureml.net")
"""Hosts of Azure ML beside ARM that get our token: the registries answer there."""
_BUSY = (401, 408, 409, 425, 429)
_GENERIC = frozenset(("", "badrequest", "usererror", "badargument", "invalidrequest"))
"""Codes that say nothing; what they mean is in the first detail (azure-docs: how-to-troubleshoot-online-endpoints)."""
_FOR_GOOD = frozenset(
    ("outofquota", "quotaexceeded", "containergroupquotareached", "skunotavailable", "operationnotallowed")
)
"""Codes that mean a no whatever the status is: nothing of it passes by waiting."""
_SHOWN = 300
"""Characters of a service's message."""


class Arm:
    """One pool of connections, as the app's identity. May be shared by threads."""

    def __init__(self, credential: TokenCredential) -> None:
        every = [
            policies.HeadersPolicy({"Accept": "application/json"}),
            policies.UserAgentPolicy("tidegate"),
            policies.RetryPolicy(**BOUNDED),
            policies.BearerTokenCredentialPolicy(credential, SCOPE),
        ]
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(f"https://{HOST}", policies=every)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def get(
        self,
        path: str,
        version: str,
        what: str,
        query: Mapping[str, str] | None = None,
        on: Mapping[int, Verdict] | None = None,
    ) -> dict[str, Any] | None:
        """A resource; None: there is none. TransientError: anything else that `on` does not name."""
        with translated(what, on):
            answer = self._send("GET", url(path, version, query))
            return None if answer.status_code == 404 else _object(checked(answer))

    def call(
        self, method: str, path: str, version: str, what: str, body: Any = None, on: Mapping[int, Verdict] | None = None
    ) -> dict[str, Any]:
        """One request; an empty answer is an empty object. PermanentError (`code: message`): refused for good.

        A long operation that it starts goes on by itself.
        """
        try:
            with translated(what, on):
                return _object(checked(self._send(method, url(path, version), body)))
        except TransientError as error:
            if isinstance(error.__cause__, HttpResponseError) and _refused(error.__cause__):
                raise PermanentError(refusal(error.__cause__)) from error.__cause__
            raise

    def pages(
        self, path: str, version: str, what: str, query: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The resources of a list, page by page as they are taken."""
        place = url(path, version, query)
        while place:
            with translated(what, {403: PermanentError, 404: PermanentError}):
                page = _object(checked(self._send("GET", place)))
            yield from page.get("value") or ()
            place = str(page.get("nextLink") or "")

    def operation(self, link: str) -> dict[str, Any]:
        """How a long operation goes, by the link that a resource names; empty: not told, or no link of Azure's."""
        with contextlib.suppress(TransientError, PermanentError), translated("operation"):
            answer = self._send("GET", link)
            return _object(answer) if answer.status_code == 200 else {}
        return {}

    def _send(self, method: str, place: str, body: Any = None) -> HttpResponse:
        _check_host(place)
        request = HttpRequest(method, place, json=body) if body is not None else HttpRequest(method, place)
        bounds = {name: BOUNDED[name] for name in ("connection_timeout", "read_timeout")}
        return self._client.send_request(request, **bounds)


def url(path: str, version: str, query: Mapping[str, str] | None = None) -> str:
    """A path of ARM, or an address of Azure ML, with its api-version; empty: it has none. PermanentError: it leads upwards."""
    if any(part in (".", "..") for part in path.split("/")):
        raise PermanentError(f"{path[-120:]!a}: no path of a resource")
    place = path if path.startswith("https://") else f"https://{HOST}{urllib.parse.quote(path)}"
    asked = {**({"api-version": version} if version else {}), **(query or {})}
    return f"{place}?{urllib.parse.urlencode(asked, quote_via=urllib.parse.quote)}" if asked else place


def fault(error: Any) -> tuple[str, str]:
    """Code and message of an error as ARM writes it; a code that says nothing gives way to the first detail's."""
    found = error if isinstance(error, dict) else {}
    code, message = str(found.get("code") or ""), str(found.get("message") or "")
    details = found.get("details")
    if code.lower() in _GENERIC and isinstance(details, list) and details and isinstance(details[0], dict):
        inner, words = fault(details[0])
        code, message = inner or code, words or message
    return code, " ".join(message.split())[:_SHOWN]


def refusal(error: HttpResponseError) -> str:
    """`code: message` of a refused call."""
    code, message = fault(_body(error).get("error"))
    return f"{code or error.status_code}: {message or error.reason or 'refused'}"


def checked(answer: HttpResponse) -> HttpResponse:
    """The answer, if it is one. HttpResponseError: a status that is not 2xx."""
    if not 200 <= answer.status_code < 300:
        raise HttpResponseError(response=answer)
    return answer


def _refused(error: HttpResponseError) -> bool:
    status = error.status_code or 0
    if fault(_body(error).get("error"))[0].lower() in _FOR_GOOD:
        return True
    return 400 <= status < 500 and status not in _BUSY and retry_after(_headers(error)) is None


def _headers(error: HttpResponseError) -> Mapping[str, str]:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    return headers


def _body(error: HttpResponseError) -> dict[str, Any]:
    try:
        return _object(error.response)
    except AzureError:
        return {}


def _object(answer: Any) -> dict[str, Any]:
    try:
        value = answer.json() if answer.content else {}
    except ValueError as error:
        raise AzureError("an answer that is not JSON") from error
    return value if isinstance(value, dict) else {}


def _check_host(place: str) -> None:
    parts = urllib.parse.urlsplit(place)
    host = parts.hostname or ""
    if parts.scheme != "https" or not (host == HOST or host.endswith(_SERVICE_HOSTS)):
        raise PermanentError(f"{host!a} is no host of Azure Resource Manager or Azure ML")
