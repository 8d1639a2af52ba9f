"""Fills a storage account with records of promoted images, through the product's own store."""

from __future__ import annotations

import concurrent.futures
import datetime
import hashlib
import multiprocessing
from collections.abc import Sequence

from benchmarks.stage import GATES
from local import world
from tidegate import gates
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.storage.storage_account import NAME, storage
from tidegate.adapters.storage.table_state import TableState
from tidegate.composition import CODEC, SystemClock, flows
from tidegate.flows.base import Request
from tidegate.flows.images.image_gate import ImageGate
from tidegate.flows.images.image_promotion import key
from tidegate.flows.images.image_states import Claim, Promoted, Work
from tidegate.flows.images.promotion_record import Verdict
from tidegate.ports import AuditRow
from tidegate.records import Record, Records
from tidegate.references import ImageRef

TABLE = "tidegate"
"""Prefix of the product's tables; the default of its settings."""

_WRITERS = 2
"""Processes: what an SDK does for a write takes longer than the write."""
_YEAR = datetime.timedelta(days=365)


def fill(connection: str, count: int) -> None:
    """Write so many records of images pushed in the course of a year, each with an audit row and an entry in the list."""
    now = datetime.datetime.now(datetime.UTC)
    pushed = [now - _YEAR * number / count for number in range(count)]
    _write_all(connection, pushed[:1])  # alone: the first write makes the tables
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(_WRITERS, mp_context=context) as writers:
        for done in [writers.submit(_write_all, connection, pushed[1 + n :: _WRITERS]) for n in range(_WRITERS)]:
            done.result()


def opened(connection: str) -> TableState:
    """The records of a stack."""
    return TableState(storage({NAME: connection}, credential).tables(), TABLE)


def _write_all(connection: str, pushed: Sequence[datetime.datetime]) -> None:
    store = opened(connection)
    records = Records(flows(world.HEALTHY), store, CODEC, SystemClock())
    gate = gates.load(GATES).match("tested/stored", "v1")
    if gate is None:
        raise RuntimeError("no gate matches")
    for at in pushed:
        _write(records, gate, at)


def _write(records: Records, gate: ImageGate, at: datetime.datetime) -> None:
    identity = at.isoformat()
    digest = f"sha256:{hashlib.sha256(identity.encode()).hexdigest()}"
    image = ImageRef(world.STAGING, f"tested/stored-{at.day}", digest)
    tag = f"v{at:%Y%m%d%H%M%S}"
    request = Request(identity, "a push to staging", f"pushed as {tag}", at)
    target = image.within(world.HEALTHY, gate.promote.target(image.repository))
    work = Work(image, gate, (Claim(tag, f"{identity}/1", "placed", announced=True),), (request,), target=target)
    log = f"https://evidence/{tag}.log"
    verdict = Verdict("passed", at, "ca1", at, log, digest.removeprefix("sha256:"))
    record = Record(Promoted(work, verdict, 7, digest), at, numbered=12, audited=1)
    audit = AuditRow(1, at, "a push to staging", "ImagePushed", "pushed", "Unseen", "Inspecting", "")
    name = key(image, gate)
    records.save(name, record, "", (audit,))
    records.list(name, record)
