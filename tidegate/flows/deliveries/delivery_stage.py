"""One stage of a delivery: placed, hashed, approved, handed over, recorded; then the next.

What is approved is hashed again right before it is handed over, and a freeze that has begun meanwhile is waited for.
"""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import (
    After,
    CommandErrored,
    CommandRefused,
    Decision,
    Tell,
    import_poll_delay,
    run_poll_delay,
)
from tidegate.flows.deliveries import delivery_ends as ends
from tidegate.flows.deliveries import delivery_news
from tidegate.flows.deliveries.delivery_ends import Step
from tidegate.flows.deliveries.delivery_messages import (
    Answer,
    CheckRelease,
    KeepRecord,
    ModelPlaced,
    ModelPlacing,
    PlaceModel,
    RecordKept,
    ReleaseSeen,
    ReleaseStarted,
    StartRelease,
)
from tidegate.flows.deliveries.delivery_states import (
    AwaitingApproval,
    Delivered,
    Delivery,
    DeliveryRolledBack,
    Frozen,
    InStage,
    PlacingModel,
    Recording,
    Releasing,
    RollingOut,
    StagePassed,
    State,
    Vote,
)
from tidegate.flows.deliveries.model_record import Outcome, statement
from tidegate.flows.deliveries.stage_approval import evidence, is_approved
from tidegate.flows.endpoints.rollout_messages import RolloutWanted, StageEnded
from tidegate.flows.models.freeze_windows import WEEK, frozen_until
from tidegate.flows.models.model_facts import Candidate
from tidegate.flows.models.model_gate import ApprovalRules, ReleasePipeline, Stage
from tidegate.flows.models.record_keys import delivery_key, endpoint_key
from tidegate.flows.reminders import Remind, Reminded

PLACE_DEADLINE = 4 * 3600
"""Seconds until a copy that still runs is given up; no published limit."""
ROLLOUT_DEADLINE = 14 * 24 * 3600
"""Seconds until an endpoint that says nothing is given up: longer than rollouts before it, pauses, holds and the soak take."""

CLOCKS_APART = datetime.timedelta(seconds=10)
"""By how much two machines' clocks may differ."""


def enter(delivery: Delivery, stage: Stage, attempt: int, at: datetime.datetime, votes: tuple[Vote, ...] = ()) -> Step:
    """Begin a stage, or go on with it after a wait: place the version, unless the stage is frozen."""
    until = frozen_until(stage.freeze, at)
    if until is not None:
        frozen = Frozen(delivery, attempt, stage.name, at, until, votes)
        return Decision(frozen, (After((until - at).total_seconds(), Remind(attempt)),))
    return Decision(PlacingModel(delivery, attempt, stage.name, at, votes), (_place(delivery, stage, attempt, 1),))


def answered(state: InStage, event: Answer) -> Step:
    """An answer to the state's attempt."""
    match event:
        case CommandErrored(reason=reason, at=at):
            return ends.errored(state, _STEPS[type(state)], reason, at)
        case CommandRefused(reason=reason, at=at):
            return _refused(state, reason, at)
        case Reminded(at=at):
            return _reminded(state, at)
        case ModelPlacing() | ModelPlaced() if isinstance(state, PlacingModel):
            return _placed(state, event)
        case ReleaseStarted() | ReleaseSeen() if isinstance(state, Releasing):
            return _released(state, event)
        case RecordKept() if isinstance(state, Recording):
            return _recorded(state, event)
        case _:
            return Decision(state)


def _refused(state: InStage, reason: str, at: datetime.datetime) -> Step:
    step = _STEPS[type(state)]
    match state:
        case PlacingModel() | Releasing():
            return ends.failed(state, f"{step}: {reason}", at)
        case _:
            return ends.errored(state, step, reason, at)


def _reminded(state: InStage, at: datetime.datetime) -> Step:
    match state:
        case Frozen():
            return _thawed(state, at)
        case AwaitingApproval():
            return _expired(state, at)
        case RollingOut():
            return ends.errored(state, "rollout", f"the endpoint said nothing for {ROLLOUT_DEADLINE // 86400} days", at)
        case _:
            return Decision(state)


_STEPS: dict[type[object], str] = {
    Frozen: "freeze",
    PlacingModel: "placing",
    AwaitingApproval: "approval",
    RollingOut: "rollout",
    Releasing: "release",
    Recording: "record",
}
"""What is under way, for people."""


def _thawed(state: Frozen, at: datetime.datetime) -> Step:
    stage = state.delivery.stage(state.stage)
    if (at - state.since).total_seconds() >= WEEK and frozen_until(stage.freeze, at) is not None:
        return ends.errored(state, "freeze", "its freeze windows leave no time of the week open", at)
    return enter(state.delivery, stage, state.attempt + 1, at, state.votes)


# Placing -------------------------------------------------------------------------------------------------------------


def _place(delivery: Delivery, stage: Stage, attempt: int, check: int) -> PlaceModel:
    return PlaceModel(delivery.model, stage.target.workspace, delivery.gate.registry, attempt, check)


def _placed(state: PlacingModel, event: ModelPlacing | ModelPlaced) -> Step:
    match event:
        case ModelPlacing(check=check, at=at) if check == state.checks + 1:
            return _still_placing(state, check, at)
        case ModelPlacing():
            return Decision(state)
        case ModelPlaced(asset=asset, sha256=sha256, at=at):
            screened = state.delivery.known.artefact.sha256
            if sha256 != screened:
                reason = f"its files in {state.stage} hash to {sha256}, not to {screened} as when it was screened"
                return ends.rejected(state, "artefact changed", (reason,), at)
            return _unchanged(state, asset, at)


def _still_placing(state: PlacingModel, check: int, at: datetime.datetime) -> Step:
    if (at - state.since).total_seconds() > PLACE_DEADLINE:
        return ends.errored(state, "placing", f"still being copied after {PLACE_DEADLINE} s", at)
    again = _place(state.delivery, state.delivery.stage(state.stage), state.attempt, check + 1)
    return Decision(dataclasses.replace(state, checks=check), (After(import_poll_delay(check), again),))


def _unchanged(state: PlacingModel, asset: str, at: datetime.datetime) -> Step:
    """These are the bytes that were screened: ask people, or hand it over."""
    stage = state.delivery.stage(state.stage)
    if stage.approval is not None and not is_approved(stage, state.votes):
        return _ask(state, stage.approval, at)
    if frozen_until(stage.freeze, at) is not None:  # it began while the files were copied
        return enter(state.delivery, stage, state.attempt + 1, at, state.votes)
    if stage.release is not None:
        return _start_release(state, stage.release, at)
    return _hand_over(state, stage, asset, at)


# Approval ------------------------------------------------------------------------------------------------------------


def _ask(state: PlacingModel, rules: ApprovalRules, at: datetime.datetime) -> Step:
    delivery, attempt = state.delivery, state.attempt + 1
    expires = at + datetime.timedelta(seconds=rules.expires)
    waiting = AwaitingApproval(delivery, attempt, state.stage, evidence(delivery, state.stage), at, expires)
    return Decision(waiting, (delivery_news.approval_needed(waiting, rules), After(rules.expires, Remind(attempt))))


def _expired(state: AwaitingApproval, at: datetime.datetime) -> Step:
    rules = state.delivery.stage(state.stage).approval
    quorum = rules.quorum if rules else 0
    reason = f"{len(state.votes)} of {quorum} approvals for {state.stage} until {state.expires:%Y-%m-%d %H:%M} UTC"
    return ends.rejected(state, "approval expired", (reason,), at)


# Handing over --------------------------------------------------------------------------------------------------------


def _hand_over(state: PlacingModel, stage: Stage, asset: str, at: datetime.datetime) -> Step:
    candidate = _candidate(state.delivery, asset)
    after = RollingOut(state.delivery, state.attempt + 1, stage.name, at, candidate, state.votes)
    wanted = RolloutWanted(stage, candidate, delivery_key(state.delivery.model), at)
    return Decision(after, (Tell(endpoint_key(stage.target), wanted), After(ROLLOUT_DEADLINE, Remind(after.attempt))))


def _candidate(delivery: Delivery, asset: str) -> Candidate:
    """What was screened, by digests alone (invariant C1), taken from where the stage has it."""
    facts, serve = delivery.known, delivery.gate.serve
    return Candidate(
        model=delivery.model,
        asset=asset,
        order=delivery.order,
        sha256=facts.artefact.sha256,
        size=facts.artefact.size,
        image=facts.serving_image,
        script=serve.script,
        samples=serve.samples,
        environment=serve.environment,
        metrics=facts.metrics,
    )


def ended(state: State, event: StageEnded) -> Step:
    """The endpoint's answer, or its later word that what served was put back."""
    match state:
        case RollingOut() if event.stage == state.stage and _is_about(event, state.delivery, state.since):
            if event.outcome == "serving":
                return _record(state, Outcome(event.reason, event.measured, event.at))
            return ends.not_serving(state, event)
        case Delivered() | Frozen() | PlacingModel() | AwaitingApproval() | RollingOut() | Releasing() | Recording():
            return _put_back(state, event) if event.outcome == "rolled-back" else Decision(state)
        case _:
            return Decision(state)


def _put_back(state: Delivered | InStage, event: StageEnded) -> Step:
    """A stage that was behind it. What is under way in a later one ends first: nobody else can take it back there."""
    served = {passed.stage: passed.ended for passed in state.delivery.passed}
    if isinstance(state, Recording):
        served[state.stage] = state.ended
    if event.stage not in served or not _is_about(event, state.delivery, served[event.stage]):
        return Decision(state)
    if isinstance(state, RollingOut | Releasing):
        return Decision(dataclasses.replace(state, delivery=_noted(state.delivery, event)))
    return Decision(DeliveryRolledBack(state.delivery, state.attempt + 1, event.stage, event.reason))


def _noted(delivery: Delivery, event: StageEnded) -> Delivery:
    passed = tuple(
        dataclasses.replace(each, put_back=event.reason or event.outcome) if each.stage == event.stage else each
        for each in delivery.passed
    )
    return dataclasses.replace(delivery, passed=passed)


def _is_about(event: StageEnded, delivery: Delivery, since: datetime.datetime) -> bool:
    """Whether it is about this version, and what was wanted then: the end of an earlier wish may come twice, and late."""
    return event.candidate == delivery.candidate and event.at >= since - CLOCKS_APART


# Another system's pipeline -------------------------------------------------------------------------------------------


def _start_release(state: PlacingModel, pipeline: ReleasePipeline, at: datetime.datetime) -> Step:
    """Every try is a run of its own, so the name that makes it findable has the attempt in it."""
    after = Releasing(state.delivery, state.attempt + 1, state.stage, at, state.votes)
    name = f"{delivery_key(state.delivery.model)}#{after.attempt}"
    return Decision(after, (StartRelease(pipeline, state.delivery.model, state.stage, name, after.attempt),))


def _released(state: Releasing, event: ReleaseStarted | ReleaseSeen) -> Step:
    match event:
        case ReleaseStarted(run=run, at=at) if not state.run:
            return _look(dataclasses.replace(state, run=run, since=at), 1)
        case ReleaseSeen(check=check, status="running", at=at) if state.run and check == state.checks + 1:
            timeout = _pipeline(state).timeout
            if (at - state.since).total_seconds() > timeout:
                return ends.failed(state, f"release: run {state.run} was not done within {timeout} s", at)
            return _look(dataclasses.replace(state, checks=check), check + 1)
        case ReleaseSeen(status="succeeded", reason=reason, at=at):
            step = _record(state, Outcome(reason, None, at, state.run))
            told = delivery_news.news("StageServing", state.delivery, state.attempt + 1, at, state.stage)
            return Decision(step.state, (*step.commands, told))  # an endpoint tells it itself
        case ReleaseSeen(status="failed", reason=reason, at=at):
            return ends.failed(state, f"release: run {state.run} failed: {reason}", at)
        case _:
            return Decision(state)


def _look(state: Releasing, check: int) -> Step:
    look = CheckRelease(_pipeline(state), state.run, state.attempt, check)
    return Decision(state, (After(run_poll_delay(check), look),))


def _pipeline(state: Releasing) -> ReleasePipeline:
    pipeline = state.delivery.stage(state.stage).release
    if pipeline is None:
        raise ValueError(f"stage {state.stage} has no pipeline")
    return pipeline


# Recording -----------------------------------------------------------------------------------------------------------


def _record(state: RollingOut | Releasing, outcome: Outcome) -> Step:
    delivery, stage = state.delivery, state.delivery.stage(state.stage)
    attempt = state.attempt + 1
    after = Recording(delivery, attempt, stage.name, outcome.at, outcome.reason, outcome.measured, state.votes)
    text = statement(delivery, stage, delivery.known, state.votes, outcome)
    return Decision(after, (KeepRecord(delivery.model, stage.name, text, attempt),))


def _recorded(state: Recording, event: RecordKept) -> Step:
    """The stage is behind it: the next one begins, or it is delivered, unless an earlier one was put back meanwhile."""
    passed = StagePassed(state.stage, state.ended, state.reason, event.url, state.votes, state.measured)
    delivery = dataclasses.replace(state.delivery, passed=(*state.delivery.passed, passed))
    undone = next((each for each in delivery.passed if each.put_back), None)
    if undone is not None:
        return Decision(DeliveryRolledBack(delivery, state.attempt + 1, undone.stage, undone.put_back))
    left = delivery.gate.stages[len(delivery.passed) :]
    if not left:
        return ends.delivered(delivery, state.attempt + 1, event.at)
    return enter(delivery, left[0], state.attempt + 1, event.at)
