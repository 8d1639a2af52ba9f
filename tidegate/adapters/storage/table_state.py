"""Records, audit rows and the list in Azure Table Storage.

Table `<prefix>state`, one partition a record (sha256 of its key, because keys hold `/` and `#`, which Tables refuse):

    RowKey record            key, flow, wake_at, body0, body1, ...
    RowKey audit-00000001    one transition; written in the same transaction as the record

Table `<prefix>list`, one partition a day, so that none grows without end:

    t<inverted day>, <inverted time>-<id>    one entry; the order of the keys is the order of the list, newest first
    i<id>, pointer                           the place of an entry, to find it by two point reads

Table `<prefix>watched` has a row for each record that may have something to do, so that finding them never reads the others.

A pointer is written before its entry. One that leads nowhere is of a worker that died; whoever lists the record next repairs it.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableClient, TableErrorCode, TableServiceClient, UpdateMode

from tidegate.adapters.azure_calls import translated
from tidegate.adapters.storage import table_entities as entities
from tidegate.errors import MalformedEvent, StateConflict, TransientError
from tidegate.ports import AuditRow, Row, Summary, Watched

_CONFLICTS = {404: StateConflict, 409: StateConflict, 412: StateConflict}  # 404: the record to replace is gone
_MAX_EMPTY_PAGES = 10
_ATTEMPTS = 4


class TableState:
    """The StateStore port over two tables, which are made when a write finds them missing."""

    def __init__(self, service: TableServiceClient, prefix: str) -> None:
        self._states = service.get_table_client(f"{prefix}state")
        self._entries = service.get_table_client(f"{prefix}list")
        self._watched = service.get_table_client(f"{prefix}watched")

    def load(self, key: str) -> Row | None:
        entity = _point_read(self._states, entities.partition_of(key), entities.RECORD)
        return None if entity is None else entities.row(entity)

    def save(self, row: Row, audit: Sequence[AuditRow]) -> str:
        record = entities.record_entity(row)
        audits = [("create", entities.audit_entity(row.key, each)) for each in audit]
        operations = [_operation(record, row.etag), *audits]
        results = _written(self._states, lambda: self._states.submit_transaction(operations), f"state of {row.key}")
        return str(results[0]["etag"])

    def history(self, key: str) -> Sequence[AuditRow]:
        rows = "PartitionKey eq @partition and RowKey ge 'audit-' and RowKey lt 'audit.'"
        query = self._states.query_entities(rows, parameters={"partition": entities.partition_of(key)})
        with _reading(f"history of {key}"):
            return [entities.audit_row(each) for each in query]
        return []

    def watch(self, key: str, at: datetime.datetime) -> None:
        entity = entities.watched_entity(key, at)
        _written(self._watched, lambda: self._watched.upsert_entity(entity, UpdateMode.REPLACE), f"watch of {key}")

    def watched(self, before: datetime.datetime) -> Iterable[Watched]:
        query = self._watched.query_entities("at lt @before", parameters={"before": before})
        with _reading("watched records"):
            yield from map(entities.watched, query)

    def unwatch(self, watched: Watched) -> None:
        partition, row = entities.watched_place(watched.key)
        with contextlib.suppress(StateConflict), translated(f"watch of {watched.key}", _CONFLICTS):
            self._watched.delete_entity(
                partition, row, etag=watched.etag, match_condition=MatchConditions.IfNotModified
            )

    def list_entry(self, summary: Summary) -> None:
        """An entry older than the stored one is dropped, so a late one never hides a newer one."""
        for _ in range(_ATTEMPTS):
            pointer, stored = self._entry(summary.id)
            if stored is not None and entities.summary(stored).updated > summary.updated:
                return
            try:
                self._renew(summary, pointer, stored)
            except StateConflict:
                continue
            return
        raise TransientError(f"list entry of {summary.key}: others kept changing it")

    def listed(
        self, *, state: str | None, repository: str | None, limit: int, cursor: str | None, flow: str | None = None
    ) -> tuple[Sequence[Summary], str | None]:
        """A page may be shorter than `limit` although there is a next one: the service ends pages where it likes."""
        clauses = ["PartitionKey ge 't'", "PartitionKey lt 'u'"]
        values: dict[str, str] = {}
        for name, value in (("state", state), ("repository", repository)):
            if value is not None:
                clauses.append(f"{name} eq @{name}")
                values[name] = value
        if flow is not None:  # keys begin with the flow's name and a colon, which a semicolon follows
            clauses += ["key ge @first", "key lt @after"]
            values |= {"first": f"{flow}:", "after": f"{flow};"}
        query = self._entries.query_entities(
            " and ".join(clauses), parameters=values, results_per_page=min(limit, 1000)
        )
        pages = query.by_page(None if cursor is None else _continuation(cursor))
        with _reading("the list", {400: MalformedEvent} if cursor is not None else None):
            page, token = _first_filled(pages)
            return [entities.summary(each) for each in page], None if token is None else _cursor(token)
        return [], None

    def find(self, id: str) -> Summary | None:
        if not id or not id.isprintable() or set(id) & set("/\\#?"):
            return None
        _, entity = self._entry(id)
        return None if entity is None else entities.summary(entity)

    def _entry(self, id: str) -> tuple[entities.Entity | None, entities.Entity | None]:
        """The pointer of an id, and the entry that it leads to."""
        pointer = _point_read(self._entries, *entities.pointer_place(id))
        return pointer, None if pointer is None else _point_read(self._entries, *entities.pointed(pointer))

    def _renew(self, summary: Summary, pointer: entities.Entity | None, stored: entities.Entity | None) -> None:
        """Write the entry in the place of the stored one. StateConflict: somebody else wrote meanwhile."""
        what = f"list entry of {summary.key}"
        stays = pointer is not None and entities.pointed(pointer) == entities.list_place(summary)
        if not stays:
            _put(self._entries, entities.pointer_entity(summary), pointer, what)
        _put(self._entries, entities.list_entity(summary), stored if stays else None, what)
        if stored is not None and not stays:
            with translated(what):
                self._entries.delete_entity(stored["PartitionKey"], stored["RowKey"])


def _point_read(table: TableClient, partition: str, row: str) -> entities.Entity | None:
    with translated(f"{table.table_name} {row}"):
        try:
            return table.get_entity(partition, row)
        except ResourceNotFoundError:  # the row, or the whole table
            return None


@contextlib.contextmanager
def _reading(what: str, on: Mapping[int, type[MalformedEvent]] | None = None) -> Iterator[None]:
    """Around a query: a table that is not there yet holds nothing."""
    with translated(what, on), contextlib.suppress(ResourceNotFoundError):
        yield


def _written[T](table: TableClient, write: Callable[[], T], what: str) -> T:
    """Write; a missing table is made first. StateConflict: a version or a new row was not as expected."""
    with translated(what, _CONFLICTS):
        try:
            return write()
        except HttpResponseError as error:
            code = getattr(error, "error_code", None)
            if error.status_code != 404 or code not in (
                None,
                TableErrorCode.TABLE_NOT_FOUND,
            ):  # the emulator says no code
                raise
        with contextlib.suppress(ResourceExistsError):
            table.create_table()
        return write()


def _put(table: TableClient, entity: entities.Entity, stored: entities.Entity | None, what: str) -> None:
    """Create an entity, or replace the stored one."""
    if stored is None:
        _written(table, lambda: table.create_entity(entity), what)
    else:
        etag, condition = entities.etag(stored), MatchConditions.IfNotModified
        _written(
            table,
            lambda: table.update_entity(entity, UpdateMode.REPLACE, etag=etag, match_condition=condition),
            what,
        )


type _Operation = tuple[Any, ...]


def _operation(entity: entities.Entity, etag: str) -> _Operation:
    """Create an entity, or replace the version with this ETag."""
    if not etag:
        return "create", entity
    return (
        "update",
        entity,
        {"mode": UpdateMode.REPLACE, "etag": etag, "match_condition": MatchConditions.IfNotModified},
    )


def _first_filled(pages: Iterator[Iterator[entities.Entity]]) -> tuple[list[entities.Entity], Mapping[str, str] | None]:
    """The first page with something in it, or the tenth: a filter that matches little may give empty pages on the way."""
    number = 0
    while True:
        number += 1
        page = list(next(pages, iter(())))
        token = pages.continuation_token  # type: ignore[attr-defined]  # a PageIterator, typed as an Iterator
        if page or token is None or number == _MAX_EMPTY_PAGES:
            return page, token


def _cursor(token: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([token["PartitionKey"], token["RowKey"]]).encode()).decode()


def _continuation(cursor: str) -> Any:
    """The SDK's continuation token: a mapping, although by_page() is typed to take text."""
    try:
        partition, row = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, TypeError) as error:  # binascii.Error is a ValueError
        raise MalformedEvent("cursor: not one of ours") from error
    if not isinstance(partition, str) or not isinstance(row, str):
        raise MalformedEvent("cursor: not one of ours")
    return {"PartitionKey": partition, "RowKey": row}
