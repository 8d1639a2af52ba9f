"""What goes over the wire: schemas, headers and the handshake."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

from local.cloud.event_grid_events import (
    EVENT_LIMIT,
    Event,
    RejectedError,
    Schema,
    accept_cloud_events,
    accept_event_grid,
)
from local.cloud.event_grid_messages import Refused, Reply, Unanswered, Validated, consent, notification, validation
from local.cloud.event_grid_store import Delivery
from tests.event_grid.fakes import EPOCH, TOPIC, WEBHOOK, event, raw_event, vector

CLOUD_WEBHOOK = dataclasses.replace(WEBHOOK, schema=Schema.CLOUD_EVENTS)
NOW = datetime.datetime.fromtimestamp(EPOCH, datetime.UTC)


def delivery(number: int = 1, attempts: int = 0) -> Delivery:
    return Delivery(number, "to-webhook", event(id=f"event-{number}"), 100, EPOCH, EPOCH, attempts)


@pytest.mark.parametrize("sample", ["acr_imagepushed.docs2021", "ml_runstatuschanged.docs2021"])
def test_an_event_has_the_documented_shape_in_both_schemas(sample: str) -> None:
    written = vector(f"{sample}.eventgrid")[0]
    accepted = accept_event_grid([written], written["topic"])[0]
    assert accepted.rendered(Schema.EVENT_GRID) == written
    assert accepted.rendered(Schema.CLOUD_EVENTS) == vector(f"{sample}.cloudevents")[0]


def test_the_service_stamps_topic_and_versions() -> None:
    raw = {name: value for name, value in raw_event().items() if name != "dataVersion"}
    assert accept_event_grid([raw], TOPIC)[0].body == raw | {"topic": TOPIC, "dataVersion": "", "metadataVersion": "1"}


def test_an_accepted_event_survives_being_stored() -> None:
    kept = event(data={"text": "wäßrig", "null": None})
    assert Event.loads(kept.dumps()) == kept


def test_a_published_cloud_event_keeps_its_extensions() -> None:
    published = vector("acr_imagepushed.docs2021.cloudevents")[0] | {"traceparent": "00-1-2-00"}
    assert accept_cloud_events([published])[0].rendered(Schema.CLOUD_EVENTS) == published


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        pytest.param(raw_event(id=""), "event 0: 'id' must be a string that is not empty", id="empty id"),
        pytest.param(raw_event(subject=None), "event 0: 'subject' is missing", id="no subject"),
        pytest.param(raw_event(eventType=7), "event 0: 'eventType' must be a string", id="type is a number"),
        pytest.param(raw_event(eventTime="yesterday"), "'eventTime' is not an ISO 8601 time: 'yesterday'", id="time"),
        pytest.param(raw_event(topic="/other"), "event 0: 'topic' is '/other'", id="another topic"),
        pytest.param(raw_event(metadataVersion="2"), "'metadataVersion' must be absent or '1'", id="metadataVersion"),
        pytest.param(raw_event(dataVersion=1), "'dataVersion' must be a string", id="dataVersion"),
        pytest.param("text", "event 0: is not a JSON object", id="no object"),
    ],
)
def test_a_malformed_event_is_refused_with_its_place_and_fault(raw: object, fault: str) -> None:
    with pytest.raises(RejectedError) as refused:
        accept_event_grid([raw], TOPIC)
    assert fault in str(refused.value)
    assert refused.value.status == 400


def test_an_event_of_more_than_a_megabyte_is_too_large() -> None:
    with pytest.raises(RejectedError, match="the limit is 1048576") as refused:
        accept_event_grid([raw_event(data="x" * EVENT_LIMIT)], TOPIC)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"specversion": "0.3"}, "'specversion' must be '1.0', not '0.3'"),
        ({"source": None}, "'source' is missing"),
        ({"time": "noon"}, "'time' is not an ISO 8601 time"),
        ({"data_base64": "AA=="}, "has both 'data' and 'data_base64'"),
    ],
)
def test_a_malformed_cloud_event_is_refused(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(RejectedError) as refused:
        accept_cloud_events([vector("acr_imagepushed.docs2021.cloudevents")[0] | changes])
    assert fault in str(refused.value)


def test_a_delivery_in_the_event_grid_schema_is_an_array_with_the_documented_headers() -> None:
    message = notification(WEBHOOK, [delivery(attempts=3)])
    assert json.loads(message.body) == [event(id="event-1").body]
    assert dict(message.headers) | {"aeg-output-event-id": "any"} == {
        "Content-Type": "application/json; charset=utf-8",
        "aeg-event-type": "Notification",
        "aeg-subscription-name": "TO-WEBHOOK",
        "aeg-delivery-count": "3",
        "aeg-metadata-version": "1",
        "aeg-data-version": "1.0",
        "aeg-output-event-id": "any",
    }


def test_a_delivery_of_a_cloud_event_is_an_object_with_the_cloud_events_headers() -> None:
    message = notification(CLOUD_WEBHOOK, [delivery()])
    assert json.loads(message.body) == event(id="event-1").rendered(Schema.CLOUD_EVENTS)
    assert message.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert message.headers["aeg-metadata-version"] == "1.0"
    assert message.headers["WebHook-Request-Origin"] == "eventgrid.azure.net"
    assert "aeg-data-version" not in message.headers


def test_a_batch_of_cloud_events_is_an_array() -> None:
    message = notification(dataclasses.replace(CLOUD_WEBHOOK, max_events=5), [delivery(1), delivery(2)])
    assert [item["id"] for item in json.loads(message.body)] == ["event-1", "event-2"]
    assert message.headers["Content-Type"] == "application/cloudevents-batch+json; charset=utf-8"


def test_the_validation_event_has_the_documented_fields() -> None:
    sample = vector("eg_subscriptionvalidation.docs2024.eventgrid")[0]
    message = validation(WEBHOOK, "the-code", "https://validate", NOW)
    (sent,) = json.loads(message.body)
    assert sent.keys() == sample.keys()
    assert sent["data"] == {"validationCode": "the-code", "validationUrl": "https://validate"}
    assert [sent[name] for name in ("eventType", "metadataVersion", "dataVersion", "subject")] == [
        sample[name] for name in ("eventType", "metadataVersion", "dataVersion", "subject")
    ]
    assert message.headers["aeg-event-type"] == "SubscriptionValidation"


def test_cloud_events_ask_with_options_and_without_a_body() -> None:
    message = validation(CLOUD_WEBHOOK, "the-code", "https://validate", NOW)
    assert (message.method, message.body) == ("OPTIONS", b"")
    assert message.headers == {
        "WebHook-Request-Origin": "eventgrid.azure.net",
        "WebHook-Request-Callback": "https://validate",
    }


RESPONSE = json.dumps(vector("eg_subscriptionvalidation_response.docs2024"))
CODE = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        pytest.param(Reply(200, {}, RESPONSE), Validated, id="200 with the code"),
        pytest.param(Reply(200, {}, '{"validationResponse": "other"}'), Unanswered, id="200 with another code"),
        pytest.param(Reply(200, {}, "ok"), Unanswered, id="200 without code"),
        pytest.param(Reply(200, {}, "[1]"), Unanswered, id="200 with an array"),
        pytest.param(Reply(202, {}, RESPONSE), Refused, id="202 with the code"),
        pytest.param(Reply(404, {}, ""), Refused, id="404"),
    ],
)
def test_only_200_with_the_code_is_consent(reply: Reply, verdict: type) -> None:
    assert type(consent(Schema.EVENT_GRID, CODE, reply)) is verdict


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        pytest.param(Reply(200, {"webhook-allowed-origin": "eventgrid.azure.net"}, ""), Validated, id="origin"),
        pytest.param(Reply(200, {"webhook-allowed-origin": "*"}, ""), Validated, id="any origin"),
        pytest.param(Reply(204, {"webhook-allowed-origin": "*"}, ""), Validated, id="204"),
        pytest.param(Reply(200, {"webhook-allowed-origin": "example.com"}, ""), Unanswered, id="another origin"),
        pytest.param(Reply(200, {}, RESPONSE), Unanswered, id="the status alone"),
        pytest.param(Reply(405, {"webhook-allowed-origin": "*"}, ""), Refused, id="405"),
    ],
)
def test_only_the_allowed_origin_is_consent_to_cloud_events(reply: Reply, verdict: type) -> None:
    assert type(consent(Schema.CLOUD_EVENTS, CODE, reply)) is verdict
