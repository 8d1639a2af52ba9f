"""Fills a storage account with records of promoted images, as the product stores them."""

from __future__ import annotations

import datetime
import hashlib
import itertools
from collections.abc import Iterator

from azure.data.tables import TableClient, UpdateMode

from benchmarks.stage import GATES
from local import world
from tidegate import gates
from tidegate.adapters import table_entities
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.storage_account import NAME, storage
from tidegate.adapters.table_state import TableState
from tidegate.composition import CODEC, SystemClock, flows
from tidegate.flows.image_gate import ImageGate
from tidegate.flows.image_promotion import key
from tidegate.flows.image_states import Claim, Promoted, Work
from tidegate.flows.promotion_record import Request, Verdict
from tidegate.ports import AuditRow, Summary
from tidegate.records import Record, Records, record_id
from tidegate.references import ImageRef

TABLE = "tidegate"
"""Prefix of the product's tables; the default of its settings."""

_LISTED_AT_ONCE = 50
"""List entries a transaction: each is two rows, and the service takes 100."""


def fill(connection: str, count: int) -> None:
    """Write so many records of images, each with an audit row and an entry in the list."""
    service = storage({NAME: connection}, credential).tables()
    store = TableState(service, TABLE)
    records = Records(flows(world.HEALTHY), store, CODEC, SystemClock())
    gate = gates.load(GATES).match("tested/stored", "v1")
    if gate is None:
        raise RuntimeError("no gate matches")
    summaries = (_write(records, gate, number) for number in range(count))
    store.list_entry(next(summaries))  # makes the table
    with service.get_table_client(f"{TABLE}list") as table:
        for entries in itertools.batched(summaries, _LISTED_AT_ONCE, strict=False):
            _list(table, entries)


def _write(records: Records, gate: ImageGate, number: int) -> Summary:
    digest = f"sha256:{hashlib.sha256(f'stored {number}'.encode()).hexdigest()}"
    image = ImageRef(world.STAGING, f"tested/stored-{number % 50}", digest)
    now = datetime.datetime.now(datetime.UTC)
    request = Request(f"event-{number}", "a push to staging", f"pushed as v{number}", now)
    claim = Claim(f"v{number}", f"{now.isoformat()}/{number}", "placed", announced=True)
    work = Work(image, gate, (claim,), (request,))
    log = f"https://evidence/{number}.log"
    verdict = Verdict("passed", now, f"ca{number}", now, log, digest.removeprefix("sha256:"))
    record = Record(Promoted(work, verdict, 7, digest), now, numbered=12, audited=1)
    audit = AuditRow(1, now, "a push to staging", "ImagePushed", "pushed", "Unseen", "Inspecting", "")
    name = key(image, gate)
    records.save(name, record, "", (audit,))
    return Summary(name, record_id(name), now, now, "Promoted", image.repository, (claim.tag,), digest, "")


def _list(table: TableClient, summaries: tuple[Summary, ...]) -> None:
    """Both rows of each entry, which TableState would write in a transaction for each."""
    table.submit_transaction(
        [("upsert", row, {"mode": UpdateMode.REPLACE}) for each in summaries for row in _rows(each)]
    )


def _rows(summary: Summary) -> Iterator[dict[str, object]]:
    for place in (f"i{summary.id}", table_entities.list_order(summary)):
        yield table_entities.list_fields(summary) | {"PartitionKey": table_entities.LIST, "RowKey": place}
