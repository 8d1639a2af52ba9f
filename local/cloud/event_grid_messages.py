"""What Event Grid says to an endpoint (headers and bodies), and how it reads the endpoint's consent. Pure."""

from __future__ import annotations

import dataclasses
import datetime
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from local.cloud.event_grid_events import Schema
from local.cloud.event_grid_store import Delivery
from local.cloud.event_grid_subscriptions import Subscription

ORIGIN = "eventgrid.azure.net"
"""`WebHook-Request-Origin` of the public cloud."""


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One request to an endpoint."""

    method: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """An endpoint's HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Validated:
    """The endpoint agreed to receive events."""


@dataclasses.dataclass(frozen=True, slots=True)
class Unanswered:
    """The endpoint answered without agreeing; its owner may still open the validation URL."""


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """The endpoint did not agree."""

    reason: str


type Validation = Validated | Unanswered | Refused


def validation(subscription: Subscription, code: str, url: str, at: datetime.datetime) -> Message:
    """The question that opens a subscription.

    Sources: "Endpoint validation with Event Grid event schema"; CloudEvents "HTTP 1.1 Web Hooks", section 4. The
    optional `WebHook-Request-Rate` is left out: the Functions host's extension does not answer it.
    """
    match subscription.schema:
        case Schema.CLOUD_EVENTS:
            return Message("OPTIONS", {"WebHook-Request-Origin": ORIGIN, "WebHook-Request-Callback": url})
        case Schema.EVENT_GRID:
            event = {
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, url)),
                "topic": subscription.topic,
                "subject": "",
                "data": {"validationCode": code, "validationUrl": url},
                "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
                "eventTime": at.isoformat(),
                "metadataVersion": "1",
                "dataVersion": "1",
            }
            headers = _headers(subscription, "SubscriptionValidation", "1", 0) | {"aeg-data-version": "1"}
            return Message("POST", headers, _json([event]))


def consent(schema: Schema, code: str, reply: Reply) -> Validation:
    """Read the answer to `validation`.

    Event Grid schema: exactly 200, with the code; 202 is no consent. CloudEvents: the status alone is no consent, the
    header `WebHook-Allowed-Origin` is. That Azure waits for the callback after an answer without it is unverified.
    """
    match schema, reply.status:
        case Schema.EVENT_GRID, 200:
            return _given(_validation_response(reply.text) == code)
        case Schema.CLOUD_EVENTS, status if 200 <= status <= 299:
            return _given(reply.headers.get("webhook-allowed-origin", "").casefold() in {"*", ORIGIN})
        case _, status:
            return Refused(f"answered {status} to the validation request: {reply.text}")


def notification(subscription: Subscription, batch: Sequence[Delivery]) -> Message:
    """The delivery of a batch.

    Sources: "Message headers"; "CloudEvents v1.0 schema with Azure Event Grid", which says that only Content-Type
    differs between the schemas. Unverified: the name in upper case and a first `aeg-delivery-count` of 0 (both seen in
    a captured request, not documented); that a batch of CloudEvents is an array of the batch media type.
    """
    attempts = max(delivery.attempts for delivery in batch)
    events = [delivery.event.rendered(subscription.schema) for delivery in batch]
    match subscription.schema:
        case Schema.EVENT_GRID:
            headers = _headers(subscription, "Notification", "1", attempts)
            return Message("POST", headers | {"aeg-data-version": events[0]["dataVersion"]}, _json(events))
        case Schema.CLOUD_EVENTS:
            headers = _headers(subscription, "Notification", "1.0", attempts)
            batched = subscription.max_events > 1
            media_type = "application/cloudevents-batch+json" if batched else "application/cloudevents+json"
            extra = {"Content-Type": f"{media_type}; charset=utf-8", "WebHook-Request-Origin": ORIGIN}
            return Message("POST", headers | extra, _json(events if batched else events[0]))


def _headers(subscription: Subscription, event_type: str, metadata_version: str, attempts: int) -> dict[str, str]:
    return {
        "Content-Type": "application/json; charset=utf-8",
        "aeg-event-type": event_type,
        "aeg-subscription-name": subscription.name.upper(),
        "aeg-delivery-count": str(attempts),
        "aeg-metadata-version": metadata_version,
        "aeg-output-event-id": str(uuid.uuid4()),
    }


def _given(agreed: bool) -> Validation:
    return Validated() if agreed else Unanswered()


def _validation_response(text: str) -> str | None:
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer.get("validationResponse") if isinstance(answer, dict) else None


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
