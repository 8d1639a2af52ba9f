"""Event Grid's admin endpoint: what a test or a demonstration sees and changes. Azure has no such thing."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from local.cloud.errors import ArmError
from local.cloud.event_grid_delivery import Courier
from local.cloud.event_grid_documents import InvalidDocumentError
from local.cloud.event_grid_events import RejectedError, Schema
from local.cloud.event_grid_faults import faults
from local.cloud.event_grid_service import EventGrid
from local.cloud.event_grid_store import Published
from local.cloud.event_grid_subscriptions import (
    TOPICS,
    FunctionEndpoint,
    SubscriptionReader,
    WebhookEndpoint,
)


class Admin:
    """`/admin/subscriptions`, `/admin/delivery-faults` and `/admin/events`."""

    def __init__(self, grid: EventGrid, reader: SubscriptionReader) -> None:
        self._grid = grid
        self._reader = reader
        self._fixed = {subscription.name.casefold() for subscription in reader.from_file()}

    def add_routes(self, app: web.Application) -> None:
        """Serve the admin endpoint."""
        app.router.add_get("/admin/subscriptions", self.list_subscriptions)
        app.router.add_post("/admin/subscriptions", self.subscribe)
        app.router.add_delete("/admin/subscriptions/{name}", self.unsubscribe)
        app.router.add_post("/admin/delivery-faults", self.set_faults)
        app.router.add_get("/admin/events", self.list_events)
        app.router.add_post("/admin/events", self.raise_events)

    async def list_subscriptions(self, _request: web.Request) -> web.Response:
        """State, faults and counters of every subscription."""
        return web.json_response({"subscriptions": [self._status(courier) for courier in self._grid.couriers()]})

    async def subscribe(self, request: web.Request) -> web.Response:
        """Make (or replace) a subscription that survives a restart; 202, because the handshake is still to come."""
        body = await _object(request)
        try:
            subscription = self._reader.from_request(body)
        except InvalidDocumentError as error:
            raise _bad_request(error) from error
        if subscription.name.casefold() in self._fixed:
            message = f"The subscription {subscription.name} is one of infra/data/events.json: change it there."
            raise ArmError(409, "Conflict", message)
        self._grid.store.keep_subscription(subscription.name, body)
        self._grid.subscribe(subscription)
        return web.json_response({"name": subscription.name}, status=202)

    async def unsubscribe(self, request: web.Request) -> web.Response:
        """Remove a subscription made at run time, and its undelivered events."""
        name = request.match_info["name"]
        if name.casefold() in self._fixed or not self._grid.unsubscribe(name):
            raise ArmError(404, "NotFound", f"No subscription named {name} was made at run time.")
        return web.Response(status=204)

    async def set_faults(self, request: web.Request) -> web.Response:
        """Set the faults of one `subscription`, or of all when it is left out; `{}` ends them."""
        body = await _object(request)
        name = body.pop("subscription", None)
        chosen = self._grid.couriers() if name is None else [self._known(str(name))]
        try:
            wanted = faults(body)
        except InvalidDocumentError as error:
            raise _bad_request(error) from error
        for courier in chosen:
            self._grid.endpoints.set(courier.subscription.name, wanted)
        return web.json_response({"subscriptions": [courier.subscription.name for courier in chosen]})

    async def list_events(self, request: web.Request) -> web.Response:
        """The last published events, oldest first; `topic` (a short name or an id) and `after` (a sequence) narrow."""
        after = request.query.get("after", "0")
        if not after.isascii() or not after.isdigit():
            raise ArmError(400, "BadRequest", f"after: must be a sequence number, not {after!r}")
        topic = _topic(request.query["topic"]) if "topic" in request.query else None
        found = [item for item in self._grid.store.recent(int(after)) if topic in (None, item.topic.casefold())]
        return web.json_response({"events": [_listed(item) for item in found]})

    async def raise_events(self, request: web.Request) -> web.Response:
        """Publish `events` (Event Grid schema without topic) to a `topic`, as a service of Azure would."""
        body = await _object(request)
        topic, events = str(body.get("topic", "")), body.get("events")
        topic = TOPICS.get(topic, topic)
        if not topic.startswith("/subscriptions/") or topic.endswith("/") or not isinstance(events, list):
            raise ArmError(400, "BadRequest", "Needs 'topic', a resource id or a short name of one, and 'events'.")
        try:
            await self._grid.publish(topic, events)
        except RejectedError as error:
            raise ArmError(error.status, "BadRequest", str(error)) from error
        return web.Response(status=204)

    def _known(self, name: str) -> Courier:
        courier = self._grid.courier(name)
        if courier is None:
            raise ArmError(404, "NotFound", f"There is no subscription named {name}.")
        return courier

    def _status(self, courier: Courier) -> dict[str, Any]:
        subscription, name = courier.subscription, courier.subscription.name
        counted = ("matched", "attempts", "delivered", "retried", "given_up", "dropped")
        return {
            "name": name,
            "topic": subscription.topic,
            "endpoint": _endpoint(subscription.endpoint),
            "schema": subscription.schema,
            "provisioningState": courier.state,
            "lastError": courier.last_error,
            "waiting": len(courier.queue),
            "inFlight": courier.in_flight,
            "nextAttempt": courier.queue.next_due,
            "counters": {fate: courier.counts[fate] for fate in counted}
            | {
                "dead_lettered": self._grid.dead_letters.written[name],
                "dead_letters_dropped": self._grid.dead_letters.dropped[name],
                "duplicated": self._grid.endpoints.copies[name],
                "lost": self._grid.endpoints.lost[name],
            },
            "faults": self._grid.endpoints.of(name).described(),
        }


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError as error:
        raise ArmError(400, "BadRequest", f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ArmError(400, "BadRequest", "The body must be a JSON object.")
    return body


def _bad_request(error: ValueError) -> ArmError:
    return ArmError(400, "BadRequest", str(error))


def _topic(name: str) -> str:
    return TOPICS.get(name, name).casefold()


def _listed(item: Published) -> dict[str, Any]:
    return {
        "sequence": item.sequence,
        "topic": item.topic,
        "publishTime": item.at,
        "event": item.event.rendered(Schema.EVENT_GRID),
    }


def _endpoint(endpoint: FunctionEndpoint | WebhookEndpoint) -> dict[str, str]:
    match endpoint:
        case FunctionEndpoint(function):
            return {"function": function}
        case WebhookEndpoint(url):
            return {"url": url}
