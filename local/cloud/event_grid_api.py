"""Event Grid's data plane: publishing to the custom topic, and the URL that validates a subscription by hand."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping

from aiohttp import web

from local import world
from local.cloud.errors import ArmError
from local.cloud.event_grid_events import EVENT_LIMIT, Event, RejectedError, accept_cloud_events, accept_event_grid
from local.cloud.event_grid_keys import TopicKeys
from local.cloud.event_grid_service import EventGrid
from local.cloud.permissions import Permission
from local.cloud.roles import Roles

API_VERSION = "2018-01-01"

_SEND = Permission("Microsoft.EventGrid/events/send/action", world.OUTCOMES_TOPIC_ID, data=True)
_NOT_ALLOWED = (
    "The principal associated with access token presented with the incoming request does not have permission to send"
    f" data to {world.OUTCOMES_TOPIC_ID}."
)
"""With 401, not 403: as it was seen in 2021 (Azure/azure-sdk-for-net issue 22831)."""


class DataPlane:
    """`POST /api/events` of the custom topic, as azure-eventgrid calls it."""

    def __init__(self, grid: EventGrid, keys: TopicKeys, roles: Roles) -> None:
        self._grid = grid
        self._keys = keys
        self._roles = roles

    def add_routes(self, app: web.Application) -> None:
        """Serve the topic's data plane and the validation URLs of subscriptions."""
        app.router.add_post("/api/events", self.publish)
        app.router.add_get("/eventsubscriptions/{name}/validate", self.validate)

    async def publish(self, request: web.Request) -> web.Response:
        """Source: "Publish to custom topics": 200, 400 (malformed), 401, 413 (too large). A topic on Azure has one
        input schema; this one takes both, by the content type."""
        claims = self._keys.authorize(request, datetime.datetime.now(datetime.UTC))
        if claims is not None and not self._roles.asked(claims, _SEND):
            raise ArmError(401, "Unauthorized", _NOT_ALLOWED)
        if request.query.get("api-version") != API_VERSION:
            raise ArmError(400, "BadRequest", f"The api-version must be {API_VERSION}.")
        try:
            events = _published(request.content_type, await _body(request))
        except RejectedError as error:
            raise ArmError(error.status, _CODES[error.status], str(error)) from error
        self._grid.accept(world.OUTCOMES_TOPIC_ID, events)
        return web.Response()

    async def validate(self, request: web.Request) -> web.Response:
        """The validation URL that an endpoint's owner opens by hand."""
        courier = self._grid.courier(request.match_info["name"])
        if courier is None or not courier.consented_by_hand(request.query.get("code", "")):
            raise ArmError(404, "NotFound", "No subscription waits for this validation.")
        return web.json_response("Webhook successfully validated as a subscription endpoint.")


_CODES: Mapping[int, str] = {400: "BadRequest", 413: "PayloadTooLarge", 415: "UnsupportedMediaType"}


async def _body(request: web.Request) -> bytes:
    body = await request.read()
    if len(body) > EVENT_LIMIT:
        raise RejectedError(f"the request is {len(body)} bytes, the limit is {EVENT_LIMIT}", status=413)
    return body


def _published(media_type: str, body: bytes) -> list[Event]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise RejectedError(f"the body is not JSON: {error}") from error
    match media_type:
        case "application/json" if isinstance(document, list):
            return accept_event_grid(document, world.OUTCOMES_TOPIC_ID)
        case "application/cloudevents-batch+json" if isinstance(document, list):
            return accept_cloud_events(document)
        case "application/cloudevents+json":
            return accept_cloud_events([document])
        case "application/json" | "application/cloudevents-batch+json":
            raise RejectedError("the body must be an array of events")
        case _:
            raise RejectedError(f"Content-Type {media_type!r} is no event format", status=415)
