"""Records, audit rows and list entries as entities of Azure Table Storage, and back."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.errors import PermanentError
from tidegate.ports import AuditRow, Row, Summary, Watched

type Entity = Mapping[str, Any]

MAX_BODY = 450_000
"""UTF-16 units of a record's body. An entity holds 1 MiB, and Tables store text as UTF-16 (two bytes a unit)."""

RECORD = "record"
"""Row key of a record in its partition."""
POINTER = "pointer"
"""Row key of what leads from an id to its entry in the list."""

_PROPERTY = 32_000
"""UTF-16 units of one property; the service takes 32 Ki (64 KiB)."""
_TEXT = _PROPERTY // 2
"""Characters of a text that surely fit a property."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_END_OF_TIME = 10**17 - 1
"""Microseconds since 1970 of the year 5138: every earlier time inverts to 17 digits, which sort as text."""
_END_OF_DAYS = 10**7 - 1
"""Days since 1970 of a year far away: every earlier day inverts to 7 digits."""

type Place = tuple[str, str]
"""Partition key and row key."""


def partition_of(key: str) -> str:
    """Keys hold `/`, `#` and `?`, which Tables refuse in a partition key."""
    return hashlib.sha256(key.encode()).hexdigest()


def record_entity(row: Row) -> Entity:
    """PermanentError: the body is longer than MAX_BODY."""
    entity: dict[str, Any] = {
        "PartitionKey": partition_of(row.key),
        "RowKey": RECORD,
        "key": row.key,
        "flow": row.flow,
    }
    if row.wake_at is not None:
        entity["wake_at"] = row.wake_at
    for number, chunk in enumerate(_chunks(row.body, row.key)):
        entity[f"body{number}"] = chunk
    return entity


def row(entity: Entity) -> Row:
    chunks: list[str] = []
    while (chunk := entity.get(f"body{len(chunks)}")) is not None:
        chunks.append(str(chunk))
    return Row(
        key=str(entity["key"]),
        flow=str(entity["flow"]),
        body="".join(chunks),
        etag=etag(entity),
        wake_at=_time(entity["wake_at"]) if "wake_at" in entity else None,
    )


def etag(entity: Entity) -> str:
    """The version that the service gave with a stored entity."""
    return str(entity.metadata["etag"])  # type: ignore[attr-defined]  # a TableEntity, typed as a Mapping


def watched_place(key: str) -> Place:
    """One of 256 partitions, since one takes 2,000 writes a second."""
    name = partition_of(key)
    return name[:2], name


def watched_entity(key: str, at: datetime.datetime) -> Entity:
    return dict(zip(("PartitionKey", "RowKey"), watched_place(key), strict=True)) | {"key": key, "at": at}


def watched(entity: Entity) -> Watched:
    return Watched(str(entity["key"]), _time(entity["at"]), etag(entity))


def audit_entity(key: str, row: AuditRow) -> Entity:
    """Texts longer than a property are cut: an audit row that is too long must not undo the transition it tells of."""
    texts = {name: getattr(row, name)[:_TEXT] for name in ("who", "what", "why", "before", "after", "evidence")}
    place = {"PartitionKey": partition_of(key), "RowKey": f"audit-{row.sequence:08d}"}
    return place | {"sequence": row.sequence, "at": row.at} | texts


def audit_row(entity: Entity) -> AuditRow:
    return AuditRow(
        sequence=int(entity["sequence"]),
        at=_time(entity["at"]),
        who=str(entity["who"]),
        what=str(entity["what"]),
        why=str(entity["why"]),
        before=str(entity["before"]),
        after=str(entity["after"]),
        evidence=str(entity["evidence"]),
    )


def list_place(summary: Summary) -> Place:
    """Where an entry is in the list: a partition a day, and in it by time, both newest first."""
    age = summary.since - _EPOCH
    microseconds = age // datetime.timedelta(microseconds=1)
    return f"t{_END_OF_DAYS - age.days:07d}", f"{_END_OF_TIME - microseconds:017d}-{summary.id}"


def pointer_place(id: str) -> Place:
    return f"i{id}", POINTER


def pointer_entity(summary: Summary) -> Entity:
    """Leads from an id to the place of its entry."""
    day, time = list_place(summary)
    return dict(zip(("PartitionKey", "RowKey"), pointer_place(summary.id), strict=True)) | {"day": day, "time": time}


def pointed(pointer: Entity) -> Place:
    """The place that a pointer leads to."""
    return str(pointer["day"]), str(pointer["time"])


def list_entity(summary: Summary) -> Entity:
    return dict(zip(("PartitionKey", "RowKey"), list_place(summary), strict=True)) | {
        "key": summary.key,
        "id": summary.id,
        "since": summary.since,
        "updated": summary.updated,
        "state": summary.state,
        "repository": summary.repository,
        "tags": "\n".join(summary.tags),
        "digest": summary.digest,
        "reason": summary.reason[:_TEXT],
    }


def summary(entity: Entity) -> Summary:
    return Summary(
        key=str(entity["key"]),
        id=str(entity["id"]),
        since=_time(entity["since"]),
        updated=_time(entity["updated"]),
        state=str(entity["state"]),
        repository=str(entity["repository"]),
        tags=tuple(str(entity["tags"]).split("\n")) if entity["tags"] else (),
        digest=str(entity["digest"]),
        reason=str(entity["reason"]),
    )


def _chunks(body: str, key: str) -> Iterator[str]:
    """The body in pieces that fit a property; text outside the basic plane counts two units a character."""
    units = body.encode("utf-16-le")
    if len(units) > 2 * MAX_BODY:
        raise PermanentError(f"{key}: a record of {len(units) // 2} UTF-16 units, more than {MAX_BODY}")
    start = 0
    while start < len(units):
        end = min(start + 2 * _PROPERTY, len(units))
        if end < len(units) and 0xD8 <= units[end - 1] <= 0xDB:  # do not part a surrogate pair
            end -= 2
        yield units[start:end].decode("utf-16-le")
        start = end


def _time(value: Any) -> datetime.datetime:
    """A plain time in UTC: the SDK gives a subclass of its own, which also keeps the service's seventh digit."""
    return datetime.datetime.combine(value.date(), value.timetz()).astimezone(datetime.UTC)
