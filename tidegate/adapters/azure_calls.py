"""What every call to Azure has in common: bounded time, one identity, and errors in our words."""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.identity import ManagedIdentityCredential

from tidegate.errors import MalformedEvent, PermanentError, StateConflict, TransientError
from tidegate.settings import Settings

BOUNDED: Mapping[str, Any] = {
    "connection_timeout": 4,
    "read_timeout": 8,
    "retry_total": 1,
    "retry_status": 0,
    "retry_backoff_factor": 0.2,
}
"""Arguments of every SDK client. One lost connection is repeated; a status never is, because azure-core sleeps through
any Retry-After, however long. The outbox repeats the rest later, and costs nothing while it waits."""

type Verdict = type[MalformedEvent | PermanentError | StateConflict | TransientError]

_BUSY = (408, 409, 425, 429)


def credential(client_id: str) -> TokenCredential:
    """The app's own identity; empty client id: the system-assigned one. Caches its tokens and may be shared by threads.

    App Service, Functions and the local stack all answer at IDENTITY_ENDPOINT.
    """
    return ManagedIdentityCredential(client_id=client_id or None, **BOUNDED)


def registry_id(settings: Settings, registry: str) -> str:
    """ARM resource id of one of the two registries."""
    group = f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}"
    return f"{group}/providers/Microsoft.ContainerRegistry/registries/{registry}"


@contextlib.contextmanager
def translated(what: str, on: Mapping[int, Verdict] | None = None, *, refusable: bool = False) -> Iterator[None]:
    """Turn an SDK's error into ours, chained to it.

    `on` names statuses that mean something here. `refusable`: another 4xx is an answer (PermanentError); otherwise, and
    for 401, 408, 409, 425, 429, 5xx and lost answers, it is TransientError: nothing is known to be refused for good.
    """
    try:
        yield
    except HttpResponseError as error:
        raise _answer(what, error, on or {}, refusable=refusable) from error
    except AzureError as error:
        raise TransientError(f"{what}: no answer ({_first_line(error)})") from error


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds a service asked to wait: a number or an HTTP date (RFC 9110, 10.2.3); None: it did not, or not readably."""
    text = headers.get("Retry-After") or headers.get("retry-after") or ""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now())
    except ValueError:
        return None


def _answer(what: str, error: HttpResponseError, on: Mapping[int, Verdict], *, refusable: bool) -> Exception:
    status = error.status_code or 0
    message = f"{what}: {status} {_code(error)}{_first_line(error)}"
    verdict = on.get(status)
    if verdict is None:
        transient = (
            isinstance(error, ClientAuthenticationError) or status in _BUSY or status == 401 or not 400 <= status < 500
        )
        verdict = PermanentError if refusable and not transient else TransientError
    if verdict is TransientError:
        return TransientError(message, retry_after=retry_after(_headers(error)))
    return verdict(message)


def _headers(error: HttpResponseError) -> Mapping[str, str]:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    return headers


def _code(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", None) or (error.error.code if error.error else None)
    return f"{getattr(code, 'value', code)}: " if code else ""  # some SDKs give an enumeration's member


def _first_line(error: AzureError) -> str:
    """The first line of an SDK's message, short: the rest repeats it, or holds addresses with signatures."""
    lines = (error.message or type(error).__name__).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
