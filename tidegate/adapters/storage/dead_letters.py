"""Dead letters in a blob container: our own, and those that Event Grid writes beside them, read alike.

parked/2026/3/2/<id>.json                       ours: {"id", "reason", "at", "body"}
parked-ids/<id>                                 where it is, so that an id is parked once whatever the day
<EVENT-SUBSCRIPTION>/2026/3/2/14/<guid>.json    Event Grid's: one event or several
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import re
from collections.abc import Sequence

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from tidegate.adapters.azure_calls import translated
from tidegate.adapters.storage import dead_letter_days as days
from tidegate.adapters.storage import event_grid_letters, write_once
from tidegate.adapters.storage.dead_letter_days import Found
from tidegate.adapters.storage.event_grid_letters import Place
from tidegate.errors import TransientError
from tidegate.flows.alerts.letter_watch import Letter, Letters, Mark
from tidegate.ports import Parked

_OWN = "parked"
_POINTERS = "parked-ids"
_MAX_BYTES = 16 * 1024 * 1024
"""Most bytes read of one blob; an event has at most 1 MB, and Event Grid may put several into one."""
_ATTEMPTS = 4
_REPLAYED = "replayed"
"""Metadata of a blob of which something was taken out: written later, but no news."""
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,128}\Z|h\.[0-9a-f]{64}\Z")


class DeadLetters:
    """The dead-letter half of the Evidence port, over one container, which is made when it is missing."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def park(self, id: str, reason: str, body: str, at: datetime.datetime) -> bool:
        """True if this call wrote the letter: what a call left half done is completed by the next, which then says True."""
        stem = _stem(id)
        name = f"{_OWN}/{at.year}/{at.month}/{at.day}/{stem}.json"
        letter = json.dumps({"id": stem, "reason": reason, "at": at.isoformat(), "body": body}, ensure_ascii=False)
        with translated(f"parking {stem}"):
            if not write_once.create(self._container, f"{_POINTERS}/{stem}", name.encode(), "text/plain"):
                name = self._pointed(stem) or name
            return write_once.create(self._container, name, letter.encode(), "application/json")

    def page(self, limit: int, cursor: str | None) -> tuple[Sequence[Parked], str | None]:
        """Newest day first, and within a day the blob written last. `limit` counts blobs: one with several events gives all."""
        start = None if cursor is None else days.after(cursor)
        letters: list[Parked] = []
        with translated("dead letters"), contextlib.suppress(ResourceNotFoundError):  # no container, no letters
            found = days.newest_first(self._container, start)
            for number, blob in enumerate(found, start=1):
                letters += self._letters(blob)
                if number == limit:
                    return letters, blob.cursor if next(found, None) else None
        return letters, None

    def arrived(self, after: Mark, before: datetime.datetime, limit: int) -> Letters:
        """Lists the days since the mark, and reads the blobs that are told of."""
        with translated("dead letters"):
            found: Sequence[Found] = ()
            with contextlib.suppress(ResourceNotFoundError):  # no container, no letters
                found = days.written_between(self._container, after, before, _REPLAYED)
            told = found[:limit]
            letters = tuple(letter for blob in told if (letter := self._letter(blob)))
        mark = Mark(told[-1].modified, told[-1].name) if told else after
        return Letters(letters, mark, len(found) > limit)

    def _letter(self, blob: Found) -> Letter | None:
        """None: none of Event Grid's, or gone meanwhile."""
        events = self._letters(blob) if event_grid_letters.is_letter(blob.name) else ()
        if not events:
            return None
        return Letter(blob.name.removesuffix(".json"), events[0].id, len(events), events[0].reason, blob.modified)

    def one(self, id: str) -> Parked | None:
        place = event_grid_letters.place(id)
        with translated(f"dead letter {id!a}"):
            if place is None:
                name = self._pointed(_stem(id))
                return self._own(name) if name else None
            letters = event_grid_letters.letters(place.name, self._read(place.name) or b"[]", _EPOCH)
        return next((each for each in letters if each.id == id), None)

    def remove(self, id: str) -> None:
        place = event_grid_letters.place(id)
        with translated(f"dead letter {id!a}"):
            if place is not None:
                self._remove_event(place)
                return
            stem = _stem(id)
            name = self._pointed(stem)
            if name:
                self._delete(name)
                self._delete(
                    f"{_POINTERS}/{stem}"
                )  # last: a pointer to nothing is harmless, a letter without one is lost

    def _letters(self, blob: Found) -> Sequence[Parked]:
        if blob.name.startswith(f"{_OWN}/"):
            own = self._own(blob.name)
            return [own] if own else []
        if not event_grid_letters.is_letter(blob.name):
            return []
        return event_grid_letters.letters(blob.name, self._read(blob.name) or b"[]", blob.modified)

    def _own(self, name: str) -> Parked | None:
        data = self._read(name)
        if data is None:
            return None
        try:
            fields = json.loads(data)
            at = datetime.datetime.fromisoformat(fields["at"])
            return Parked(fields["id"], fields["reason"], at, fields["body"])
        except (ValueError, TypeError, KeyError):  # somebody else wrote it: shown, so that it is seen
            stem = name.rpartition("/")[2].removesuffix(".json")
            return Parked(stem, "not a letter of Tidegate's", _EPOCH, data.decode(errors="replace"))

    def _pointed(self, stem: str) -> str | None:
        name = self._read(f"{_POINTERS}/{stem}")
        return None if name is None else name.decode()

    def _read(self, name: str) -> bytes | None:
        return write_once.read(self._container, name, _MAX_BYTES)

    def _delete(self, name: str) -> None:
        with contextlib.suppress(ResourceNotFoundError):
            self._container.delete_blob(name)

    def _remove_event(self, place: Place) -> None:
        """Take one event out of Event Grid's blob, and the blob away with its last one."""
        blob = self._container.get_blob_client(place.name)
        for _ in range(_ATTEMPTS):
            try:
                stored = blob.download_blob()
                rest = event_grid_letters.without(stored.readall(), place.mark)
                etag, unchanged = stored.properties.etag, MatchConditions.IfNotModified
                if rest is None:
                    blob.delete_blob(etag=etag, match_condition=unchanged)
                else:
                    marked = {_REPLAYED: "yes"}
                    blob.upload_blob(rest, overwrite=True, etag=etag, match_condition=unchanged, metadata=marked)
            except ResourceModifiedError:
                continue
            except ResourceNotFoundError:
                return
            return
        raise TransientError(f"dead letter {place.name}: others kept changing it")


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def _stem(id: str) -> str:
    """An id as a name of blobs: itself if that is safe, else its hash; so a foreign id is never a path."""
    return id if _PLAIN.match(id) else f"h.{hashlib.sha256(id.encode(errors='surrogatepass')).hexdigest()}"
