"""What must hold of records whenever one was written: they move forward, verdicts are true and stay, the audit is complete."""

from __future__ import annotations

import collections
from typing import Any

from tests.simulator.installation import HEALTHY, Installation
from tests.simulator.invariants import Truth, check, short
from tests.simulator.scenarios import REPOSITORY
from tidegate.flows.images import image_states as st
from tidegate.flows.images.promotion_record import Verdict
from tidegate.ports import Row
from tidegate.records import Record

MAX_ATTEMPT = 60
MAX_RUNS = 15
"""Test runs of one digest: tries, and repetitions after crashes."""

_RANK: dict[type[Any], int] = {
    st.Unseen: 0,
    st.Inspecting: 1,
    st.Testing: 2,
    st.Importing: 3,
    st.CopyingReferrers: 4,
    st.Attesting: 5,
    st.Tagging: 6,
    st.Locking: 7,
    st.Promoted: 8,
    st.Rejected: 9,
    st.Superseded: 9,
    st.Ignored: 9,
    st.Errored: 9,
}
_AT_DESTINATION = (st.CopyingReferrers, st.Attesting, st.Tagging, st.Locking, st.Promoted)


class RecordWatch:
    """Compares every record with what it was."""

    def __init__(self, app: Installation, truth: Truth, counts: collections.Counter[str]) -> None:
        self._app = app
        self._truth = truth
        self._counts = counts
        self.current: dict[str, Record] = {}
        self.verdicts: dict[str, set[Verdict]] = collections.defaultdict(set)

    def look(self, key: str, row: Row) -> None:
        """A record was written."""
        record = self._app.record(row)
        before = self.current.get(key)
        self.current[key] = record
        check(self._truth.is_expected(key), "A11", f"{key} is a record nobody asked for")
        self._check_audit(key, record)
        if before is not None and before.lease and record.lease and before.lease.holder != record.lease.holder:
            self._counts["lost leases"] += 1
        self._counts["retries"] += any(entry.tries for entry in record.outbox)
        if key.startswith("image-promotion"):
            self._check_image(key, before, record)

    def is_approved(self, digest: str) -> bool:
        """Whether a record holds a passing verdict on the digest; each was compared with its run when it appeared."""
        return any(
            verdict.kind == "passed" for key, verdicts in self.verdicts.items() if digest in key for verdict in verdicts
        )

    def _check_image(self, key: str, before: Record | None, record: Record) -> None:
        earlier: Any = before.state if before else st.Unseen()
        state: Any = record.state
        name = f"{short(key)}: {type(earlier).__name__} -> {type(state).__name__}"
        first, last = getattr(earlier, "attempt", 0), getattr(state, "attempt", 0)
        check(first <= last <= first + 1, "G4", f"{name}: attempt {first} -> {last}")
        check(last <= MAX_ATTEMPT, "G7", f"{name}: attempt {last}")
        is_audited = before is None or record.audited > before.audited
        check(is_audited or first == last, "G10", f"{name}: attempt {last} has no audit row")
        if _RANK[type(state)] < _RANK[type(earlier)]:
            what = self._app.store.audit[key][record.audited].what
            check(what in ("ImagePushed", "PromotionRequested"), "G4", f"{name} by {what}")
        self._counts["superseded"] += isinstance(state, st.Superseded) and not isinstance(earlier, st.Superseded)
        if isinstance(state, _AT_DESTINATION):
            there = self._app.registry.repository(HEALTHY, REPOSITORY).manifests
            check(state.work.image.digest in there, "A7", f"{name}: the image is not at the destination")
        verdict = getattr(state, "verdict", None)
        if verdict is not None and verdict not in self.verdicts[key]:
            self._check_verdict(key, state.work.image.digest, verdict)

    def _check_verdict(self, key: str, digest: str, verdict: Verdict) -> None:
        self.verdicts[key].add(verdict)
        name = f"{short(key)}: verdict {verdict.kind} by run {verdict.run!r}"
        check(len(self.verdicts[key]) == 1, "G4", f"{name}, and there was another before")
        check(self._truth.agrees(digest, verdict), "A8", f"{name} is not what the run came to")
        log = f"tests/{digest.removeprefix('sha256:')}/{verdict.run}.log"
        check(log in self._app.evidence.blobs, "G10", f"{name}: {log} is not kept")
        check(self._truth.runs(digest) <= MAX_RUNS, "G7", f"{name}: {self._truth.runs(digest)} runs")

    def _check_audit(self, key: str, record: Record) -> None:
        rows = self._app.store.audit.get(key, {})
        check(len(rows) == record.audited, "G10", f"{short(key)}: audit rows {sorted(rows)}")
        if record.audited:
            last = rows[record.audited]
            check(last.after == type(record.state).__name__, "G10", f"{short(key)}: the audit ends with {last.after}")
            before = rows[record.audited - 1].after if record.audited > 1 else last.before
            check(last.before == before, "G10", f"{short(key)}: the audit goes from {before} to {last.before}")
