"""Whose yes or no counts: roles, separation of duties, and the evidence a decision is bound to."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable

from tidegate.flows.deliveries.delivery_messages import Decided, DeliveryRequested
from tidegate.flows.deliveries.delivery_states import (
    BLOCKED,
    AwaitingApproval,
    Delivery,
    ModelIgnored,
    ModelRejected,
    State,
    Unregistered,
    Vote,
)
from tidegate.flows.models.model_gate import ApprovalRules, ModelGate, Stage

OPERATOR = "Operator"
"""App role that may reject a version of any gate."""


def evidence(delivery: Delivery, stage: str) -> str:
    """Hash of what an approval of this stage is about: if any of it changes, the approval is of something else."""
    facts = delivery.known
    about = {
        "model": f"{delivery.model.workspace}/{delivery.model.name}",
        "version": delivery.model.version,
        "artefact": facts.artefact.sha256,
        "image": facts.serving_image,
        "gate": delivery.gate.version,
        "stage": stage,
        "metrics": dict(facts.metrics),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def evidence_of(state: State) -> str:
    """Hash of what is waiting to be decided; empty: nothing is."""
    return state.evidence if isinstance(state, AwaitingApproval) else ""


def is_approved(stage: Stage, votes: tuple[Vote, ...]) -> bool:
    """Whether the stage may begin, as far as people are concerned."""
    return stage.approval is None or len(votes) >= stage.approval.quorum


def with_vote(state: AwaitingApproval, decided: Decided) -> AwaitingApproval:
    """The state with one more yes, which must not be refused."""
    vote = Vote(decided.person, decided.who, decided.why, decided.at)
    return dataclasses.replace(state, votes=(*state.votes, vote))


def refusal(state: State, event: Decided | DeliveryRequested) -> str | None:
    """Why a person's word changes nothing, in one sentence for them; None: it counts, or says what is so already."""
    match event:
        case DeliveryRequested():
            return _request_refused(state, event)
        case Decided(why=why) if not why.strip():
            return "say why: the reason is kept with the decision"
        case Decided(answer="approve"):
            return _approval_refused(state, event)
        case Decided():
            return _rejection_refused(state, event)


def forbidden(state: State, decided: Decided) -> str | None:
    """The part of `refusal` that is about who the person is, not about the state of things."""
    match state, decided.answer:
        case AwaitingApproval(), "approve":
            rules = state.delivery.stage(state.stage).approval
            return _not_an_approver(rules, decided) or _is_involved(state.delivery, decided)
        case ((Unregistered() | ModelIgnored()), _):
            return None
        case _, "reject":
            return _not_a_rejecter(state.delivery.gate, decided)
        case _:
            return None


def _approval_refused(state: State, decided: Decided) -> str | None:
    if not isinstance(state, AwaitingApproval):
        return f"nothing waits for an approval: the delivery is {type(state).__name__}"
    if reason := forbidden(state, decided):
        return reason
    if decided.evidence != state.evidence:
        return "what waits for an approval is not what was shown: look at it again"
    if not state.since <= decided.at < state.expires:
        return f"an approval counts from {state.since:%Y-%m-%d %H:%M:%S} until {state.expires:%Y-%m-%d %H:%M:%S} UTC"
    before = next((vote for vote in state.votes if _same(vote.person, (decided.person,))), None)
    return f"{before.who} has approved it already, at {before.at:%Y-%m-%d %H:%M} UTC" if before else None


def _rejection_refused(state: State, decided: Decided) -> str | None:
    match state:
        case Unregistered() | ModelIgnored():
            return "no gate delivers it, so there is nothing to reject"
        case ModelRejected(cause=cause, by=by) if cause in BLOCKED:
            return f"it was rejected already{f' by {by}' if by else ''}"
        case _:
            return forbidden(state, decided)


def _request_refused(state: State, event: DeliveryRequested) -> str | None:
    match state:
        case ModelRejected(cause=cause, by=by) if cause in BLOCKED:
            return f"it was rejected{f' by {by}' if by else ''} and stays blocked: register a new version"
        case _ if not event.why.strip():
            return "say why: the reason is kept with the delivery"
        case _:
            return None


def _not_an_approver(rules: ApprovalRules | None, decided: Decided) -> str | None:
    roles = rules.roles if rules else ()
    return None if set(roles) & set(decided.roles) else f"an approval takes the role {' or '.join(roles)}"


def _not_a_rejecter(gate: ModelGate, decided: Decided) -> str | None:
    roles = {role for stage in gate.stages if stage.approval for role in stage.approval.roles} | {OPERATOR}
    return None if roles & set(decided.roles) else f"a rejection takes the role {' or '.join(sorted(roles))}"


def _is_involved(delivery: Delivery, decided: Decided) -> str | None:
    """Who registered the version, or asked for its delivery, does not approve it."""
    names = (decided.person, decided.person.rpartition("/")[2], decided.person.removeprefix("key:"), decided.who)
    if _same(delivery.known.registered_by, names):
        return "who registered a version does not approve it"
    if any(_same(each, names) for each in (*delivery.people, *(request.who for request in delivery.requests))):
        return "who asked for a delivery does not approve it"
    return None


def _same(one: str, others: Iterable[str]) -> bool:
    """Identities are compared without case, and nobody is the empty one."""
    return bool(one) and one.casefold() in {other.casefold() for other in others}
