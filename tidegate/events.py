"""Event Grid's payloads to ours: both schemas, every casing and omission that was seen; what breaks a rule is a MalformedEvent.

Sources: azure-docs event-schema-container-registry (short and full type names, nine-digit timestamps), azure-rest-api-specs
ContainerRegistry.tsp (digest, tag, location, request, actor optional), the SDKs' test vectors (odd casing of topics and types),
azure-docs event-schema-machine-learning (ModelVersion a number in the sample, text in the table beside it and in the specs).
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from tidegate import references
from tidegate.errors import MalformedEvent
from tidegate.flows.jobs.job_facts import TEST_TAG
from tidegate.flows.models.model_facts import COPY_TAG
from tidegate.references import ImageRef, JobRef, ModelRef


@dataclasses.dataclass(frozen=True, slots=True)
class Envelope:
    """An event as it came, in either schema; nothing in it was checked yet."""

    id: Any
    type: Any
    source: Any
    """`topic` or `source`: the resource it comes from."""
    subject: Any
    time: Any
    data: Any


def envelope(body: Any) -> Envelope:
    """The fields of an event in either schema, or as we parked it; a body that is no object is kept as its data."""
    if not isinstance(body, dict):
        return Envelope(None, None, None, None, None, body)
    return Envelope(
        id=body.get("id"),
        type=body.get("type", body.get("eventType")),
        source=body.get("source", body.get("topic")),
        subject=body.get("subject"),
        time=body.get("time", body.get("eventTime")),
        data=body.get("data"),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class ImagePush:
    """A tag of an image was pushed to the staging registry."""

    image: ImageRef
    tag: str
    order: str
    """Sorts pushes by time at the registry, then by event id."""
    id: str
    at: datetime.datetime
    who: str


@dataclasses.dataclass(frozen=True, slots=True)
class RunStatus:
    """The status of a run changed."""

    job: JobRef
    status: str
    """In lower case; an open set."""
    experiment: str
    test_of: str
    """The image that the run is the test of, as its tag says; foreign text until its record knows the run."""
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Registration:
    """A version of a model was registered."""

    model: ModelRef
    order: str
    """Sorts versions of the model; see `model_order`."""
    tags: Mapping[str, str]
    """Tags and properties as the event has them: good for finding the gate, and for nothing else."""
    id: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class NotForUs:
    """A well-formed event that asks for nothing."""

    reason: str


_PUSHED = frozenset({"microsoft.containerregistry.imagepushed", "imagepushed"})
_STATUS_CHANGED = frozenset({"microsoft.machinelearningservices.runstatuschanged", "runstatuschanged"})
_REGISTERED = frozenset({"microsoft.machinelearningservices.modelregistered", "modelregistered"})
_WORKSPACE_ID = re.compile(r"/providers/microsoft\.machinelearningservices/workspaces/([^/]+)/?\Z", re.IGNORECASE)
_REGISTRY_ID = re.compile(r"/providers/microsoft\.containerregistry/registries/([^/]+)/?\Z", re.IGNORECASE)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?\Z", re.IGNORECASE)
_MAX_ID = 256
_DECIMAL = re.compile(r"[0-9]{1,30}\Z")  # not isdecimal(): it takes other scripts' digits


def image_pushed(event: Envelope, *, staging: str, healthy: str, now: datetime.datetime) -> ImagePush | NotForUs:
    """What a push means. `now` stands in for a time that cannot be read: a bad time does not fail the event."""
    if _text(event.type, "eventType").casefold() not in _PUSHED:
        return NotForUs(f"of type {_clean(event.type)}")
    data = _data(event.data)
    target = _object(data, "target", "data.target")
    registry = _registry(event.source, data)
    if registry == healthy:
        return NotForUs("in the healthy registry: our own write")
    if registry != staging:
        raise MalformedEvent(f"topic: registry {registry} is not the staging registry ({staging}) of this installation")
    repository = references.repository(_field(target, "repository"), "data.target.repository")
    digest = references.digest(_field(target, "digest"), "data.target.digest")
    tag = _field(target, "tag")
    if tag is None:
        return NotForUs("without a tag: a part of an index, or a push by digest")
    name = references.tag(tag, "data.target.tag")
    if references.is_companion_tag(name):
        return NotForUs("a tag of signatures or referrers")
    identity = _id(event.id)
    stamp = _stamp(_field(data, "timestamp")) or _stamp(event.time) or _stamp(now.isoformat())
    order = f"{stamp}/{identity}"
    actor = _field(data, "actor")
    who = _clean(_field(actor, "name")) if isinstance(actor, dict) else ""
    return ImagePush(ImageRef(registry, repository, digest), name, order, identity, now, who or "a push to staging")


def is_run_status(event: Envelope) -> bool:
    """Whether it comes from a machine learning workspace."""
    return isinstance(event.type, str) and event.type.casefold() in _STATUS_CHANGED


def run_status_changed(event: Envelope, *, workspaces: Collection[str], now: datetime.datetime) -> RunStatus:
    """What a change of a run's status means. `now` stands in for a time that cannot be read, or is yet to come."""
    workspace = _workspace(event.source, workspaces)
    data = _data(event.data)
    job = JobRef(workspace, references.run(_field(data, "runId"), "data.runId"))
    status = _text(_field(data, "runStatus"), "data.runStatus").strip().lower()
    if not status.isalpha() or len(status) > 64:
        raise MalformedEvent("data.runStatus: must be one word")
    tags = _field(data, "runTags")
    test_of = _field(tags, TEST_TAG) if isinstance(tags, dict) else None
    stamp = _stamp(event.time)
    return RunStatus(
        job=job,
        status=status,
        experiment=_clean(_field(data, "experimentName"))[:255],
        test_of=test_of if isinstance(test_of, str) else "",
        at=min(datetime.datetime.fromisoformat(stamp), now) if stamp else now,
    )


def is_model_registered(event: Envelope) -> bool:
    """Whether it tells of a version of a model."""
    return isinstance(event.type, str) and event.type.casefold() in _REGISTERED


def model_registered(
    event: Envelope, *, workspaces: Collection[str], now: datetime.datetime
) -> Registration | NotForUs:
    """What a registration means. `now` stands in for a time that cannot be read."""
    data = _data(event.data)
    tags = {**_texts(_field(data, "modelProperties")), **_texts(_field(data, "modelTags"))}
    if COPY_TAG in tags:  # wherever it lies: the workspaces of stages need not be watched
        return NotForUs("a copy that a delivery made")
    workspace = _workspace(event.source, workspaces)
    name = references.model(_field(data, "modelName"), "data.modelName")
    version = references.version(_field(data, "modelVersion"), "data.modelVersion")
    stamp = _stamp(event.time)
    registered = datetime.datetime.fromisoformat(stamp) if stamp else now
    model = ModelRef(workspace, name, version)
    return Registration(model, model_order(version, registered), tags, _id(event.id), now)


def model_order(version: str, registered: datetime.datetime) -> str:
    """Sorts the versions of a model: by number where they are numbers, as Azure counts them, else by time of registration.

    The version itself decides between two of one moment, and between `7` and `07`.
    """
    return f"{version.zfill(30) if _DECIMAL.match(version) else _stamp(registered)}/{version}"


def _workspace(source: object, workspaces: Collection[str]) -> str:
    """The workspace that an event comes from, which must be a watched one."""
    match = _WORKSPACE_ID.search(source) if isinstance(source, str) else None
    if not match:
        raise MalformedEvent("topic: must be the resource id of a machine learning workspace")
    workspace = references.workspace(match[1], "topic")
    if workspace not in workspaces:
        raise MalformedEvent(f"topic: workspace {workspace} is none of this installation (TIDEGATE_WORKSPACES)")
    return workspace


def _texts(value: object) -> dict[str, str]:
    """What of a mapping is text; anything else is as if it were not there."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: text for name, text in pairs if isinstance(name, str) and isinstance(text, str)}


def _registry(source: object, data: Mapping[str, Any]) -> str:
    """Which registry it comes from: the topic says so; a topic that cannot be read is made up for by the request's host."""
    match = _REGISTRY_ID.search(source) if isinstance(source, str) else None
    if match:
        return references.registry(match[1], "topic")
    request = _field(data, "request")
    host = _field(request, "host") if isinstance(request, dict) else None
    if not isinstance(host, str):
        raise MalformedEvent("topic: must be the resource id of a container registry")
    return references.registry(host.partition(".")[0], "data.request.host")


def _data(value: object) -> Mapping[str, Any]:
    """The event's data; some senders put it there as a JSON string."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise MalformedEvent("data: text that is not JSON") from error
    if not isinstance(value, dict):
        raise MalformedEvent(f"data: must be an object, not {type(value).__name__}")
    return value


def _object(parent: Mapping[str, Any], name: str, field: str) -> Mapping[str, Any]:
    value = _field(parent, name)
    if not isinstance(value, dict):
        raise MalformedEvent(f"{field}: missing" if value is None else f"{field}: must be an object")
    return value


def _field(parent: Mapping[str, Any], name: str) -> Any:
    """A field by its name in any casing; None when it is absent or null."""
    if name in parent:
        return parent[name]
    return next((value for key, value in parent.items() if key.casefold() == name.casefold()), None)


def _id(value: object) -> str:
    text = _text(value, "id")
    if not text or len(text) > _MAX_ID or not text.isprintable():
        raise MalformedEvent(f"id: must be 1 to {_MAX_ID} printable characters")
    return text


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise MalformedEvent(f"{field}: missing" if value is None else f"{field}: must be text")
    return value


def _clean(value: object) -> str:
    """Foreign text as one short printable line."""
    text = value if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:128]


def _stamp(value: object) -> str:
    """A time in UTC with nine digits of seconds, so that text order is time order; empty when it cannot be read."""
    text = value.isoformat() if isinstance(value, datetime.datetime) else value
    match = _TIME.match(text) if isinstance(text, str) else None
    if not match:
        return ""
    try:
        moment = datetime.datetime.fromisoformat(f"{match[1]}{match[3] or 'Z'}".upper().replace(" ", "T"))
        moment = moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{(match[2] or '').ljust(9, '0')}Z"


def order_of(moment: datetime.datetime, identity: str) -> str:
    """The order of a request by hand among the pushes."""
    return f"{_stamp(moment)}/{identity}"
