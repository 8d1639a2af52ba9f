"""From registered to delivered: the decisions of a delivery as tables, and the paths through it as stories."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

import pytest

from tests.flows.delivery_samples import (
    ALICE,
    APPROVAL,
    ASSET,
    BOB,
    CANDIDATE,
    CHAMPION,
    COPY,
    DEV,
    ELSEWHERE,
    EVIDENCE,
    FACTS,
    FLOW,
    GATE,
    INT,
    KEY,
    LATER,
    MEASURED,
    MODEL,
    MONDAY_MORNING,
    MUCH_LATER,
    NAME,
    NOW,
    OTHER_SHA,
    PRO,
    SHA,
    STATES,
    WORSE,
    answers,
    approve,
    delivery,
    gate,
    registered,
    reject,
    requested,
    stage,
    stage_ended,
)
from tidegate.flows.base import After, CommandErrored, CommandRefused, Decision, Explanation, Publish, Tell
from tidegate.flows.deliveries import delivery_messages as dm
from tidegate.flows.deliveries import delivery_states as st
from tidegate.flows.deliveries.delivery_stage import PLACE_DEADLINE, ROLLOUT_DEADLINE
from tidegate.flows.deliveries.model_delivery import CHAMPION_DEADLINE, key
from tidegate.flows.endpoints.rollout_messages import ChampionAsked, ChampionTold, RolloutWanted, VersionRejected
from tidegate.flows.models.model_gate import Freeze, ModelGate
from tidegate.flows.models.record_keys import endpoint_key
from tidegate.flows.reminders import Remind, Reminded

EVENING = NOW.replace(hour=21)
NIGHT = Freeze(20 * 60, 1440 + 6 * 60)
"""Monday 20:00 to Tuesday 06:00."""


def _decide(state: st.State, event: dm.Event) -> Decision[Any, Any]:
    return FLOW.decide(state, event)


def _names(step: Decision[Any, Any]) -> list[str]:
    """What is asked for, in words: commands by name, events told by name, outcomes by type."""
    return [_name(command) for command in step.commands]


def _name(command: object) -> str:
    match command:
        case After(seconds=seconds, command=later):
            return f"{_name(later)} after {seconds:.10g} s"
        case Tell(event=event):
            return type(event).__name__
        case Publish(type=kind):
            return kind
        case _:
            return type(command).__name__


def _told(step: Decision[Any, Any], kind: type[Any]) -> Any:
    return next(each.event for each in step.commands if isinstance(each, Tell) and isinstance(each.event, kind))


def _published(step: Decision[Any, Any]) -> dict[str, Any]:
    (news,) = (each for each in step.commands if isinstance(each, Publish))
    return {"type": news.type, "id": news.id, "subject": news.subject, **dict(news.data)}


class _World:
    """Answers what the flow asks for as if all went well, with the state's attempt, until it waits for people or an end."""

    def __init__(self, state: st.State | None = None) -> None:
        self.state: st.State = st.Unregistered() if state is None else state
        self.said: list[str] = []

    def hear(self, event: dm.Event) -> Decision[Any, Any]:
        step = _decide(self.state, event)
        self.state = step.state
        self.said += _names(step)
        return step

    def answered(self, at: datetime.datetime = LATER, sha256: str = SHA) -> Decision[Any, Any]:
        match self.state:
            case st.DescribingModel(attempt=n):
                return self.hear(dm.ModelDescribed(n, FACTS, at))
            case st.AskingChampion(attempt=n):
                return self.hear(ChampionTold(n, CHAMPION, at))
            case st.PlacingModel(attempt=n):
                return self.hear(dm.ModelPlaced(n, ASSET, sha256, at))
            case st.RollingOut(stage=stage):
                return self.hear(stage_ended("serving", stage, at=at))
            case st.Recording(attempt=n, stage=stage):
                return self.hear(dm.RecordKept(n, f"https://evidence.example/{stage}.json", at))
            case _:
                raise AssertionError(f"nobody answers {self.state}")

    def until(self, kind: type[Any]) -> Any:
        for _ in range(30):
            if isinstance(self.state, kind):
                return self.state
            self.answered()
        raise AssertionError(f"it never came to {kind.__name__}: {self.state}")


# Beginning -----------------------------------------------------------------------------------------------------------

ASKED: dict[str, tuple[str, dm.Event, type[Any], list[str]]] = {
    "a registration is looked at": ("unregistered", registered(), st.DescribingModel, ["DescribeModel"]),
    "without a gate it is left alone": ("unregistered", registered(None), st.ModelIgnored, []),
    "a request begins it": ("unregistered", requested(), st.DescribingModel, ["DescribeModel"]),
    "a registration that comes again": ("rolling", registered(), st.RollingOut, []),
    "a registration after the request": ("delivered", registered(id="e9"), st.Delivered, []),
    "a gate that matches later begins nothing": ("ignored", registered(), st.ModelIgnored, []),
    "a request begins what was left alone": ("ignored", requested(), st.DescribingModel, ["DescribeModel"]),
    "a request for a copy reads it anew": ("ignored-copy", requested(), st.DescribingModel, ["DescribeModel"]),
    "a request while it is under way": ("awaiting", requested(), st.AwaitingApproval, []),
    "a request for what is delivered": ("delivered", requested(), st.Delivered, []),
    "a request after an error": ("errored", requested(), st.DescribingModel, ["DescribeModel"]),
    "a request after a failure": ("failed", requested(), st.DescribingModel, ["DescribeModel"]),
    "a request after a rollback": ("rolled-back", requested(), st.DescribingModel, ["DescribeModel"]),
    "a request after a newer version": ("superseded", requested(), st.DescribingModel, ["DescribeModel"]),
    "a request after the screening": ("rejected-screening", requested(), st.DescribingModel, ["DescribeModel"]),
    "a request after the expiry": ("rejected-expired", requested(), st.DescribingModel, ["DescribeModel"]),
    "a request without a reason": ("rolled-back", requested(why=""), st.DeliveryRolledBack, []),
    "a request that is known": ("failed", requested("e1"), st.DeliveryFailed, []),
    "a request for what a person rejected": ("rejected-by-person", requested(), st.ModelRejected, []),
    "a request for what is blocked": ("rejected-blocked", requested(), st.ModelRejected, []),
}


@pytest.mark.parametrize(("state", "event", "after", "commands"), ASKED.values(), ids=ASKED.keys())
def test_a_registration_or_request_begins_it_or_changes_nothing(
    state: str, event: dm.Event, after: type[Any], commands: list[str]
) -> None:
    step = _decide(STATES[state], event)
    assert (type(step.state), _names(step)) == (after, commands)
    if not commands and after is not st.ModelIgnored:
        assert step == Decision(STATES[state])


def test_it_is_read_as_its_gate_says() -> None:
    (command,) = _decide(st.Unregistered(), registered()).commands
    assert command == dm.DescribeModel(MODEL, GATE.serve, GATE.require.max_size, 1)


def test_a_new_start_forgets_what_was_learnt_and_keeps_who_asked() -> None:
    state = _decide(STATES["rolled-back"], requested(gate=gate(version="ba9876543210"))).state
    assert (state.attempt, state.delivery.gate.version) == (16, "ba9876543210")
    assert (state.delivery.facts, state.delivery.champion, state.delivery.passed) == (None, None, ())
    assert [request.id for request in state.delivery.requests] == ["e1", "r1"]
    assert state.delivery.people == (requested().person,)


def test_only_the_first_and_the_latest_requests_are_kept() -> None:
    state: st.State = STATES["failed"]
    for number in range(60):
        state = _decide(state, requested(f"r{number}")).state
        state = _decide(state, CommandErrored(state.attempt, "no answer", LATER)).state  # type: ignore[union-attr]  # it is under way
    assert isinstance(state, st.DeliveryErrored)
    requests = state.delivery.requests
    assert (len(requests), requests[0].id, requests[-1].id) == (st.MAX_REQUESTS, "e1", "r59")


# Screening -----------------------------------------------------------------------------------------------------------


def test_the_endpoint_at_the_end_of_the_way_is_asked_who_serves() -> None:
    step = _decide(STATES["describing"], dm.ModelDescribed(1, FACTS, LATER))
    tell, remind = step.commands
    assert tell == Tell(endpoint_key(PRO.target), ChampionAsked(PRO.target, KEY, 2, LATER))
    assert remind == After(CHAMPION_DEADLINE, Remind(2))


def test_a_stage_elsewhere_has_no_champion_to_ask_about() -> None:
    described = dm.ModelDescribed(1, FACTS, LATER)
    begun = st.DescribingModel(delivery(gate(DEV, ELSEWHERE), None), 1)
    assert _told(_decide(begun, described), ChampionAsked).target == DEV.target
    only = st.DescribingModel(delivery(gate(ELSEWHERE), None), 1)
    step = _decide(only, described)
    assert (type(step.state), _names(step)) == (st.PlacingModel, ["PlaceModel"])


def test_a_copy_that_a_delivery_made_is_left_alone() -> None:
    step = _decide(STATES["describing"], dm.ModelDescribed(1, COPY, LATER))
    assert isinstance(step.state, st.ModelIgnored)
    assert step.state.reason == "a copy of ml-dev/litter:7, made by its delivery"
    assert step.commands == ()


SCREENED: dict[str, tuple[Any, dm.Event, type[Any], list[str], str]] = {
    "good": (FACTS, ChampionTold(2, CHAMPION, LATER), st.PlacingModel, ["PlaceModel"], ""),
    "good, and the first of its model": (FACTS, ChampionTold(2, None, LATER), st.PlacingModel, ["PlaceModel"], ""),
    "worse": (
        WORSE,
        ChampionTold(2, None, LATER),
        st.ModelRejected,
        ["Tidegate.ModelRejected"],
        "metric accuracy is 0.7, less than 0.8 (require.metrics); metric loss is 0.9, more than 0.5 (require.metrics)",
    ),
    "good for the gate, worse than the champion": (
        FACTS,
        ChampionTold(2, dataclasses.replace(CHAMPION, metrics=(("accuracy", 0.99),)), LATER),
        st.ModelRejected,
        ["Tidegate.ModelRejected"],
        "metric accuracy is 0.9, worse than the champion's 0.99 by more than 0.02 (require.metrics)",
    ),
    "nobody said who serves": (
        FACTS,
        Reminded(2, MUCH_LATER),
        st.DeliveryErrored,
        ["Tidegate.DeliveryErrored"],
        "the endpoint said nothing for 25 hours",
    ),
}


@pytest.mark.parametrize(("facts", "event", "after", "commands", "reason"), SCREENED.values(), ids=SCREENED.keys())
def test_screening_lets_it_to_the_first_stage_or_says_everything_against_it(
    facts: Any, event: dm.Event, after: type[Any], commands: list[str], reason: str
) -> None:
    asking = st.AskingChampion(dataclasses.replace(delivery(), facts=facts, champion=None), 2)
    step = _decide(asking, event)
    assert (type(step.state), _names(step)) == (after, commands)
    assert st.reason_of(step.state) == reason


def test_a_version_that_is_not_there_is_rejected() -> None:
    step = _decide(STATES["describing"], CommandRefused(1, "no such version", LATER))
    assert isinstance(step.state, st.ModelRejected)
    assert (step.state.cause, step.state.reasons) == ("missing", ("no such version",))


def test_what_it_was_compared_with_is_kept_with_the_rejection() -> None:
    asking = st.AskingChampion(dataclasses.replace(delivery(), facts=WORSE, champion=None), 2)
    state = _decide(asking, ChampionTold(2, CHAMPION, LATER)).state
    assert isinstance(state, st.ModelRejected)
    assert (state.cause, state.delivery.champion, len(state.reasons)) == ("screening", CHAMPION, 3)


# Freeze --------------------------------------------------------------------------------------------------------------


def frozen_pro(*windows: Freeze) -> ModelGate:
    return gate(DEV, stage("pro", approval=APPROVAL, freeze=windows))


def test_a_frozen_stage_waits_until_its_freeze_is_over_and_looks_again() -> None:
    frozen = gate(stage("dev", freeze=(MONDAY_MORNING,)))
    asking = st.AskingChampion(delivery(frozen), 2)
    step = _decide(asking, ChampionTold(2, None, NOW))
    assert isinstance(step.state, st.Frozen)
    assert (step.state.stage, step.state.until) == ("dev", NOW.replace(hour=9))
    assert step.commands == (After(3600.0, Remind(3)),)
    early = _decide(step.state, Reminded(3, NOW.replace(hour=8, minute=59)))
    assert (type(early.state), _names(early)) == (st.Frozen, ["Remind after 60 s"])
    thawed = _decide(early.state, Reminded(4, NOW.replace(hour=9)))
    assert (type(thawed.state), _names(thawed)) == (st.PlacingModel, ["PlaceModel"])


def test_a_freeze_that_begins_while_the_files_are_copied_is_waited_for() -> None:
    placing = st.PlacingModel(delivery(gate(stage("dev", freeze=(NIGHT,)))), 3, "dev", NOW)
    step = _decide(placing, dm.ModelPlaced(3, ASSET, SHA, EVENING))
    assert isinstance(step.state, st.Frozen)
    assert step.state.until == NOW.replace(day=3, hour=6)


def test_an_approval_given_in_a_freeze_is_kept_until_it_is_over() -> None:
    about = delivery(frozen_pro(NIGHT), FACTS, "dev")
    expires = NOW + datetime.timedelta(days=2)
    waiting = st.AwaitingApproval(about, 8, "pro", EVIDENCE, NOW, expires)
    one = _decide(waiting, approve(at=EVENING))
    both = _decide(one.state, approve(BOB, at=EVENING))
    assert isinstance(both.state, st.Frozen)
    assert [vote.person for vote in both.state.votes] == [ALICE, BOB]
    morning = both.state.until
    placing = _decide(both.state, Reminded(9, morning))
    rolling = _decide(placing.state, dm.ModelPlaced(10, ASSET, SHA, morning))
    assert isinstance(rolling.state, st.RollingOut)
    assert len(rolling.state.votes) == 2


def test_a_week_without_an_open_minute_is_an_error_and_no_endless_wait() -> None:
    always = gate(stage("dev", freeze=(Freeze(0, 7 * 1440),)))
    state = st.Frozen(delivery(always), 3, "dev", NOW, NOW + datetime.timedelta(days=7))
    step = _decide(state, Reminded(3, NOW + datetime.timedelta(days=7)))
    assert isinstance(step.state, st.DeliveryErrored)
    assert _names(step) == ["Tidegate.DeliveryErrored"]


# Placing -------------------------------------------------------------------------------------------------------------


def test_it_is_placed_in_the_workspace_of_the_stage_as_the_gate_says() -> None:
    through = gate(DEV, INT, registry="models")
    step = _decide(st.AskingChampion(delivery(through), 2), ChampionTold(2, None, LATER))
    assert step.commands == (dm.PlaceModel(MODEL, DEV.target.workspace, "models", 3),)


PLACED: dict[str, tuple[str, str, type[Any], list[str], str]] = {
    "the same bytes": ("placing", "placed", st.RollingOut, ["RolloutWanted", "Remind after 1209600 s"], ""),
    "other bytes": (
        "placing",
        "placed-other",
        st.ModelRejected,
        ["Tidegate.ModelRejected"],
        "its files in dev hash to",
    ),
    "a stage that asks for approval": (
        "placing-pro",
        "placed",
        st.AwaitingApproval,
        ["Tidegate.ApprovalNeeded", "Remind after 86400 s"],
        "",
    ),
    "an approved stage": ("placing-approved", "placed", st.RollingOut, ["RolloutWanted", "Remind after 1209600 s"], ""),
    "an approved stage, other bytes": (
        "placing-approved",
        "placed-other",
        st.ModelRejected,
        ["Tidegate.ModelRejected"],
        "its files in pro hash to",
    ),
    "a stage elsewhere": ("placing-pipeline", "placed", st.Releasing, ["StartRelease"], ""),
    "still being copied": ("placing", "placing-1", st.PlacingModel, ["PlaceModel after 0 s"], ""),
    "still being copied, at a later look": (
        "placing-looked",
        "placing-4",
        st.PlacingModel,
        ["PlaceModel after 0.4 s"],
        "",
    ),
    "a look that comes again": ("placing-looked", "placing-1", st.PlacingModel, [], ""),
    "copied for too long": (
        "placing",
        "placing-overdue",
        st.DeliveryErrored,
        ["Tidegate.DeliveryErrored"],
        "still being",
    ),
    "refused": ("placing", "refused", st.DeliveryFailed, ["Tidegate.ModelRejected"], "placing: refused"),
    "no answer": ("placing", "errored", st.DeliveryErrored, ["Tidegate.DeliveryErrored"], "no answer"),
}


@pytest.mark.parametrize(("state", "answer", "after", "commands", "reason"), PLACED.values(), ids=PLACED.keys())
def test_what_is_placed_is_compared_with_what_was_screened(
    state: str, answer: str, after: type[Any], commands: list[str], reason: str
) -> None:
    before = STATES[state]
    step = _decide(before, answers(before.attempt)[answer])  # type: ignore[union-attr]  # it is under way
    assert (type(step.state), _names(step)) == (after, commands)
    assert st.reason_of(step.state).startswith(reason)


def test_a_changed_artefact_is_rejected_with_both_hashes() -> None:
    step = _decide(STATES["placing-approved"], dm.ModelPlaced(13, ASSET, OTHER_SHA, LATER))
    assert isinstance(step.state, st.ModelRejected)
    assert step.state.cause == "artefact changed"
    assert SHA in step.state.reasons[0]
    assert OTHER_SHA in step.state.reasons[0]
    assert _published(step)["cause"] == "artefact changed"


def test_the_next_look_at_a_copy_has_the_next_number() -> None:
    (later,) = _decide(STATES["placing-looked"], dm.ModelPlacing(3, 4, LATER)).commands
    assert later.command == dm.PlaceModel(MODEL, DEV.target.workspace, "", 3, 5)


def test_a_copy_is_given_up_after_its_deadline_and_not_before() -> None:
    for seconds, after in ((PLACE_DEADLINE, st.PlacingModel), (PLACE_DEADLINE + 1, st.DeliveryErrored)):
        at = NOW + datetime.timedelta(seconds=seconds)
        assert isinstance(_decide(STATES["placing"], dm.ModelPlacing(3, 1, at)).state, after)


# Approval ------------------------------------------------------------------------------------------------------------


def test_people_are_told_what_they_decide_on() -> None:
    step = _decide(STATES["placing-pro"], dm.ModelPlaced(11, ASSET, SHA, NOW))
    news = _published(step)
    assert (news["type"], news["subject"], news["id"]) == ("Tidegate.ApprovalNeeded", NAME, f"{KEY}/ApprovalNeeded/12")
    assert (news["stage"], news["endpoint"], news["workspace"]) == ("pro", "litter-pro", "ml-dev")
    assert news["evidence"] == step.state.evidence == EVIDENCE
    assert (news["quorum"], news["roles"]) == (2, ("Approver.pro",))
    assert news["reason"] == "pro takes 2 approvals of Approver.pro until 2026-03-03 08:00 UTC"


VOTES: dict[str, tuple[list[dm.Decided], type[Any], int]] = {
    "one yes of two": ([approve()], st.AwaitingApproval, 1),
    "two people": ([approve(), approve(BOB)], st.PlacingModel, 2),
    "one person twice": ([approve(), approve()], st.AwaitingApproval, 1),
    "one person twice, with another reason": ([approve(), approve(why="really")], st.AwaitingApproval, 1),
    "to another evidence": ([approve(), approve(BOB, evidence="0" * 64)], st.AwaitingApproval, 1),
    "without the role": ([approve(roles=("Operator",))], st.AwaitingApproval, 0),
    "without a reason": ([approve(why="")], st.AwaitingApproval, 0),
    "a no before the second yes": ([approve(), reject(), approve(BOB)], st.ModelRejected, 1),
    "a no without the role": ([reject(roles=())], st.AwaitingApproval, 0),
    "a no by an approver": ([reject(roles=("Approver.pro",))], st.ModelRejected, 0),
}


@pytest.mark.parametrize(("decisions", "after", "counted"), VOTES.values(), ids=VOTES.keys())
def test_a_stage_goes_on_with_its_quorum_of_different_people(
    decisions: list[dm.Decided], after: type[Any], counted: int
) -> None:
    world = _World(STATES["awaiting"])
    for decided in decisions:
        world.hear(decided)
    assert isinstance(world.state, after)
    if after is not st.ModelRejected:
        assert len(world.state.votes) == counted


def test_an_approval_that_expires_is_a_no() -> None:
    step = _decide(STATES["awaiting-one-more"], Reminded(12, NOW + datetime.timedelta(days=1)))
    assert isinstance(step.state, st.ModelRejected)
    assert step.state.cause == "approval expired"
    assert st.reason_of(step.state) == "1 of 2 approvals for pro until 2026-03-03 08:00 UTC"
    assert _names(step) == ["Tidegate.ModelRejected"]


def test_a_vote_does_not_put_off_the_expiry() -> None:
    state = _decide(STATES["awaiting"], approve()).state
    assert (state.attempt, state.expires) == (12, NOW + datetime.timedelta(days=1))


def test_whoever_asked_for_the_delivery_or_registered_the_version_does_not_approve_it() -> None:
    world = _World(STATES["failed"])
    world.hear(dataclasses.replace(requested(), person=ALICE))
    waiting = world.until(st.AwaitingApproval)
    assert waiting.delivery.people == (ALICE,)
    asked = dataclasses.replace(approve(), evidence=waiting.evidence)
    assert world.hear(asked) == Decision(waiting)
    by_registrar = dataclasses.replace(asked, person=f"tenant/{FACTS.registered_by}")
    assert world.hear(by_registrar) == Decision(waiting)
    assert world.hear(dataclasses.replace(asked, person=BOB, who="bob")).state != waiting


# Handing over --------------------------------------------------------------------------------------------------------


def test_the_endpoint_gets_what_was_screened_by_digests_alone() -> None:
    step = _decide(STATES["placing"], dm.ModelPlaced(3, ASSET, SHA, LATER))
    tell, remind = step.commands
    assert tell == Tell(endpoint_key(DEV.target), RolloutWanted(DEV, CANDIDATE, KEY, LATER))
    assert remind == After(ROLLOUT_DEADLINE, Remind(4))
    assert step.state.candidate == CANDIDATE


ENDED: dict[str, tuple[Any, type[Any], list[str]]] = {
    "serving": ("serving", st.Recording, ["KeepRecord"]),
    "failed": ("failed", st.DeliveryFailed, ["Tidegate.ModelRejected"]),
    "rolled back, which the endpoint has told": ("rolled-back", st.DeliveryRolledBack, []),
    "superseded": ("superseded", st.DeliverySuperseded, []),
    "rejected": ("rejected", st.ModelRejected, ["Tidegate.ModelRejected"]),
    "errored": ("errored", st.DeliveryErrored, ["Tidegate.DeliveryErrored"]),
}


@pytest.mark.parametrize(("outcome", "after", "commands"), ENDED.values(), ids=ENDED.keys())
def test_the_endpoint_says_what_became_of_it(outcome: Any, after: type[Any], commands: list[str]) -> None:
    step = _decide(STATES["rolling"], stage_ended(outcome))
    assert (type(step.state), _names(step)) == (after, commands)
    assert step.state.stage == "dev"
    if after is not st.Recording:
        assert st.reason_of(step.state) == "said so"


OTHERS = {
    "another stage": stage_ended(stage="int"),
    "another version": stage_ended(candidate="litter:8"),
    "an earlier wish": stage_ended(at=NOW - datetime.timedelta(seconds=11)),
}


@pytest.mark.parametrize("event", OTHERS.values(), ids=OTHERS.keys())
def test_an_answer_to_something_else_means_nothing(event: Any) -> None:
    assert _decide(STATES["rolling"], event) == Decision(STATES["rolling"])


def test_an_endpoint_whose_clock_is_a_little_behind_is_heard() -> None:
    at = NOW - datetime.timedelta(seconds=10)
    assert isinstance(_decide(STATES["rolling"], stage_ended(at=at)).state, st.Recording)


def test_the_end_of_an_earlier_wish_that_comes_twice_does_not_end_the_next_one() -> None:
    failed = stage_ended("failed")
    world = _World(STATES["rolling"])
    world.hear(failed)
    world.hear(requested())
    at = LATER + datetime.timedelta(minutes=1)
    for _ in range(3):
        world.answered(at)
    rolling = world.state
    assert isinstance(rolling, st.RollingOut)
    assert world.hear(failed) == Decision(rolling)
    assert isinstance(world.hear(dataclasses.replace(failed, at=at)).state, st.DeliveryFailed)


def test_an_endpoint_that_says_nothing_for_two_weeks_is_an_error() -> None:
    step = _decide(STATES["rolling"], Reminded(4, NOW + datetime.timedelta(seconds=ROLLOUT_DEADLINE)))
    assert isinstance(step.state, st.DeliveryErrored)
    assert st.reason_of(step.state) == "the endpoint said nothing for 14 days"


EARLIER = NOW - datetime.timedelta(hours=1)
PUT_BACK: dict[str, tuple[str, Any, bool]] = {
    "delivered": ("delivered", stage_ended("rolled-back", "pro"), True),
    "delivered, an earlier stage": ("delivered", stage_ended("rolled-back", "int"), True),
    "delivered, an earlier wish": ("delivered", stage_ended("rolled-back", "int", at=EARLIER), False),
    "delivered, another version": ("delivered", stage_ended("rolled-back", "int", candidate="litter:8"), False),
    "delivered, and said to serve again": ("delivered", stage_ended("serving", "pro"), False),
    "the next stage waits for approval": ("awaiting", stage_ended("rolled-back", "int"), True),
    "the next stage has not been there yet": ("awaiting", stage_ended("rolled-back", "pro"), False),
    "its record is being kept": ("recording", stage_ended("rolled-back", "dev"), True),
    "its record is being kept, an earlier wish": ("recording", stage_ended("rolled-back", "dev", at=EARLIER), False),
}


@pytest.mark.parametrize(("state", "event", "ends"), PUT_BACK.values(), ids=PUT_BACK.keys())
def test_a_stage_that_is_put_back_later_ends_the_delivery(state: str, event: Any, ends: bool) -> None:
    step = _decide(STATES[state], event)
    assert isinstance(step.state, st.DeliveryRolledBack) == ends
    if ends:
        assert (step.state.stage, step.commands) == (event.stage, ())
    else:
        assert step == Decision(STATES[state])


@pytest.mark.parametrize("name", ["rolling-pro", "releasing-running"])
def test_a_stage_that_is_put_back_while_a_later_one_is_under_way_ends_the_delivery_after_that(name: str) -> None:
    back = stage_ended("rolled-back", "dev")
    noted = _decide(STATES[name], back)
    assert type(noted.state) is type(STATES[name])
    assert noted.commands == ()
    assert _decide(noted.state, back) == Decision(noted.state)
    done = stage_ended("serving", "pro") if name == "rolling-pro" else answers(8)["release-succeeded"]
    recording = _decide(noted.state, done).state
    ended = _decide(recording, dm.RecordKept(recording.attempt, "https://e", LATER))
    assert isinstance(ended.state, st.DeliveryRolledBack)
    assert (ended.state.stage, ended.state.reason, ended.commands) == ("dev", "said so", ())
    assert ended.state.attempt == recording.attempt + 1
    assert [each.stage for each in ended.state.delivery.passed if each.put_back] == ["dev"]


# Another system's pipeline -------------------------------------------------------------------------------------------

RELEASED: dict[str, tuple[str, str, type[Any], list[str], str]] = {
    "started": ("releasing", "release-started", st.Releasing, ["CheckRelease after 0.3 s"], ""),
    "started again": ("releasing-running", "release-started", st.Releasing, [], ""),
    "running": ("releasing-running", "release-running-4", st.Releasing, ["CheckRelease after 1 s"], ""),
    "a look that comes again": ("releasing-running", "release-running-1", st.Releasing, [], ""),
    "running for too long": (
        "releasing-running",
        "release-overdue",
        st.DeliveryFailed,
        ["Tidegate.ModelRejected"],
        "release: run run-9 was not done within 3600 s",
    ),
    "succeeded": (
        "releasing-running",
        "release-succeeded",
        st.Recording,
        ["KeepRecord", "Tidegate.StageServing"],
        "",
    ),
    "failed": (
        "releasing-running",
        "release-failed",
        st.DeliveryFailed,
        ["Tidegate.ModelRejected"],
        "release: run run-9 failed: step deploy failed",
    ),
    "refused": ("releasing", "refused", st.DeliveryFailed, ["Tidegate.ModelRejected"], "release: refused"),
    "no answer": ("releasing", "errored", st.DeliveryErrored, ["Tidegate.DeliveryErrored"], "no answer"),
}


@pytest.mark.parametrize(("state", "answer", "after", "commands", "reason"), RELEASED.values(), ids=RELEASED.keys())
def test_a_pipeline_is_started_looked_at_and_waited_for(
    state: str, answer: str, after: type[Any], commands: list[str], reason: str
) -> None:
    step = _decide(STATES[state], answers(8)[answer])
    assert (type(step.state), _names(step)) == (after, commands)
    assert st.reason_of(step.state) == reason


def test_every_try_of_a_pipeline_is_a_run_of_its_own() -> None:
    (first,) = _decide(STATES["placing-pipeline"], dm.ModelPlaced(7, ASSET, SHA, LATER)).commands
    again = st.PlacingModel(delivery(gate(DEV, ELSEWHERE), FACTS, "dev"), 17, "app", NOW)
    (second,) = _decide(again, dm.ModelPlaced(17, ASSET, SHA, LATER)).commands
    assert (first.delivery, second.delivery) == (f"{KEY}#8", f"{KEY}#18")


def test_the_run_of_the_pipeline_is_in_the_record() -> None:
    keep, _ = _decide(STATES["releasing-running"], answers(8)["release-succeeded"]).commands
    assert json.loads(keep.statement)["predicate"]["rollout"]["release"] == "run-9"


# Recording -----------------------------------------------------------------------------------------------------------


def test_the_record_of_a_stage_says_what_the_endpoint_said() -> None:
    (keep,) = _decide(STATES["rolling-pro"], stage_ended("serving", "pro")).commands
    assert (keep.model, keep.stage, keep.attempt) == (MODEL, "pro", 15)
    predicate = json.loads(keep.statement)["predicate"]
    assert predicate["rollout"]["measured"]["memory"] == MEASURED.memory
    assert [each["person"] for each in predicate["approvals"]] == [ALICE, BOB]


def test_the_next_stage_begins_once_the_record_is_kept() -> None:
    step = _decide(STATES["recording"], dm.RecordKept(5, "https://evidence.example/dev.json", LATER))
    assert (type(step.state), step.state.stage, _names(step)) == (st.PlacingModel, "int", ["PlaceModel"])
    (passed,) = step.state.delivery.passed
    assert (passed.stage, passed.ended, passed.record) == ("dev", NOW, "https://evidence.example/dev.json")


def test_after_the_last_stage_it_is_delivered() -> None:
    step = _decide(STATES["recording-last"], dm.RecordKept(15, "https://evidence.example/pro.json", LATER))
    assert isinstance(step.state, st.Delivered)
    news = _published(step)
    assert (news["type"], news["stage"], news["endpoint"]) == ("Tidegate.ModelDelivered", "pro", "litter-pro")
    assert [passed.stage for passed in step.state.delivery.passed] == ["dev", "int", "pro"]


# Rejection by a person -----------------------------------------------------------------------------------------------


def test_a_rejection_blocks_the_version_at_every_endpoint_of_its_gate() -> None:
    step = _decide(STATES["rolling"], reject())
    assert isinstance(step.state, st.ModelRejected)
    assert (step.state.cause, step.state.by, step.state.stage) == ("rejected", reject().who, "dev")
    told = [command for command in step.commands if isinstance(command, Tell)]
    assert [(each.key, each.event.target) for each in told] == [
        (endpoint_key(each.target), each.target) for each in (DEV, INT, PRO)
    ]
    assert told[0].event == VersionRejected(NAME, DEV.target, reject().who, "it is biased", LATER)
    assert _published(step)["by"] == reject().who


def test_two_stages_at_one_endpoint_are_told_once_and_pipelines_not_at_all() -> None:
    twice = gate(DEV, stage("again", target=DEV.target), ELSEWHERE)
    step = _decide(st.Delivered(delivery(twice), 9), reject())
    assert _names(step) == ["VersionRejected", "Tidegate.ModelRejected"]


@pytest.mark.parametrize("answer", ["placed", "kept", "described", "reminded", "errored"])
def test_what_comes_after_a_rejection_changes_nothing(answer: str) -> None:
    state = STATES["rejected-by-person"]
    for attempt in (12, 13):
        assert _decide(state, answers(attempt)[answer]) == Decision(state)


# Stories -------------------------------------------------------------------------------------------------------------


def test_a_version_goes_through_every_stage_and_is_delivered() -> None:
    world = _World()
    world.hear(registered())
    waiting = world.until(st.AwaitingApproval)
    world.hear(approve(evidence=waiting.evidence))
    world.hear(approve(BOB, evidence=waiting.evidence))
    delivered = world.until(st.Delivered)
    assert [(passed.stage, len(passed.votes)) for passed in delivered.delivery.passed] == [
        ("dev", 0),
        ("int", 0),
        ("pro", 2),
    ]
    assert [name for name in world.said if not name.startswith("Remind")] == [
        "DescribeModel",
        "ChampionAsked",
        *(["PlaceModel", "RolloutWanted", "KeepRecord"] * 2),
        "PlaceModel",
        "Tidegate.ApprovalNeeded",
        "PlaceModel",
        "RolloutWanted",
        "KeepRecord",
        "Tidegate.ModelDelivered",
    ]


def test_files_that_change_after_the_approval_void_it() -> None:
    world = _World(STATES["awaiting-one-more"])
    world.hear(approve(BOB))
    step = world.answered(sha256=OTHER_SHA)
    assert isinstance(step.state, st.ModelRejected)
    assert "RolloutWanted" not in world.said


def test_a_new_delivery_takes_new_approvals() -> None:
    world = _World(STATES["rolled-back"])
    world.hear(requested())
    waiting = world.until(st.AwaitingApproval)
    assert waiting.votes == ()
    assert world.hear(approve(at=waiting.since - datetime.timedelta(seconds=1))) == Decision(waiting)


@pytest.mark.parametrize("outcome", ["failed", "rolled-back", "superseded", "errored", "rejected"])
def test_a_stage_that_ends_badly_is_the_last(outcome: Any) -> None:
    world = _World(STATES["rolling"])
    ended = world.hear(stage_ended(outcome)).state
    for attempt in (4, 5):
        for answer in answers(attempt).values():
            world.hear(answer)
    assert world.state == ended
    assert "PlaceModel" not in world.said


# For people ----------------------------------------------------------------------------------------------------------


def test_a_delivery_is_listed_under_its_model_and_version() -> None:
    assert FLOW.listing(st.Unregistered()) is None
    ignored = FLOW.listing(STATES["ignored"])
    assert ignored is not None
    assert (ignored.state, ignored.repository, ignored.tags) == ("ModelIgnored", "litter", ("7",))
    listing = FLOW.listing(STATES["rejected-screening"])
    assert listing is not None
    assert (listing.state, listing.digest, listing.reason) == ("ModelRejected", SHA, "too big; too bad")
    frozen = FLOW.listing(STATES["frozen"])
    assert frozen is not None
    assert (frozen.reason, frozen.tags) == ("dev is frozen until 2026-03-02 09:00 UTC", ("7", "dev"))


EXPLAINED: dict[str, tuple[dm.Event, str, Explanation]] = {
    "a registration": (registered(), "describing", Explanation("the workspace", "it was registered")),
    "a request": (requested(), "describing", Explanation("dora@team.example", "its event never came")),
    "a yes": (approve(), "awaiting-one-more", Explanation("1@team.example", "approve: looks good", EVIDENCE)),
    "a no": (reject(), "rejected-by-person", Explanation("1@team.example", "reject: it is biased")),
    "a stage's end": (stage_ended("failed"), "failed", Explanation("tidegate", "dev: said so")),
    "a record": (
        dm.RecordKept(5, "https://e", LATER),
        "placing",
        Explanation("tidegate", "the record is kept", "https://e"),
    ),
    "a run": (dm.ReleaseStarted(8, "run-9", LATER), "releasing-running", Explanation("tidegate", "run run-9")),
    "a refusal": (
        CommandRefused(1, "no such version", LATER),
        "rejected-missing",
        Explanation("tidegate", "no such version"),
    ),
    "a screening": (ChampionTold(2, None, LATER), "rejected-screening", Explanation("tidegate", "too big; too bad")),
    "nothing to say": (ChampionTold(2, None, LATER), "placing", Explanation("tidegate", "")),
}


@pytest.mark.parametrize(("event", "after", "explanation"), EXPLAINED.values(), ids=EXPLAINED.keys())
def test_the_audit_says_who_and_why(event: dm.Event, after: str, explanation: Explanation) -> None:
    assert FLOW.explain(event, STATES[after]) == explanation


def test_a_record_is_named_by_workspace_model_and_version() -> None:
    assert key(MODEL) == KEY
