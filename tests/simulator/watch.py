"""What must hold at every moment of a run (the safety invariants), checked after every call of a port.

The numbers are those of the invariants: G general, A images.
"""

from __future__ import annotations

import collections
import datetime
from typing import Any

from tests.fakes import Fault
from tests.fakes.faults import FakePort
from tests.simulator.fibers import Invocation
from tests.simulator.host import Host
from tests.simulator.installation import HEALTHY, NEWER_VERSION, STAGING
from tests.simulator.scenarios import REPOSITORY
from tests.simulator.scenarios import digest as digest_of
from tidegate.adapters import referrer_manifests
from tidegate.events import order_of
from tidegate.flows import image_states as st
from tidegate.flows.promotion_record import Verdict
from tidegate.ports import Row, TestFailed, TestPassed
from tidegate.records import Record
from tidegate.references import ImageRef

MAX_CALLS = 400
"""Port calls of one invocation."""
MAX_ATTEMPT = 60
MAX_RUNS = 15
"""Test runs of one digest: tries, and repetitions after crashes."""

_RANK: dict[type[Any], int] = {
    state: rank
    for rank, state in enumerate(
        (
            st.Unseen,
            st.Inspecting,
            st.Testing,
            st.Importing,
            st.CopyingReferrers,
            st.Attesting,
            st.Tagging,
            st.Locking,
            st.Promoted,
        )
    )
} | {st.Rejected: 9, st.Superseded: 9, st.Ignored: 9, st.Errored: 9}
_AT_DESTINATION = (st.CopyingReferrers, st.Attesting, st.Tagging, st.Locking, st.Promoted)
_EFFECTS = {"start", "stop", "start_import", "copy_referrers", "attach_record", "place_tag", "lock_manifest"}


class Violation(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant


def check(holds: object, invariant: str, message: str) -> None:
    if not holds:
        raise Violation(invariant, message)


class Watch:
    """Looks at the installation after every step, and counts what happened."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.app = host.app
        self.counts: collections.Counter[str] = collections.Counter()
        self.verdicts: dict[str, set[Verdict]] = collections.defaultdict(set)
        self.records: dict[str, Record] = {}
        self._rows: dict[str, Row] = {}
        self._written = 0
        self._published: dict[str, Any] = {}
        self._seen_outcomes = 0
        self._acknowledged: set[str] = set()
        self._firm: dict[str, str] = {}
        self._moved: set[str] = set()
        self._versions: dict[str, str] = {}
        self._fault = Fault.OK

    # Around a call

    def before(self, invocation: Invocation, fault: Fault) -> None:
        """A call is about to take place."""
        _, method = invocation.call
        self._versions = {key: row.etag for key, row in self.app.store.rows.items()}
        if method in _EFFECTS:
            check(invocation.leased, "G5", f"{method} by a worker that does not hold the record")
        if method == "start_import":
            check(invocation.asked == ("ImageRegistry", "exists"), "A6", "an import without a look at the destination")
        check(invocation.calls < MAX_CALLS, "G7", f"{invocation.name} makes more than {MAX_CALLS} calls")
        self._fault = fault

    def after(self, invocation: Invocation) -> None:
        """The call took place, or failed."""
        if invocation.asked == ("StateStore", "save"):
            changed = [key for key, row in self.app.store.rows.items() if self._versions.get(key) != row.etag]
            invocation.leased = bool(changed) and self._record(self.app.store.rows[changed[0]]).lease is not None
            if not changed and self._fault is Fault.OK:
                self.counts["conflicts"] += 1
        self._check_call(self.app.registry)
        self._check_call(self.app.tests)

    def _check_call(self, port: FakePort) -> None:
        if not port.calls:
            return
        method, arguments = port.calls[-1]
        if method == "start_import":
            source, target = arguments
            check(source.digest == target.digest, "A2", f"import of {source} as {target}")  # type: ignore[attr-defined]
        if method in ("start_import", "start"):
            image = arguments[0]
            check(isinstance(image, ImageRef) and self._is_pushed(image.digest), "A2", f"{method} of {image}")

    # After every choice

    def look(self) -> None:
        """Check everything that changed since the last look."""
        self.app.registry.settle()
        writes = self.app.registry.writes
        while self._written < len(writes):
            self._written += 1
            self._check_write(*writes[self._written - 1])
        for key, row in self.app.store.rows.items():
            before = self._rows.get(key)
            if before is None or before.etag != row.etag:
                self._rows[key] = row
                self._check_row(key, row)
        self._check_outcomes()
        self._check_events()

    # The destination

    def _check_write(self, what: str, where: str) -> None:
        match what, where.split(" "):
            case "manifest", [place] if place.startswith(HEALTHY):
                digest = place.partition("@")[2]
                check(
                    self._is_approved(digest), "A1", f"{self._name(digest)} is at the destination without a passed test"
                )
            case "tag", [place, digest]:
                self._check_tag(place.rpartition(":")[2], digest)
            case _:
                pass

    def _check_tag(self, tag: str, digest: str) -> None:
        there = self.app.registry.repository(HEALTHY, REPOSITORY)
        name = self._name(digest)
        check(digest in there.manifests, "A3", f"{tag} names {name}, which is not there")
        check(
            self._is_approved(digest) and any((digest, tag) == push for push in self._pushes()),
            "A4",
            f"{tag} names {name}, which was not approved for it",
        )
        attached = self.app.registry.referrers(ImageRef(HEALTHY, REPOSITORY, digest))
        check(
            any(map(referrer_manifests.is_record, attached)), "A3", f"{tag} names {name} before its record is attached"
        )
        if self.host.scenario.signed:
            signed = any(not referrer_manifests.is_record(each) for each in attached)
            check(signed, "A9", f"{tag} names {name} before its signature is there")
        if self.host.scenario.gate.promote.tags == "immutable":
            first = self._firm.setdefault(tag, digest)
            check(first == digest, "A5", f"the immutable tag {tag} moves from {self._name(first)} to {name}")
        self.counts["tag writes"] += 1
        self.counts["tag moves"] += tag in self._moved
        self._moved.add(tag)

    # Records

    def _check_row(self, key: str, row: Row) -> None:
        record = self._record(row)
        before = self.records.get(key)
        self.records[key] = record
        check(self._is_expected(key), "A11", f"{key} is a record nobody asked for")
        self._check_audit(key, record)
        if before is not None and before.lease and record.lease and before.lease.holder != record.lease.holder:
            self.counts["lost leases"] += 1
        self.counts["retries"] += any(entry.tries for entry in record.outbox)
        if key.startswith("image-promotion"):
            first = before.state if before else st.Unseen()
            self._check_state(key, first, record.state)
            is_audited = before is None or record.audited > before.audited
            attempts = [getattr(each, "attempt", 0) for each in (first, record.state)]
            check(
                is_audited or attempts[0] == attempts[1], "G10", f"{key[-80:]}: attempt {attempts[1]} has no audit row"
            )

    def _check_state(self, key: str, before: Any, after: Any) -> None:
        name = f"{key[-80:]}: {type(before).__name__} -> {type(after).__name__}"
        first = getattr(before, "attempt", 0)
        last = getattr(after, "attempt", 0)
        check(first <= last <= first + 1, "G4", f"{name}: attempt {first} -> {last}")
        check(last <= MAX_ATTEMPT, "G7", f"{name}: attempt {last}")
        if _RANK[type(after)] < _RANK[type(before)]:
            audit = self.app.store.audit[key]
            what = audit[max(audit)].what
            check(what in ("ImagePushed", "PromotionRequested"), "G4", f"{name} by {what}")
        self.counts["superseded"] += isinstance(after, st.Superseded) and not isinstance(before, st.Superseded)
        if isinstance(after, _AT_DESTINATION):
            there = self.app.registry.repository(HEALTHY, REPOSITORY).manifests
            check(after.work.image.digest in there, "A7", f"{name}: the image is not at the destination")
        verdict = getattr(after, "verdict", None)
        if verdict is not None:
            self._check_verdict(key, after.work.image.digest, verdict)

    def _check_verdict(self, key: str, digest: str, verdict: Verdict) -> None:
        self.verdicts[key].add(verdict)
        check(len(self.verdicts[key]) == 1, "G4", f"{key[-80:]} has another verdict than before: {verdict}")
        run = self.app.tests.runs.get(verdict.run)
        wanted = TestPassed() if verdict.kind == "passed" else TestFailed("exit code 1")
        is_true = run is not None and run.image.digest == digest and self.app.tests._status(run.id) == wanted
        check(is_true, "A8", f"verdict {verdict.kind} of {self._name(digest)} is not what run {verdict.run!r} came to")
        log = f"tests/{digest.removeprefix('sha256:')}/{verdict.run}.log"
        check(log in self.app.evidence.blobs, "G10", f"{log} is named by the verdict and not kept")
        runs = sum(run.image.digest == digest for run in self.app.tests.runs.values())
        check(runs <= MAX_RUNS, "G7", f"{runs} runs of {self._name(digest)}")

    def _check_audit(self, key: str, record: Record) -> None:
        rows = self.app.store.audit.get(key, {})
        check(sorted(rows) == list(range(1, record.audited + 1)), "G10", f"{key[-80:]}: audit rows {sorted(rows)}")
        if rows:
            last = rows[record.audited]
            check(last.after == type(record.state).__name__, "G10", f"{key[-80:]}: the audit ends with {last.after}")
            before = rows[record.audited - 1].after if record.audited > 1 else last.before
            check(last.before == before, "G10", f"{key[-80:]}: the audit goes from {before} to {last.before}")

    # Others

    def _check_outcomes(self) -> None:
        published = self.app.topic.published
        while self._seen_outcomes < len(published):
            outcome = published[self._seen_outcomes]
            self._seen_outcomes += 1
            first = self._published.setdefault(outcome.id, outcome)
            check(first == outcome, "G10", f"{outcome.id} is published with another content")
            self.counts["published twice"] += first is not outcome

    def _check_events(self) -> None:
        for event in self.host.events:
            if event.acknowledged and event.name not in self._acknowledged:
                self._acknowledged.add(event.name)
                check(event.name.startswith("echo") or self._is_durable(event.body), "G1", f"{event.name} was lost")

    def _is_durable(self, body: dict[str, Any]) -> bool:
        target = body["data"]["target"]
        for key, record in self.records.items():
            if target["digest"] in key and key.startswith("image-promotion"):
                claims = record.state.work.claims  # type: ignore[attr-defined]  # it was pushed, so it is seen
                if any(claim.tag == target["tag"] and claim.order >= _order(body) for claim in claims):
                    return True
        return False

    # What is true

    def _record(self, row: Row) -> Record:
        record = self.app.records.codec.decode(row.body)
        assert isinstance(record, Record)
        return record

    def _is_approved(self, digest: str) -> bool:
        """Whether a record holds a passing verdict; verdicts themselves are checked against the runs when they appear."""
        return any(
            verdict.kind == "passed" for key, verdicts in self.verdicts.items() if digest in key for verdict in verdicts
        )

    def _pushes(self) -> list[tuple[str, str]]:
        return [(digest_of(letter), tag) for letter, tag in self.host.scenario.pushes[: self.host.pushed]]

    def _is_pushed(self, digest: str) -> bool:
        return any(digest == pushed for pushed, _ in self._pushes())

    def _is_expected(self, key: str) -> bool:
        versions = (self.host.scenario.gate.version, NEWER_VERSION)
        images = {
            f"image-promotion:{STAGING}/{REPOSITORY}@{digest}#{version}"
            for digest, _ in self._pushes()
            for version in versions
        }
        return key in images | {f"tag-ownership:{HEALTHY}/{REPOSITORY}:{tag}" for _, tag in self._pushes()}

    def _name(self, digest: str) -> str:
        return f"image {self.host.scenario.letter(digest)}"


def _order(body: dict[str, Any]) -> str:
    return order_of(datetime.datetime.fromisoformat(body["data"]["timestamp"]), body["id"])
