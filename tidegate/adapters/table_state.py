"""Records, audit rows and the list in Azure Table Storage.

Table `<prefix>state`, one partition a record (sha256 of its key, because keys hold `/` and `#`, which Tables refuse):

    RowKey record            key, flow, wake_at, body0, body1, ...
    RowKey audit-00000001    one transition; written in the same transaction as the record

Table `<prefix>list`, one partition, each entry twice, in one transaction: `t<inverted time>-<id>` for the order, newest
first, and `i<id>` to be found by a point read.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableClient, TableErrorCode, TableServiceClient, UpdateMode

from tidegate.adapters import table_entities as entities
from tidegate.adapters.azure_calls import translated
from tidegate.errors import MalformedEvent, StateConflict, TransientError
from tidegate.ports import AuditRow, Row, Summary

_CONFLICTS = {404: StateConflict, 409: StateConflict, 412: StateConflict}  # 404: the record to replace is gone
_MAX_EMPTY_PAGES = 10
_ATTEMPTS = 4


class TableState:
    """The StateStore port over two tables, which are made when a write finds them missing."""

    def __init__(self, service: TableServiceClient, prefix: str) -> None:
        self._states = service.get_table_client(f"{prefix}state")
        self._entries = service.get_table_client(f"{prefix}list")

    def load(self, key: str) -> Row | None:
        entity = _point_read(self._states, entities.partition_of(key), entities.RECORD)
        return None if entity is None else entities.row(entity)

    def save(self, row: Row, audit: Sequence[AuditRow]) -> str:
        record = entities.record_entity(row)
        audits = [("create", entities.audit_entity(row.key, each)) for each in audit]
        results = _transaction(self._states, [_put(record, row.etag), *audits], f"state of {row.key}")
        return str(results[0]["etag"])

    def history(self, key: str) -> Sequence[AuditRow]:
        rows = "PartitionKey eq @partition and RowKey ge 'audit-' and RowKey lt 'audit.'"
        query = self._states.query_entities(rows, parameters={"partition": entities.partition_of(key)})
        with _reading(f"history of {key}"):
            return [entities.audit_row(each) for each in query]
        return []

    def due(self, before: datetime.datetime, limit: int) -> Iterable[str]:
        query = self._states.query_entities("wake_at lt @before", parameters={"before": before}, select=["key"])
        keys: list[str] = []
        with _reading("records that are due"):
            for entity in query:
                keys.append(str(entity["key"]))
                if len(keys) >= limit:
                    break
        return keys

    def list_entry(self, summary: Summary) -> None:
        """An entry older than the stored one is dropped, so a late one never hides a newer one."""
        for _ in range(_ATTEMPTS):
            stored = _point_read(self._entries, entities.LIST, f"i{summary.id}")
            if stored is not None and entities.summary(stored).updated > summary.updated:
                return
            try:
                _transaction(self._entries, list(_renewal(summary, stored)), f"list entry of {summary.key}")
            except StateConflict:
                continue
            return
        raise TransientError(f"list entry of {summary.key}: others kept changing it")

    def listed(
        self, *, state: str | None, repository: str | None, limit: int, cursor: str | None
    ) -> tuple[Sequence[Summary], str | None]:
        """A page may be shorter than `limit` although there is a next one: the service ends pages where it likes."""
        clauses = ["PartitionKey eq @list", "RowKey ge 't'", "RowKey lt 'u'"]
        values = {"list": entities.LIST}
        for name, value in (("state", state), ("repository", repository)):
            if value is not None:
                clauses.append(f"{name} eq @{name}")
                values[name] = value
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
        entity = _point_read(self._entries, entities.LIST, f"i{id}")
        return None if entity is None else entities.summary(entity)


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


def _transaction(table: TableClient, operations: Sequence[_Operation], what: str) -> Sequence[Mapping[str, Any]]:
    """Write all or nothing; a missing table is made first. StateConflict: a version or a new row was not as expected."""
    with translated(what, _CONFLICTS):
        try:
            return table.submit_transaction(operations)
        except HttpResponseError as error:
            if getattr(error, "error_code", None) != TableErrorCode.TABLE_NOT_FOUND:
                raise
        with contextlib.suppress(ResourceExistsError):
            table.create_table()
        return table.submit_transaction(operations)


type _Operation = tuple[Any, ...]


def _put(entity: entities.Entity, etag: str) -> _Operation:
    """Create an entity, or replace the version with this ETag."""
    if not etag:
        return "create", entity
    return (
        "update",
        entity,
        {"mode": UpdateMode.REPLACE, "etag": etag, "match_condition": MatchConditions.IfNotModified},
    )


def _renewal(summary: Summary, stored: entities.Entity | None) -> Iterator[_Operation]:
    """The operations that put an entry in the place of the stored one, if that is still there."""
    found = entities.list_fields(summary) | {"PartitionKey": entities.LIST, "RowKey": f"i{summary.id}"}
    yield _put(found, entities.etag(stored) if stored else "")
    place = entities.list_order(summary)
    if stored is not None and entities.list_order(entities.summary(stored)) != place:
        yield "delete", {"PartitionKey": entities.LIST, "RowKey": entities.list_order(entities.summary(stored))}
    yield "upsert", found | {"RowKey": place}, {"mode": UpdateMode.REPLACE}


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
