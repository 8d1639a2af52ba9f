"""What people ask of an endpoint: rollback, hold, release, and versions that must not serve."""

from __future__ import annotations

import dataclasses

import pytest

from tests.flows.endpoint_play import Play
from tests.flows.endpoint_samples import (
    FLOW,
    QUICK,
    STATES,
    TARGET,
    at,
    book,
    deployment,
    live,
    served,
    wanted,
)
from tests.simulator.endpoint_service import Nature
from tidegate.flows.base import Decision, Publish
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import endpoint_states as es
from tidegate.flows.endpoints import rollout_messages as rm
from tidegate.flows.endpoints.endpoint_rollout import rollback_target


def delivered(*versions: int, play: Play | None = None) -> Play:
    play = play or Play()
    for version in versions:
        play.hear(wanted(version, version, QUICK))
        play.run()
    return play


def rolling(play: Play | None = None) -> Play:
    """Version 2 has half of the traffic."""
    play = delivered(1, play=play)
    play.hear(wanted(2, 2, QUICK))
    return play.until(es.WatchingTraffic)


def rollback(play: Play, seconds: float = 0) -> None:
    moment = play.clock.now() + (at(seconds) - at(0))
    play.hear(rm.RollbackRequested(TARGET, "ann", "it is slow", moment))


def reject(play: Play, version: int) -> None:
    play.hear(rm.VersionRejected(f"digits:{version}", TARGET, "bob", "bias", play.clock.now()))


def hold(play: Play) -> None:
    play.hear(rm.HoldRequested(TARGET, "ann", "audit", play.clock.now()))


def release(play: Play) -> None:
    play.hear(rm.ReleaseRequested(TARGET, "ann", "done", play.clock.now()))


# Rollback ------------------------------------------------------------------------------------------------------------


def test_a_rollback_deploys_the_last_good_version_again_tests_it_and_holds_the_endpoint() -> None:
    play = delivered(1, 2)
    target = rollback_target(play.state)
    assert target is not None
    assert target.name == "digits:1"
    began = len(play.commands)
    rollback(play)
    play.run()
    asked = [type(each).__name__ for each in play.commands[began:] if type(each).__name__ != "CheckDeployment"]
    assert asked[:5] == ["EnsureEndpoint", "CreateDeployment", "SmokeTest", "ShiftTraffic", "CheckEndpoint"]
    assert (play.shares(), play.there(), play.champion()) == ({"1": 100}, {"1"}, "digits:1")
    assert play.outcomes()[-1] == ("digits:2", "rolled-back")
    assert play.told[-1].reason == (
        "rolled back by ann: it is slow; digits:1 serves again, which was gone and was deployed again"
    )
    assert play.state.book.hold == es.EndpointHold("ann", "it is slow", play.state.book.hold.at, rollback=True)
    assert sum(each.type == "Tidegate.RolledBack" for each in play.published) == 1


def test_a_rollback_in_mid_rollout_gives_it_up_and_holds() -> None:
    play = rolling()
    rollback(play)
    play.hear(wanted(3, 3, QUICK))
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "rolled-back")]
    assert (play.shares(), play.there()) == ({"1": 100}, {"1"})
    assert play.state.book.waiting is not None
    play.hear(wanted(4, 4, QUICK))
    release(play)
    play.run()
    assert play.outcomes()[2:] == [("digits:3", "superseded"), ("digits:4", "serving")]


def test_a_rollback_that_is_asked_for_twice_goes_back_once() -> None:
    play = delivered(1, 2, 3)
    for _ in range(2):
        rollback(play)
        rollback(play, 1)
        play.run()
    assert play.champion() == "digits:2"
    assert rollback_target(play.state) is None
    release(play)
    asked_then = play.state.book.returned
    step = FLOW.decide(play.state, rm.RollbackRequested(TARGET, "ann", "it is slow", asked_then))
    assert step == Decision(play.state)


def test_after_a_release_a_rollback_goes_back_one_more() -> None:
    play = delivered(1, 2, 3)
    for _ in range(2):
        rollback(play, 1)
        play.run()
        play.clock.advance(10)
        release(play)
        play.clock.advance(10)
    assert play.champion() == "digits:1"


def test_where_there_is_nobody_to_go_back_to_a_rollback_changes_nothing() -> None:
    play = delivered(1)
    assert rollback_target(play.state) is None
    before = play.state
    rollback(play)
    assert play.state == before


def test_a_rollback_before_any_traffic_touches_none() -> None:
    play = delivered(1)
    play.hear(wanted(2, 2, QUICK))
    play.until(es.SmokeTesting)
    rollback(play)
    play.run()
    assert play.shifts() == [{"1": 100}]
    assert play.outcomes()[-1] == ("digits:2", "rolled-back")
    assert play.there() == {"1"}


def test_a_rollback_waits_for_the_change_that_is_under_way() -> None:
    play = delivered(1)
    play.hear(wanted(2, 2, QUICK))
    play.until(es.ShiftingTraffic)
    rollback(play)
    assert isinstance(play.state, es.ShiftingTraffic)
    play.run()
    assert play.shifts() == [{"1": 100}, {"1": 50, "2": 50}, {"1": 100}]


def test_a_version_that_cannot_be_brought_back_gives_way_to_the_one_before_it() -> None:
    play = delivered(1, 2, 3)
    play.service._nature = {"2": Nature(refused="OutOfQuota: 8 cores")}
    rollback(play)
    play.run()
    assert (play.champion(), play.shares()) == ("digits:1", {"1": 100})
    assert "digits:2 could not be put back: OutOfQuota: 8 cores" in play.told[-1].reason


def test_where_nothing_can_be_brought_back_what_serves_stays_and_people_are_told() -> None:
    play = delivered(1, 2)
    play.service._nature = {"1": Nature(refused="OutOfQuota: 8 cores")}
    rollback(play)
    play.run()
    assert (play.champion(), play.shares(), play.there()) == ("digits:2", {"2": 100}, {"2"})
    assert play.outcomes()[-1] == ("digits:2", "errored")
    assert play.state.book.hold is not None
    assert play.published[-1].type == "Tidegate.DeliveryErrored"


def test_a_champion_whose_deployment_is_gone_is_made_again_before_it_gets_traffic() -> None:
    play = rolling()
    play.service.weights = dataclasses.replace(play.service.weights, live=((deployment(2), 100),))
    play.service.end_without_traffic(deployment(1))
    rollback(play)
    play.run()
    assert play.shares() == {"1": 100}
    assert "digits:1 serves again, which was gone and was deployed again" in play.told[-1].reason


def test_a_version_to_go_back_to_gets_a_second_smoke_test() -> None:
    play = delivered(1, 2)
    play.service._nature = {"1": Nature(mute=True)}
    rollback(play)
    play.until(es.SmokeTesting)
    play.run(lambda play: isinstance(play.state, es.CreatingDeployment) and play.state.course.smokes == 1)
    play.service._nature = {}
    play.run()
    assert (play.champion(), play.shares()) == ("digits:1", {"1": 100})


def test_what_others_serve_where_nobody_of_ours_does_is_left_alone() -> None:
    play = delivered(1)
    reject(play, 1)
    play.until(es.SettledEndpoint)
    play.service.weights = live((9, 100))
    play.run()
    assert play.service.weights == live((9, 100))


TARGETS = {
    "unknown": None,
    "empty": None,
    "serving": "digits:0",
    "held": None,
    "held after a rollback": None,
    "creating": "digits:1",
    "shifting all, the first": None,
    "soaking": "digits:1",
    "shifting back": "digits:1",
}


@pytest.mark.parametrize(("name", "target"), TARGETS.items(), ids=TARGETS.keys())
def test_who_would_serve_after_a_rollback_is_known_beforehand(name: str, target: str | None) -> None:
    found = rollback_target(STATES[name])
    assert (found.name if found else None) == target


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_a_rollback_changes_something_exactly_where_it_has_a_target(state: es.State) -> None:
    step = FLOW.decide(state, rm.RollbackRequested(TARGET, "ann", "slow", at(50)))
    assert (step == Decision(state)) == (rollback_target(state) is None)


# Hold and release ----------------------------------------------------------------------------------------------------


def test_on_an_endpoint_that_is_held_nothing_begins_until_it_is_released() -> None:
    play = delivered(1)
    hold(play)
    play.hear(wanted(2, 2, QUICK))
    play.run()
    assert play.there() == {"1"}
    release(play)
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "serving")]


def test_a_rollout_that_is_held_keeps_its_traffic_and_goes_on_when_released() -> None:
    play = rolling()
    hold(play)
    play.run()
    assert isinstance(play.state, es.PausedRollout)
    assert play.shares() == {"1": 50, "2": 50}
    release(play)
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "serving")]


def test_a_rollout_that_is_held_before_any_traffic_gets_none() -> None:
    play = delivered(1)
    play.hear(wanted(2, 2, QUICK))
    play.until(es.CreatingDeployment)
    hold(play)
    play.run()
    assert play.shares() == {"1": 100}
    release(play)
    play.run()
    assert play.champion() == "digits:2"


def test_in_a_hold_even_what_is_worse_stays_until_it_is_released() -> None:
    play = rolling(Play({"2": Nature(failures=0.5)}))
    hold(play)
    play.run()
    assert play.shares() == {"1": 50, "2": 50}
    assert "answers failed" in play.state.reason
    release(play)
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "rolled-back")]


def test_a_soak_that_is_held_does_not_end() -> None:
    play = rolling()
    play.run(lambda play: isinstance(play.state, es.WatchingTraffic) and play.state.course.is_last)
    hold(play)
    end = play.clock.now() + (at(3 * QUICK.soak) - at(0))
    play.run(lambda play: play.clock.now() > end)
    assert play.there() == {"1", "2"}
    release(play)
    play.run()
    assert play.there() == {"2"}


def test_a_pause_does_not_expire_while_the_endpoint_is_held() -> None:
    play = rolling(Play({"2": Nature(requests=10)}))
    play.until(es.PausedRollout)
    hold(play)
    play.run()
    assert isinstance(play.state, es.PausedRollout)
    assert play.state.held
    assert play.shares() == {"1": 50, "2": 50}


def test_a_rollback_is_noted_on_a_hold_that_was_there() -> None:
    play = delivered(1, 2)
    hold(play)
    rollback(play, 1)
    play.run()
    assert play.champion() == "digits:1"
    assert (play.state.book.hold.why, play.state.book.hold.rollback) == ("audit", True)


def test_traffic_that_was_divided_by_hand_stays_so_in_a_hold() -> None:
    play = rolling()
    hold(play)
    play.service.divide(live((1, 100)))
    play.run()
    assert play.shares() == {"1": 100}
    assert isinstance(play.state, es.PausedRollout)
    release(play)
    play.run()
    assert play.champion() == "digits:2"


def test_a_late_hold_or_release_changes_nothing() -> None:
    play = delivered(1)
    early = play.clock.now()
    play.clock.advance(5)
    hold(play)
    play.clock.advance(5)
    held = play.state
    play.hear(rm.ReleaseRequested(TARGET, "ann", "late", early))
    assert play.state == held
    release(play)
    free = play.state
    play.hear(rm.HoldRequested(TARGET, "ann", "audit", early))
    assert play.state == free


# Rejections ----------------------------------------------------------------------------------------------------------


def test_a_version_that_is_rejected_in_mid_rollout_goes() -> None:
    play = rolling()
    reject(play, 2)
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "rejected")]
    assert (play.shares(), play.there()) == ({"1": 100}, {"1"})
    assert play.state.book.hold is None


def test_a_champion_that_is_rejected_gives_way_to_the_last_good_version() -> None:
    play = delivered(1, 2, 3)
    reject(play, 2)
    reject(play, 3)
    play.run()
    assert (play.champion(), play.shares(), play.there()) == ("digits:1", {"1": 100}, {"1"})
    assert play.outcomes()[-1] == ("digits:3", "rejected")
    assert play.state.book.hold is None
    assert play.state.book.former == ()


def test_a_rejected_champion_without_a_good_one_before_it_stops_serving() -> None:
    play = delivered(1)
    reject(play, 1)
    play.run()
    assert (play.champion(), play.shares(), play.there()) == ("", {}, set())
    assert "nothing serves" in play.told[-1].reason


def test_a_rejected_version_is_never_taken_again() -> None:
    play = delivered(1)
    reject(play, 2)
    play.hear(wanted(2, 2, QUICK))
    assert play.outcomes()[1:] == [("digits:2", "rejected")]
    assert play.there() == {"1"}


def test_a_version_that_is_rejected_while_it_waits_is_told() -> None:
    play = rolling()
    play.hear(wanted(3, 3, QUICK))
    reject(play, 3)
    assert play.outcomes()[1:] == [("digits:3", "rejected")]
    play.run()
    assert play.champion() == "digits:2"


def test_a_champion_that_is_rejected_while_the_next_is_rolled_out_goes_first_and_the_rollout_begins_anew() -> None:
    play = delivered(1, 2)
    play.hear(wanted(3, 3, QUICK))
    play.until(es.WatchingTraffic)
    reject(play, 2)
    play.run()
    assert play.outcomes()[2:] == [("digits:2", "rejected"), ("digits:3", "serving")]
    assert play.shifts()[-4:] == [{"2": 50, "3": 50}, {"1": 100}, {"1": 50, "3": 50}, {"3": 100}]
    assert play.there() == {"3"}
    assert [what for what, name, _ in play.service.changes if name == deployment(3)] == ["created"]


def test_a_version_rejected_on_the_way_back_to_it_goes_as_well() -> None:
    play = delivered(1, 2, 3)
    rollback(play)
    play.until(es.ShiftingTraffic)
    reject(play, 2)
    play.run()
    assert (play.champion(), play.shares()) == ("digits:1", {"1": 100})


def test_a_version_rejected_while_old_deployments_are_deleted_goes_after_that() -> None:
    play = delivered(1)
    play.hear(wanted(2, 2, QUICK))
    play.until(es.RemovingDeployments)
    reject(play, 2)
    play.run()
    assert (play.champion(), play.shares(), play.there()) == ("digits:1", {"1": 100}, {"1"})


def test_a_candidate_that_waits_to_begin_anew_and_is_superseded_leaves_no_deployment_behind() -> None:
    play = delivered(1, 2)
    play.hear(wanted(3, 3, QUICK))
    play.until(es.WatchingTraffic)
    reject(play, 2)
    play.hear(wanted(4, 4, QUICK))
    play.run()
    assert play.outcomes()[2:] == [("digits:3", "superseded"), ("digits:2", "rejected"), ("digits:4", "serving")]
    assert play.there() == {"4"}


def test_the_rejected_version_that_is_forgotten_is_announced() -> None:
    full = es.SettledEndpoint(book(blocked=tuple(f"old:{number}" for number in range(books.BLOCKED))), 3)
    step = FLOW.decide(full, rm.VersionRejected("digits:9", TARGET, "bob", "bias", at(0)))
    assert isinstance(step.state, es.SettledEndpoint)
    assert step.state.book.blocked[-1] == "digits:9"
    assert len(step.state.book.blocked) == books.BLOCKED
    (news,) = step.commands
    assert isinstance(news, Publish)
    assert "old:0 is no longer remembered" in str(dict(news.data)["reason"])


def test_former_champions_are_remembered_newest_first_up_to_a_bound() -> None:
    found = book(None)
    for version in range(1, 9):
        found = books.crowned(found, served(version))
    assert [each.candidate.name for each in found.former] == [f"digits:{version}" for version in (7, 6, 5, 4, 3)]
