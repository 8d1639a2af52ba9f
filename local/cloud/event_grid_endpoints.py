"""How subscriptions are reached: HTTP requests to functions and webhooks, with the limits that Event Grid sets."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Sequence
from typing import Protocol, override
from urllib.parse import quote

import aiohttp

from local.cloud.event_grid_keys import FUNCTIONS_KEY, FunctionsKeys
from local.cloud.event_grid_messages import Message, Refused, Reply, Validation, consent, notification, validation
from local.cloud.event_grid_schedule import Answer
from local.cloud.event_grid_store import Delivery
from local.cloud.event_grid_subscriptions import FunctionEndpoint, Subscription, WebhookEndpoint

ANSWER_LIMIT = 30.0
"""Seconds an endpoint has for its answer. Source: "Event Grid message delivery and retry"."""
_DETAIL = 300
"""Characters of an endpoint's answer that are kept to explain a failure."""


class Endpoints(Protocol):
    """The subscriptions' endpoints."""

    async def validate(self, subscription: Subscription, code: str, url: str) -> Validation:
        """Ask whether the endpoint wants the subscription's events. Asking twice is harmless."""
        ...

    async def notify(self, subscription: Subscription, batch: Sequence[Delivery]) -> Answer:
        """Send a batch as one request; what the network or the endpoint does is in the answer, never an exception.
        Twice delivers twice."""
        ...


class HttpEndpoints(Endpoints):
    """Endpoints over HTTP with one shared client session (fetched for each request, because it opens late)."""

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        functions_url: str | None = None,
        keys: FunctionsKeys | None = None,
        answer_limit: float = ANSWER_LIMIT,
    ) -> None:
        self._session = session
        self._functions_url = functions_url
        self._keys = keys
        self._timeout = aiohttp.ClientTimeout(total=answer_limit)

    @override
    async def validate(self, subscription: Subscription, code: str, url: str) -> Validation:
        reply = await self._ask(subscription, validation(subscription, code, url, datetime.datetime.now(datetime.UTC)))
        match reply:
            case Answer():
                return Refused(f"{reply.outcome}: {reply.detail}")
            case Reply():
                return consent(subscription.schema, code, reply)

    @override
    async def notify(self, subscription: Subscription, batch: Sequence[Delivery]) -> Answer:
        reply = await self._ask(subscription, notification(subscription, batch))
        match reply:
            case Answer():
                return reply
            case Reply():
                return Answer.of_status(reply.status, reply.text)

    async def _ask(self, subscription: Subscription, message: Message) -> Reply | Answer:
        match subscription.endpoint:
            case WebhookEndpoint(url):
                return await self._send(url, message)
            case FunctionEndpoint(function):
                return await self._send_to_function(function, message)

    async def _send_to_function(self, function: str, message: Message) -> Reply | Answer:
        """A 401 may mean that the host made new keys: the key file is read again, and a new key is tried at once."""
        if self._functions_url is None or self._keys is None:
            return Answer(None, "SocketError", "this stand-in was started without a Functions host")
        key = self._keys.current()
        if key is None:
            return Answer(None, "SocketError", f"no system key {FUNCTIONS_KEY!r} in {self._keys.where} yet")
        webhook = f"{self._functions_url.rstrip('/')}/runtime/webhooks/eventgrid?functionName={quote(function)}"
        reply = await self._send(f"{webhook}&code={quote(key, safe='')}", message)
        if isinstance(reply, Reply) and reply.status == 401 and (renewed := self._keys.renewed()) not in (None, key):
            return await self._send(f"{webhook}&code={quote(renewed or '', safe='')}", message)
        return reply

    async def _send(self, url: str, message: Message) -> Reply | Answer:
        """An HTTP answer (redirects are answers, not followed), or the way the connection failed."""
        try:
            async with self._session().request(
                message.method,
                url,
                headers=message.headers,
                data=io.BytesIO(message.body) if message.body else None,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                text = (await response.content.read(_DETAIL)).decode(errors="replace")
                return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, text)
        except TimeoutError:
            return Answer(None, "TimedOut", f"no answer within {self._timeout.total:g} s")
        except aiohttp.ClientConnectorDNSError as error:
            return Answer(None, "ResolutionError", str(error))
        except (aiohttp.ClientError, OSError) as error:
            return Answer(None, "SocketError", str(error) or type(error).__name__)
