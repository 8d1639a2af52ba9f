"""The invariants of endpoints: what must hold at every moment (S), and once a run has come to rest (L).

C1 exact versions and digests   C2 weights add up, nothing untested at 100 %   C3 one rollout at a time
C4 fully old or fully new, and the old one warm for the soak   C5 versions go back only on request
C6 every wish is answered   C7 back to who served before   C8 what is recorded was read from the service
C9 what fails before it had traffic leaves traffic alone
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from tests.flows.endpoint_samples import candidate, delivery, deployment
from tests.simulator.invariants import check
from tests.simulator.model_installation import KEY
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import endpoint_states as es
from tidegate.flows.endpoints.rollout_timing import RESTARTS
from tidegate.flows.models.model_facts import Weights

if TYPE_CHECKING:
    from tests.simulator.model_run import ModelRun
    from tests.simulator.model_scenarios import Said

MAX_ATTEMPT = 400
_VERSIONS = range(1, 10)
_NAMES = {deployment(version): version for version in _VERSIONS}


class ModelWatch:
    """Looks at the service and the endpoint's record after every step."""

    def __init__(self, run: ModelRun) -> None:
        self._run = run
        self._app = run.app
        self.wanted: set[int] = set()
        """Versions that were asked for so far."""
        self.heard: set[Said] = set()
        """What was taken."""
        self._changes = 0
        self._etag = ""
        self._state: Any = es.UnknownEndpoint()
        self._full: dict[str, datetime.datetime] = {}
        """Since when a deployment had all of the traffic, the last time it got it."""
        self.served: list[int] = []
        """Versions that were champions, in order."""
        self.touched: set[int] = set()
        """Versions whose deployment was ever named by weights that we asked for."""
        self.divisions: list[Weights] = []
        self.steps_back = 0

    def look(self) -> None:
        """Check what came about since the last look."""
        service = self._app.service
        while self._changes < len(service.changes):
            what, name, weights = service.changes[self._changes]
            self._changes += 1
            self._check_change(what, name, weights)
        row = self._app.store.rows.get(KEY)
        if row is not None and row.etag != self._etag:
            self._etag = row.etag
            before, self._state = self._state, self._app.record(row).state
            self._check_record(before, self._state)

    # The service

    def _check_change(self, what: str, name: str, weights: Weights) -> None:
        self._run.counts[what] += 1
        match what:
            case "created":
                self._check_created(name)
            case "shifted":
                self._check_shifted(weights)
            case "removed":
                self._check_removed(name)
            case "deleted" if not name:
                self._full.clear()
            case _:
                pass
        self.divisions.append(weights)
        full = [each for each, percent in weights.live if percent == 100]
        if full:
            self._full.setdefault(full[0], self._app.clock.now())
            self._full = {full[0]: self._full[full[0]]}

    def _check_created(self, name: str) -> None:
        made = self._app.service.deployments[name].candidate
        version = int(made.model.version)
        check(version in self.wanted, "C1", f"digits:{version} is deployed, and nobody asked for it")
        check(
            books.same_parts(made, candidate(version)), "C1", f"{made.name} is made of other parts than were asked for"
        )
        check("@sha256:" in made.image, "C1", f"{made.name} is served by {made.image}, which is no digest")
        check(name == deployment(version), "C8", f"{made.name} is deployed as {name}, not as {deployment(version)}")
        if not self._run.slow:
            mine = _brought_up(es.course_of(self._app.state()))
            check(name == mine, "C3", f"{name} is deployed while the record is about {mine or 'nothing'}")

    def _check_shifted(self, weights: Weights) -> None:
        service = self._app.service
        total = sum(percent for _, percent in weights.live)
        check(total in (0, 100), "C2", f"{books.shown(weights)} adds up to {total}")
        check(len(weights.live) <= 2, "C3", f"{books.shown(weights)}: more than two share the traffic")
        for name, percent in weights.live:
            self.touched.add(_NAMES[name])
            check(
                percent < 100 or service.deployments[name].smoked or self._run.late,
                "C2",
                f"all of the traffic goes to {name}, which has not passed its smoke test",
            )
        self.touched |= {_NAMES[name] for name, _ in weights.mirror}

    def _check_removed(self, name: str) -> None:
        """The one before goes only when the new one has had everything for the soak."""
        serving = next(iter(self._full), "")
        version, now = _NAMES[name], _NAMES.get(serving, 0)
        if version in self.served and now > version and self.served[-1] == now and now not in self.served[:-1]:
            lasted = (self._app.clock.now() - self._full[serving]).total_seconds()
            soak = self._run.scenario.stage.soak
            check(lasted >= soak, "C4", f"digits:{version} is deleted {lasted:g} s after digits:{now} got everything")

    # The record

    def _check_record(self, before: Any, after: Any) -> None:
        first, last = getattr(before, "attempt", 0), getattr(after, "attempt", 0)
        check(first <= last, "G4", f"attempt {first} -> {last}")
        check(last <= MAX_ATTEMPT, "G7", f"attempt {last}")
        then, now = es.course_of(before), es.course_of(after)
        if isinstance(then, es.Rollout) and isinstance(now, es.Rollout):
            champion = after.book.champion
            is_over = champion is not None and champion.candidate == then.wish.candidate
            is_same = then.wish.candidate == now.wish.candidate
            check(is_over or is_same, "C3", f"{_about(then)} is replaced by {_about(now)}")
        if isinstance(after, es.WatchingTraffic) and not isinstance(before, es.WatchingTraffic):
            self._check_read(
                books.divided(after.course.steps[after.course.step], after.book.champion, after.course.deployment)
            )
        self._check_champion(before, after)
        self._run.counts[type(after).__name__] += 1
        self._run.counts["restarts"] += getattr(getattr(now, "wish", None), "restarts", 0) > 0
        self._run.counts["repairs"] += after.book.repairs > 0
        self._run.counts["holds"] += after.book.hold is not None

    def _check_read(self, wanted: Weights) -> None:
        """The division that is recorded was the service's, at some moment since it was asked for."""
        is_seen = any(books.is_same(wanted, each) for each in self.divisions)
        check(is_seen, "C8", f"{books.shown(wanted)} is recorded, and never was")

    def _check_champion(self, before: Any, after: Any) -> None:
        then = before.book.champion if hasattr(before, "book") else None
        now = after.book.champion
        if now == then:
            return
        if now is not None:
            version = int(now.candidate.model.version)
            self._check_read(books.serving(now))
            if then is not None and version < int(then.candidate.model.version):
                asked = {said.word for said in self.heard} | {each.said.word for each in self._run.words if each.event}
                self.steps_back += 1
                check(asked & {"reject", "rollback"}, "C5", f"{then.candidate.name} -> {now.candidate.name} unasked")
                check(version in self.served, "C7", f"back to {now.candidate.name}, which never served")
            self.served.append(version)


def _brought_up(course: es.Course | None) -> str:
    """The deployment that is to be made; empty: none is."""
    match course:
        case es.Rollout(deployment=deployment):
            return deployment
        case es.WayBack(to=es.Served(deployment=deployment)):
            return deployment
        case _:
            return ""


def _about(course: es.Rollout) -> str:
    return course.wish.candidate.name


# At rest -------------------------------------------------------------------------------------------------------------


def check_model_end(run: ModelRun) -> None:
    """Nothing is left to do, every wish is answered, and the endpoint serves its champion alone."""
    app = run.app
    for row in app.store.rows.values():
        record = app.record(row)
        check(not record.outbox, "C6", f"{row.key}: {len(record.outbox)} commands are left")
    state = app.state()
    name = type(state).__name__
    is_paused = isinstance(state, es.PausedRollout) and state.held
    check(isinstance(state, es.SettledEndpoint) or is_paused, "C4", f"{name} is no end")
    if is_paused:
        return  # a hold is for people
    _check_serving(run, state)
    _check_answers(run, state)
    allowed = sum(said.word in ("rollback", "reject") for said in run.scenario.said)
    check(run.watch.steps_back <= allowed, "C7", f"{run.watch.steps_back} steps back, and {allowed} were asked for")
    for version in run.scenario.wishes():
        if run.scenario.is_bad(version):
            check(version not in run.watch.touched, "C9", f"digits:{version} got traffic, and never was fit for any")


def _check_serving(run: ModelRun, state: es.SettledEndpoint) -> None:
    service, book = run.app.service, state.book
    if book.fault or (run.counts["acts"] and book.hold is not None):
        return  # left to people
    if run.counts["acts"] and book.champion is None:
        return  # somebody gave traffic to a deployment that never was fit for any
    wanted = books.serving(book.champion)
    found = service.weights
    check(books.is_same(found, wanted), "C4", f"{books.shown(found)} at the end, not {books.shown(wanted)}")
    if book.champion is not None:
        check(service.deployments[book.champion.deployment].smoked, "C2", "the champion has not passed its smoke test")
        version = int(book.champion.candidate.model.version)
        check(f"digits:{version}" not in book.blocked, "C7", f"digits:{version} serves, and was rejected")
    if not run.slow:
        kept = {_NAMES[each] for each in service.deployments}
        mine = {int(book.champion.candidate.model.version)} if book.champion else set()
        check(kept == mine, "C4", f"deployments {kept} are left, and {mine} serves")


def _check_answers(run: ModelRun, state: es.SettledEndpoint) -> None:
    """Every delivery is told; the newest good version serves where nobody and nothing stood in its way."""
    for version in run.scenario.wishes():
        ended = run.app.heard(delivery(version))
        is_waiting = state.book.waiting is not None and state.book.waiting.delivery == delivery(version)
        check(ended or (is_waiting and state.book.hold), "C6", f"digits:{version} was never answered")
        outcomes = [each.outcome for each in ended]
        check(
            outcomes.count("serving") <= outcomes.count("rolled-back") + outcomes.count("rejected") + 1,
            "C6",
            f"digits:{version}: {outcomes}",
        )
        if run.scenario.is_bad(version):
            allowed = {"failed", "superseded", "rejected", "errored", "rolled-back"}
            check(set(outcomes) <= allowed, "C9", f"digits:{version}: {outcomes}")
    _check_newest(run, state)


def _check_newest(run: ModelRun, state: es.SettledEndpoint) -> None:
    scenario = run.scenario
    is_quiet = not run.refused and not (scenario.words() - {"want", "hold", "release"}) and state.book.hold is None
    few = run.counts["acts"] <= RESTARTS and (not run.counts["acts"] or state.book.champion is not None)
    newest = max(scenario.wishes())
    if is_quiet and few and scenario.is_good(newest) and not run.slow and scenario.lost_shifts < 3:
        champion = state.book.champion
        got = champion.candidate.name if champion else "nobody"
        check(got == f"digits:{newest}", "C5", f"{got} serves, and digits:{newest} was wanted and is good")
    worse = [version for version in scenario.wishes() if not scenario.is_good(version)]
    if is_quiet and state.book.champion is not None and not run.counts["acts"] and len(scenario.wishes()) > 1:
        version = int(state.book.champion.candidate.model.version)
        first = run.watch.served[0]
        check(version not in worse or version == first, "C4", f"digits:{version} serves, and is worse")
