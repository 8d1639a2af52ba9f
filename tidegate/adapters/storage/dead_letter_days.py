"""Walks the dead-letter container newest day first, without listing all of it.

Event Grid's folders are `<EVENT-SUBSCRIPTION>/<year>/<month>/<day>/<hour>/`, numbers not padded (docs:
manage-event-delivery), so names do not sort by time: days are found by asking for folders, level by level, and merged.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import heapq
import itertools
import json
from collections.abc import Iterator, Sequence

from azure.storage.blob import BlobPrefix, ContainerClient

from tidegate.errors import MalformedEvent
from tidegate.flows.alerts.letter_watch import Mark

type Day = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Found:
    """A blob and its place in the order: the day of its folder, then the time it was written, then its name."""

    day: Day
    modified: datetime.datetime
    name: str

    @property
    def cursor(self) -> str:
        """Names this place; opaque to everybody else."""
        parts = [*self.day, self.modified.isoformat(), self.name]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def after(cursor: str) -> Found:
    """The place a cursor names. MalformedEvent: it is not one of ours."""
    try:
        year, month, day, modified, name = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        found = Found((int(year), int(month), int(day)), datetime.datetime.fromisoformat(modified), str(name))
    except (ValueError, TypeError) as error:  # binascii.Error is a ValueError
        raise MalformedEvent("cursor: not one of ours") from error
    if found.modified.tzinfo is None:
        raise MalformedEvent("cursor: not one of ours")
    return found


def newest_first(container: ContainerClient, start: Found | None) -> Iterator[Found]:
    """Blobs in descending order, those behind `start` only; lazily, so that a page costs a page."""
    tops = [_days(container, top) for top in _folders(container, "")]
    merged = heapq.merge(*tops, key=lambda each: each[0], reverse=True)
    for day, folders in itertools.groupby(merged, key=lambda each: each[0]):
        if start is not None and day > start.day:
            continue
        blobs = sorted((blob for _, folder in folders for blob in _blobs(container, day, folder)), reverse=True)
        yield from (blob for blob in blobs if start is None or blob < start)


def written_between(
    container: ContainerClient, mark: Mark, before: datetime.datetime, passed_over: str
) -> Sequence[Found]:
    """Blobs behind a mark that were not written after a time, oldest first, without those that carry a certain metadata.

    A folder's day is taken for the day of its blobs, give or take one: Event Grid names folders by its own clock.
    """
    first = (mark.written - datetime.timedelta(days=1)).date()
    found = []
    for top in _folders(container, ""):
        for day, folder in _days(container, top):
            if day < (first.year, first.month, first.day):
                break
            for blob in container.list_blobs(folder, include=["metadata"]):
                place = (blob.last_modified, blob.name)
                if (
                    (mark.written, mark.name) < place
                    and place[0] <= before
                    and passed_over not in (blob.metadata or {})
                ):
                    found.append(Found(day, blob.last_modified, blob.name))
    return sorted(found, key=lambda each: (each.modified, each.name))


def _days(container: ContainerClient, top: str) -> Iterator[tuple[Day, str]]:
    """The day folders below one folder, newest first."""
    for year in _numbers(container, top):
        for month in _numbers(container, f"{top}{year}/"):
            for day in _numbers(container, f"{top}{year}/{month}/"):
                yield (int(year), int(month), int(day)), f"{top}{year}/{month}/{day}/"


def _numbers(container: ContainerClient, prefix: str) -> list[str]:
    """Names of folders that are numbers, greatest first, as they are written."""
    names = [folder.removeprefix(prefix).rstrip("/") for folder in _folders(container, prefix)]
    return sorted((name for name in names if name.isascii() and name.isdigit()), key=int, reverse=True)


def _folders(container: ContainerClient, prefix: str) -> list[str]:
    return [each.name for each in container.walk_blobs(prefix) if isinstance(each, BlobPrefix)]


def _blobs(container: ContainerClient, day: Day, folder: str) -> Iterator[Found]:
    for blob in container.list_blobs(folder):
        yield Found(day, blob.last_modified, blob.name)
