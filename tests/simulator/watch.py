"""What must hold at every moment of a run (the safety invariants), checked after every call of a port."""

from __future__ import annotations

import collections
import datetime
from typing import Any

from tests.fakes import Fault
from tests.fakes.faults import FakePort
from tests.simulator.fibers import Invocation
from tests.simulator.host import Host
from tests.simulator.installation import HEALTHY
from tests.simulator.invariants import Truth, check
from tests.simulator.scenarios import REPOSITORY
from tests.simulator.watch_records import RecordWatch
from tidegate.adapters.registry import referrer_manifests
from tidegate.events import order_of
from tidegate.references import ImageRef

MAX_CALLS = 400
"""Port calls of one invocation."""

_EFFECTS = {"start", "stop", "start_import", "copy_referrers", "attach_record", "place_tag", "lock_manifest"}
_SAVE = ("StateStore", "save")


class Watch:
    """Looks at the installation after every step, and counts what happened."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.app = host.app
        self.counts: collections.Counter[str] = collections.Counter()
        self.truth = Truth(self.app)
        self.records = RecordWatch(self.app, self.truth, self.counts)
        self._etags: dict[str, str] = {}
        self._written = 0
        self._published: dict[str, Any] = {}
        self._outcomes = 0
        self._acknowledged: set[str] = set()
        self._tags: dict[str, str] = {}
        """What each tag at the destination was made to name first."""

    # Around a call

    def before(self, invocation: Invocation) -> None:
        """A call is about to take place."""
        method = invocation.call[1]
        if method in _EFFECTS:
            check(invocation.leased, "G5", f"{method} by a worker that does not hold the record")
        if method == "start_import":
            check(invocation.asked == ("ImageRegistry", "exists"), "A6", "an import without a look at the destination")
        check(invocation.calls < MAX_CALLS, "G7", f"{invocation.name} makes more than {MAX_CALLS} calls")

    def after(self, invocation: Invocation, fault: Fault) -> None:
        """The call took place, or failed."""
        changed = self._changed()
        if invocation.asked == _SAVE:
            rows = self.app.store.rows
            invocation.leased = any(self.app.record(rows[key]).lease is not None for key in changed)
            self.counts["conflicts"] += not changed and fault is Fault.OK
        for key in changed:
            self.records.look(key, self.app.store.rows[key])
        self._check_call(self.app.registry)
        self._check_call(self.app.tests)

    def _changed(self) -> list[str]:
        rows = self.app.store.rows
        changed = [key for key, row in rows.items() if self._etags.get(key) != row.etag]
        self._etags.update({key: rows[key].etag for key in changed})
        return changed

    def _check_call(self, port: FakePort) -> None:
        method, arguments = port.calls[-1] if port.calls else ("", ())
        if method == "start_import":
            source, target = arguments
            check(source.digest == target.digest, "A2", f"import of {source} as {target}")  # type: ignore[attr-defined]
        if method in ("start_import", "start"):
            image = arguments[0]
            check(isinstance(image, ImageRef) and self.truth.is_pushed(image.digest), "A2", f"{method} of {image}")

    # After every choice

    def look(self) -> None:
        """Check what came about since the last look, with or without a call."""
        self.truth.pushed = self.host.pushed
        self.app.registry.settle()
        writes = self.app.registry.writes
        while self._written < len(writes):
            self._written += 1
            self._check_write(*writes[self._written - 1])
        self._check_outcomes()

    def _check_write(self, what: str, where: str) -> None:
        match what, where.split(" "):
            case "manifest", [place] if place.startswith(HEALTHY):
                digest = place.partition("@")[2]
                name = self.truth.name(digest)
                check(self.records.is_approved(digest), "A1", f"{name} is at the destination without a passed test")
            case "tag", [place, digest]:
                self._check_tag(place.rpartition(":")[2], digest)
            case _:
                pass

    def _check_tag(self, tag: str, digest: str) -> None:
        there = self.app.registry.repository(HEALTHY, REPOSITORY)
        name = self.truth.name(digest)
        check(digest in there.manifests, "A3", f"{tag} names {name}, which is not there")
        is_approved = self.records.is_approved(digest) and (digest, tag) in self.truth.pushes()
        check(is_approved, "A4", f"{tag} names {name}, which was not approved for it")
        attached = self.app.registry.referrers(ImageRef(HEALTHY, REPOSITORY, digest))
        recorded = [referrer_manifests.is_record(each) for each in attached]
        check(any(recorded), "A3", f"{tag} names {name} before its record is attached")
        check(
            not self.host.scenario.signed or not all(recorded),
            "A9",
            f"{tag} names {name} before its signature is there",
        )
        self.counts["tag writes"] += 1
        self.counts["tag moves"] += self._tags.get(tag, digest) != digest
        first = self._tags.setdefault(tag, digest)
        if self.host.scenario.gate.promote.tags == "immutable":
            check(first == digest, "A5", f"the immutable tag {tag} moves from {self.truth.name(first)} to {name}")

    def _check_outcomes(self) -> None:
        published = self.app.topic.published
        while self._outcomes < len(published):
            outcome = published[self._outcomes]
            self._outcomes += 1
            first = self._published.setdefault(outcome.id, outcome)
            check(first == outcome, "G10", f"{outcome.id} is published with another content")
            self.counts["published twice"] += first is not outcome

    def acknowledged(self, name: str, body: dict[str, Any]) -> None:
        """The function answered an event with success."""
        is_durable = name.startswith("echo") or self._is_durable(body)
        check(is_durable, "G1", f"{name} was acknowledged, and nobody knows of it")

    def _is_durable(self, body: dict[str, Any]) -> bool:
        target = body["data"]["target"]
        order = order_of(datetime.datetime.fromisoformat(body["data"]["timestamp"]), body["id"])
        states: list[Any] = [record.state for record in self.records.current.values()]
        works = [state.work for state in states if hasattr(state, "work")]
        claims = [claim for work in works if work.image.digest == target["digest"] for claim in work.claims]
        return any(claim.tag == target["tag"] and claim.order >= order for claim in claims)
