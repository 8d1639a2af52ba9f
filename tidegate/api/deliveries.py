"""Deliveries of models as people see, ask for and decide on them."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence

from tidegate.api.delivery_requests import Action, DeliveryWish, Verdict
from tidegate.api.retries import Retry, retries
from tidegate.errors import Forbidden, MalformedEvent, NotFound, PermanentError, Refused
from tidegate.events import model_order
from tidegate.flows.base import flow_name
from tidegate.flows.deliveries import model_delivery
from tidegate.flows.deliveries.delivery_messages import Decided, DeliveryRequested
from tidegate.flows.deliveries.delivery_states import (
    STATES,
    Delivery,
    InStage,
    ModelIgnored,
    ModelRejected,
    State,
    Unregistered,
    Vote,
)
from tidegate.flows.deliveries.stage_approval import evidence, forbidden, refusal
from tidegate.flows.endpoints import endpoint_states
from tidegate.flows.endpoints.endpoint_rollout import rollback_target
from tidegate.flows.endpoints.endpoint_states import EndpointBook, Rollout, course_of
from tidegate.flows.endpoints.rollout_messages import HoldRequested, ReleaseRequested, RollbackRequested
from tidegate.flows.models.model_facts import COPY_TAG
from tidegate.flows.models.model_gate import ModelGate, Stage
from tidegate.flows.models.record_keys import endpoint_key
from tidegate.gates import Gates
from tidegate.identity import OPERATOR, Person, require_role
from tidegate.model_effects import RECORDS
from tidegate.model_ports import Models, RegisteredModel
from tidegate.ports import AuditRow, Clock, Summary
from tidegate.records import Record, record_id
from tidegate.references import ModelRef
from tidegate.runner import Runner

SHOWN = {name: re.sub(r"^(Model|Delivery)|Model$", "", name) for name in STATES}
"""What the states of the flow are called to people: `ModelRejected` is Rejected, `DeliveryRolledBack` RolledBack."""


MAX_RECORD = 1 << 20
"""Bytes of a model record that are read; one has a few thousand."""

_log = logging.getLogger("tidegate.deliveries")
_ACTS = {"rollback": RollbackRequested, "hold": HoldRequested, "release": ReleaseRequested}


@dataclasses.dataclass(frozen=True, slots=True)
class DeliveryFound:
    """One delivery with everything known about it."""

    summary: Summary
    state: State
    endpoints: Mapping[str, endpoint_states.State]
    """By stage; stages that another system carries out have none."""
    history: Sequence[AuditRow]
    retries: tuple[Retry, ...]
    """Its own, and of the endpoint of its stage."""


@dataclasses.dataclass(frozen=True, slots=True)
class Deliveries:
    """The deliveries of one installation."""

    gates: Gates
    runner: Runner
    models: Models
    clock: Clock

    # Asking ----------------------------------------------------------------------------------------------------------

    def request(self, asked: DeliveryWish, person: Person, identity: str) -> str:
        """Ask for a delivery; gives its id. One that is under way, or done, goes on as it is. NotFound, Refused."""
        found, gate = self.found(asked.model)
        order = model_order(asked.model.version, found.created)
        event = DeliveryRequested(
            asked.model, order, gate, identity, person.name, asked.reason, self.clock.now(), person.id
        )
        key = model_delivery.key(asked.model)
        if reason := refusal(self.state(key), event):
            raise Refused(reason)
        self.runner.deliver(key, event)
        self.runner.records.list(key, self.runner.records.load(key)[0])
        return record_id(key)

    def found(self, model: ModelRef) -> tuple[RegisteredModel, ModelGate]:
        """The version as it is registered, and its gate. NotFound: there is no such version, or no gate for it."""
        try:
            found = self.models.describe(model)
        except PermanentError as error:
            raise NotFound(f"{model}: {error}") from error
        known = {**found.properties, **found.tags}
        if COPY_TAG in known:
            raise Refused(f"{model} is a copy that a delivery made; ask for the version it was made from")
        gate = self.gates.model_gate(model.name, known)
        if gate is None:
            raise NotFound(f"no gate of gates.yaml matches {model.name} with the tags of version {model.version}")
        return found, gate

    def state(self, key: str) -> State:
        """The state of a delivery's record."""
        state: State = self.runner.records.load(key)[0].state  # type: ignore[assignment]  # the flow of the key has these
        return state

    # Looking ---------------------------------------------------------------------------------------------------------

    def listed(
        self, state: str | None, model: str | None, limit: int, cursor: str | None
    ) -> tuple[Sequence[Summary], str | None]:
        """One page of deliveries, newest first, and the cursor of the next. MalformedEvent names the parameter."""
        kept = next((kept for kept, shown in SHOWN.items() if shown == state), None)
        if state is not None and kept is None:
            raise MalformedEvent(f"state: must be one of {', '.join(sorted(SHOWN.values()))}")
        store = self.runner.records.store
        return store.listed(state=kept, repository=model, limit=limit, cursor=cursor, flow=model_delivery.NAME)

    def one(self, identity: str) -> DeliveryFound:
        """A delivery by its id. NotFound."""
        summary = self.runner.records.store.find(identity)
        if summary is None or flow_name(summary.key) != model_delivery.NAME:
            raise NotFound("there is no delivery with this id")
        return self._found(summary)

    def of(self, key: str) -> DeliveryFound:
        """A delivery by the key of its record. NotFound."""
        return self.one(record_id(key))

    def _found(self, summary: Summary) -> DeliveryFound:
        record, _ = self.runner.records.load(summary.key)
        state: State = record.state  # type: ignore[assignment]  # the flow of the key has these
        served = {stage.name: self._served(stage) for stage in stages_of(state) if stage.release is None}
        current = served.get(getattr(state, "stage", ""))
        return DeliveryFound(
            summary,
            state,
            {name: _endpoint(each) for name, each in served.items()},
            self.runner.records.store.history(summary.key),
            retries((record, current) if current else (record,)),
        )

    def endpoint(self, stage: Stage) -> endpoint_states.State:
        """The state of the record of a stage's endpoint."""
        return _endpoint(self._served(stage))

    def _served(self, stage: Stage) -> Record:
        return self.runner.records.load(endpoint_key(stage.target))[0]

    def record(self, found: DeliveryFound, stage: str) -> bytes:
        """The kept record of a stage. NotFound: the version has not passed it, or the record is gone."""
        delivery = delivery_of(found.state)
        passed = next((each for each in (delivery.passed if delivery else ()) if each.stage == stage), None)
        if delivery is None or passed is None or not passed.record:
            raise NotFound(f"stage: there is no record of a stage called {_shown(stage)}")
        model, name = delivery.model, passed.record.rpartition("/")[2]
        data = self.runner.evidence.get(f"{RECORDS}/{model.workspace}/{model.name}/{model.version}/{name}", MAX_RECORD)
        if data is None:
            raise NotFound(f"stage: the record of {stage} is not among the evidence any more")
        return data

    # Deciding --------------------------------------------------------------------------------------------------------

    def decide(self, found: DeliveryFound, verdict: Verdict, person: Person) -> bool:
        """A yes or a no. False: it is so already by the same person's word. Forbidden, Refused say why it counts for nothing."""
        key, now = found.summary.key, self.clock.now()
        decided = Decided(verdict.answer, person.id, person.name, person.roles, verdict.evidence, verdict.reason, now)
        if _is_so(found.state, decided):
            return False
        if reason := forbidden(found.state, decided):
            raise Forbidden(f"{verdict.answer}: {reason}")
        if reason := refusal(found.state, decided):
            raise Refused(reason)
        before = len(found.history)
        self.runner.deliver(key, decided)
        if not self._is_recorded(key, decided, before):
            after = self.state(key)
            if not _is_so(after, decided):
                raise Refused(refusal(after, decided) or "it changed meanwhile: look at it again")
        _say(verdict.answer, key, person)
        return True

    def _is_recorded(self, key: str, decided: Decided, before: int) -> bool:
        """Whether the decision made a transition: an audit row is written for that, with the state, and for nothing else."""
        rows = self.runner.records.store.history(key)
        wanted = ("Decided", decided.who, f"{decided.answer}: {decided.why}")
        return any(row.sequence > before and (row.what, row.who, row.why) == wanted for row in rows)

    # Acting on endpoints ---------------------------------------------------------------------------------------------

    def act(self, found: DeliveryFound, action: Action, person: Person) -> tuple[str, ...]:
        """Roll back, hold or release; gives the stages. Forbidden: neither an operator nor an approver there. Refused."""
        stages = tuple(self._concerned(found, action))
        for stage in stages:
            require_role(person, rights_at(stage), f"{action.act} at {stage.name}")
        if action.act == "rollback":
            _refuse_rollback_of_nothing(found, stages, person)
        now = self.clock.now()
        for stage in stages:
            event = _ACTS[action.act](stage.target, person.name, action.reason, now)
            self.runner.deliver(endpoint_key(stage.target), event)
            _say(action.act, endpoint_key(stage.target), person)
        return tuple(stage.name for stage in stages)

    def _concerned(self, found: DeliveryFound, action: Action) -> Iterator[Stage]:
        stages = [stage for stage in stages_of(found.state) if stage.name in found.endpoints]
        if action.stage:
            stages = [stage for stage in stages if stage.name == action.stage]
            if not stages:
                raise NotFound(f"stage: the delivery has no endpoint in a stage called {action.stage}")
        elif action.act == "rollback":
            stages = [stage for stage in stages if _is_here(found, stage)]
        if not stages:
            raise Refused(f"{action.act}: the version serves nowhere, and is on its way to no endpoint")
        yield from stages


def _say(what: str, key: str, person: Person) -> None:
    """Who it was by an id that never changes: the history of a record has their name."""
    _log.info("%s", json.dumps({"decided": what, "key": key, "person": person.id, "name": person.name}))


def _shown(text: str) -> str:
    return ascii(text[:80])


def stages_of(state: State) -> tuple[Stage, ...]:
    """The stages of its gate; none where no gate matches."""
    delivery = delivery_of(state)
    return delivery.gate.stages if delivery else ()


def delivery_of(state: State) -> Delivery | None:
    """What a delivery carries along; None: there is none."""
    match state:
        case Unregistered() | ModelIgnored():
            return None
        case _:
            return state.delivery


def votes_of(state: State) -> tuple[tuple[str, tuple[Vote, ...]], ...]:
    """Approvals that count, by stage: of the stages it has passed, and of the one it is in."""
    delivery = delivery_of(state)
    passed = tuple((each.stage, each.votes) for each in (delivery.passed if delivery else ()))
    return (*passed, (state.stage, state.votes)) if isinstance(state, InStage.__value__) else passed


def rights_at(stage: Stage) -> tuple[str, ...]:
    """Roles of which one is needed to act on a stage's endpoint."""
    return (OPERATOR, *(stage.approval.roles if stage.approval else ()))


def book_of(state: endpoint_states.State) -> EndpointBook | None:
    """What is remembered of an endpoint; None: nobody has asked for anything there."""
    return None if isinstance(state, endpoint_states.UnknownEndpoint) else state.book


def _is_here(found: DeliveryFound, stage: Stage) -> bool:
    """Whether the version serves at a stage's endpoint, or is being rolled out there."""
    state = found.endpoints[stage.name]
    book, course = book_of(state), course_of(state)
    delivery = delivery_of(found.state)
    if book is None or delivery is None:
        return False
    name = f"{delivery.model.name}:{delivery.model.version}"
    rolling = course.wish.candidate.name if isinstance(course, Rollout) else ""
    return name == rolling or (book.champion is not None and book.champion.candidate.name == name)


def _refuse_rollback_of_nothing(found: DeliveryFound, stages: Sequence[Stage], person: Person) -> None:
    """A rollback is of this version: one that comes late must not take another one back."""
    for stage in stages:
        state = found.endpoints[stage.name]
        book = book_of(state)
        hold = book.hold if book else None
        if hold is not None and hold.rollback and hold.who == person.name:
            continue
        if not _is_here(found, stage):
            serving = book.champion.candidate.name if book and book.champion else "nothing"
            raise Refused(f"rollback: {serving} serves at {stage.name}; roll back by the delivery of what serves")
        if rollback_target(state) is None:
            why = f"{hold.who} rolled back already" if hold and hold.rollback else "no earlier version was good there"
            raise Refused(f"rollback: there is nothing to go back to at {stage.name}: {why}")


def _is_so(state: State, decided: Decided) -> bool:
    """Whether this person's same word is what made things as they are: a repeated request changes nothing, and is no fault."""
    delivery = delivery_of(state)
    if delivery is None:
        return False
    if decided.answer == "reject":
        return isinstance(state, ModelRejected) and state.cause == "rejected" and state.by == decided.who
    return any(
        vote.person == decided.person and evidence(delivery, stage) == decided.evidence
        for stage, votes in votes_of(state)
        for vote in votes
    )


def _endpoint(record: Record) -> endpoint_states.State:
    state: endpoint_states.State = record.state  # type: ignore[assignment]  # the flow of the key has these
    return state
