"""From registered to delivered: a version of a model is screened, then goes through the stages of its gate one after the other.

One record for each version. In a stage it is placed and hashed, approved where the gate says so, hashed again, and handed to the
endpoint's own flow (or to another system's pipeline), which says what became of it. An attempt number is never used twice in a
record, so an answer that comes late, or twice, is recognised by it.

    Unregistered -> DescribingModel -> AskingChampion -> stage -> stage -> ... -> Delivered
         |                  |               |              |
    ModelIgnored            +---------------+--------------+--> ModelRejected, DeliveryFailed, DeliveryRolledBack,
                                                                DeliverySuperseded, DeliveryErrored

    a stage: Frozen <-> PlacingModel <-> AwaitingApproval; PlacingModel -> RollingOut or Releasing -> Recording

Every end but Delivered can be left by a request by hand, unless a person rejected the version: that holds for ever.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import override

from tidegate.flows.base import (
    After,
    CommandErrored,
    CommandRefused,
    Decision,
    Explanation,
    Flow,
    Listing,
    Tell,
)
from tidegate.flows.deliveries import delivery_ends as ends
from tidegate.flows.deliveries import delivery_stage as stages
from tidegate.flows.deliveries.delivery_ends import Step
from tidegate.flows.deliveries.delivery_messages import (
    Answer,
    Command,
    Decided,
    DeliveryRequested,
    DescribeModel,
    Event,
    ModelDescribed,
    ModelPlacing,
    ModelRegistered,
    RecordKept,
    ReleaseSeen,
    ReleaseStarted,
)
from tidegate.flows.deliveries.delivery_states import (
    AskingChampion,
    AwaitingApproval,
    Delivery,
    DeliveryErrored,
    DeliveryFailed,
    DeliveryRolledBack,
    DeliverySuperseded,
    DescribingModel,
    Frozen,
    ModelIgnored,
    ModelRejected,
    PlacingModel,
    Recording,
    Releasing,
    RollingOut,
    State,
    Unregistered,
    begun,
    reason_of,
)
from tidegate.flows.deliveries.stage_approval import evidence_of, is_approved, refusal, with_vote
from tidegate.flows.endpoints.rollout_messages import ChampionAsked, ChampionTold, StageEnded
from tidegate.flows.models.model_facts import COPY_TAG, Candidate, ModelFacts
from tidegate.flows.models.model_screening import screened
from tidegate.flows.models.record_keys import DELIVERY, delivery_key, endpoint_key
from tidegate.flows.reminders import Remind, Reminded

__all__ = ["NAME", "ModelDelivery", "evidence_of", "key", "refusal"]

NAME = DELIVERY
key = delivery_key

CHAMPION_DEADLINE = 25 * 3600
"""Seconds until the endpoint must have said who serves: a message is tried for 24 hours before it is given up."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelDelivery(Flow[State, Event, Command]):
    """The flow."""

    name = NAME

    @override
    def initial(self) -> State:
        return Unregistered()

    @override
    def decide(self, state: State, event: Event, /) -> Step:
        match event:
            case ModelRegistered():
                return _registered(state, event)
            case DeliveryRequested():
                return _requested(state, event)
            case Decided():
                return _decided(state, event)
            case StageEnded():
                return stages.ended(state, event)
            case _ if isinstance(state, Unregistered) or event.attempt != state.attempt:
                return Decision(state)  # duplicates, and answers to earlier attempts
            case _:
                return _answered(state, event)

    @override
    def explain(self, event: Event, after: State, /) -> Explanation | None:
        match event:
            case ModelRegistered():
                return Explanation("the workspace", "it was registered")
            case DeliveryRequested(who=who, why=why):
                return Explanation(who, why)
            case Decided(who=who, why=why, answer=answer):
                return Explanation(who, f"{answer}: {why}", event.evidence)
            case ModelPlacing() if isinstance(after, PlacingModel):
                return None
            case ReleaseSeen(status="running") if isinstance(after, Releasing):
                return None
            case RecordKept(url=url):
                return Explanation("tidegate", "the record is kept", url)
            case _:
                return Explanation("tidegate", _why(event, after))

    @override
    def listing(self, state: State, /) -> Listing | None:
        match state:
            case Unregistered():
                return None
            case ModelIgnored(model=model):
                digest = ""
            case _:
                model, facts = state.delivery.model, state.delivery.facts
                digest = facts.artefact.sha256 if facts else ""
        stage = getattr(state, "stage", "")  # states on the way, and ends, name theirs
        tags = (model.version, stage) if stage else (model.version,)
        return Listing(type(state).__name__, model.name, tags, digest, reason_of(state))


# Registrations and requests ------------------------------------------------------------------------------------------


def _registered(state: State, event: ModelRegistered) -> Step:
    if not isinstance(state, Unregistered):
        return Decision(state)
    if event.gate is None:
        return Decision(ModelIgnored(event.model, 1, "no gate matches it"))
    return _describe(begun(event, event.gate, None), 1)


def _requested(state: State, event: DeliveryRequested) -> Step:
    """Begin, or begin anew after an end; a request that is known, or comes while the delivery is under way, changes nothing."""
    if refusal(state, event) is not None:
        return Decision(state)
    match state:
        case Unregistered():
            return _describe(begun(event, event.gate, None), 1)
        case (
            ModelIgnored()
            | ModelRejected()
            | DeliveryFailed()
            | DeliveryRolledBack()
            | DeliverySuperseded()
            | DeliveryErrored()
        ) if not _knows(state.delivery, event):
            return _describe(begun(event, event.gate, state.delivery), state.attempt + 1)
        case _:
            return Decision(state)


def _knows(delivery: Delivery | None, event: DeliveryRequested) -> bool:
    return delivery is not None and any(event.id == known.id for known in delivery.requests)


def _decided(state: State, event: Decided) -> Step:
    """A word that does not count changes nothing; `refusal` tells the person why."""
    if refusal(state, event) is not None:
        return Decision(state)
    match state:
        case Unregistered() | ModelIgnored():
            return Decision(state)
        case AwaitingApproval() if event.answer == "approve":
            return _approved(with_vote(state, event), event)
        case _:
            return ends.rejected_by(state, event)


def _approved(state: AwaitingApproval, event: Decided) -> Step:
    stage = state.delivery.stage(state.stage)
    if not is_approved(stage, state.votes):
        return Decision(state)
    return stages.enter(state.delivery, stage, state.attempt + 1, event.at, state.votes)


# Screening -----------------------------------------------------------------------------------------------------------


def _describe(delivery: Delivery, attempt: int) -> Step:
    gate = delivery.gate
    command = DescribeModel(delivery.model, gate.serve, gate.require.max_size, attempt)
    return Decision(DescribingModel(delivery, attempt), (command,))


def _answered(state: State, event: Answer) -> Step:
    match state:
        case DescribingModel():
            return _described(state, event)
        case AskingChampion():
            return _champion_told(state, event)
        case Frozen() | PlacingModel() | AwaitingApproval() | RollingOut() | Releasing() | Recording():
            return stages.answered(state, event)
        case _:
            return Decision(state)


def _described(state: DescribingModel, event: Answer) -> Step:
    match event:
        case ModelDescribed(facts=facts, at=at):
            return _ask_champion(state, facts, at)
        case CommandRefused(reason=reason, at=at):
            return ends.rejected(state, "missing", (reason,), at)
        case CommandErrored(reason=reason, at=at):
            return ends.errored(state, "describing", reason, at)
        case _:
            return Decision(state)


def _ask_champion(state: DescribingModel, facts: ModelFacts, at: datetime.datetime) -> Step:
    """What it must not be worse than is what serves at the end of its way."""
    delivery, attempt = dataclasses.replace(state.delivery, facts=facts), state.attempt + 1
    if original := dict(facts.tags).get(COPY_TAG):  # its registration was a delivery's own doing
        return Decision(ModelIgnored(delivery.model, attempt, f"a copy of {original}, made by its delivery", delivery))
    served = [stage.target for stage in delivery.gate.stages if stage.release is None]
    if not served:  # pipelines do all of it, and what serves where they go is not known here
        return _screen(AskingChampion(delivery, attempt), None, at)
    asked = Tell(endpoint_key(served[-1]), ChampionAsked(served[-1], key(delivery.model), attempt, at))
    return Decision(AskingChampion(delivery, attempt), (asked, After(CHAMPION_DEADLINE, Remind(attempt))))


def _champion_told(state: AskingChampion, event: Answer) -> Step:
    match event:
        case ChampionTold(champion=champion, at=at):
            return _screen(state, champion, at)
        case Reminded(at=at):
            return ends.errored(
                state, "champion", f"the endpoint said nothing for {CHAMPION_DEADLINE // 3600} hours", at
            )
        case CommandRefused(reason=reason, at=at) | CommandErrored(reason=reason, at=at):
            return ends.errored(state, "champion", reason, at)
        case _:
            return Decision(state)


def _screen(state: AskingChampion, champion: Candidate | None, at: datetime.datetime) -> Step:
    delivery = dataclasses.replace(state.delivery, champion=champion)
    if problems := screened(delivery.gate, delivery.known, champion):
        return ends.rejected(dataclasses.replace(state, delivery=delivery), "screening", problems, at)
    return stages.enter(delivery, delivery.gate.stages[0], state.attempt + 1, at)


# For people ----------------------------------------------------------------------------------------------------------


def _why(event: Answer | StageEnded, after: State) -> str:
    match event:
        case StageEnded(stage=stage, outcome=outcome, reason=reason):
            return f"{stage}: {reason or outcome}"
        case CommandRefused(reason=reason) | CommandErrored(reason=reason):
            return reason
        case ReleaseStarted(run=run):
            return f"run {run}"
        case ReleaseSeen(status=status, reason=reason):
            return f"{status} {reason}".strip()
        case _:
            return reason_of(after)
