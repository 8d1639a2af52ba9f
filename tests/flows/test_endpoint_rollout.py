"""Rollouts from beginning to end: what traffic does, what is deployed, and what deliveries are told."""

from __future__ import annotations

import dataclasses

import pytest

from tests.flows.endpoint_play import Play
from tests.flows.endpoint_samples import FLOW, GIB, QUICK, STAGE, TARGET, at, deployment, live, wanted
from tests.simulator.endpoint_service import Nature
from tidegate.flows.base import CommandErrored, CommandRefused
from tidegate.flows.endpoints import endpoint_states as es
from tidegate.flows.endpoints import rollout_messages as rm
from tidegate.flows.endpoints.endpoint_rollout import key
from tidegate.flows.models.model_gate import Stage
from tidegate.flows.reminders import Reminded

ALONE = dataclasses.replace(STAGE, target=dataclasses.replace(TARGET, kind="container-instance"))


def served(*versions: int, play: Play | None = None, stage: Stage = STAGE) -> Play:
    """An endpoint at which these were delivered, one after the other."""
    play = play or Play()
    for version in versions:
        play.hear(wanted(version, version, stage))
        play.run()
    return play


def test_the_first_version_gets_all_of_the_traffic_once_it_passed_its_smoke_test() -> None:
    play = served(1)
    assert play.outcomes() == [("digits:1", "serving")]
    assert play.shifts() == [{"1": 100}]
    assert play.champion() == "digits:1"
    smoke = next(i for i, each in enumerate(play.commands) if isinstance(each, rm.SmokeTest))
    shift = next(i for i, each in enumerate(play.commands) if isinstance(each, rm.ShiftTraffic))
    assert smoke < shift


def test_the_next_version_gets_traffic_in_steps_and_the_old_deployment_goes_after_the_soak() -> None:
    play = served(1)
    play.hear(wanted(2, 2))
    play.run(lambda play: isinstance(play.state, es.WatchingTraffic) and play.state.course.is_last)
    began = play.clock.now()
    assert play.shifts()[1:] == [{"1": 100, "~2": 20}, {"1": 90, "2": 10}, {"1": 50, "2": 50}, {"2": 100}]
    assert (play.champion(), play.told[1:]) == ("digits:1", [])
    play.until(es.RemovingDeployments)
    assert (play.clock.now() - began).total_seconds() >= STAGE.soak
    assert play.there() == {"1", "2"}
    play.run()
    assert play.there() == {"2"}
    assert play.champion() == "digits:2"
    assert play.outcomes()[1:] == [("digits:2", "serving")]
    assert play.told[1].measured is not None
    assert [each.type for each in play.published] == ["Tidegate.StageServing"] * 2


def test_every_step_but_the_last_lasts_its_window() -> None:
    play = served(1)
    play.hear(wanted(2, 2))
    for step in range(3):
        play.run(
            lambda play, step=step: isinstance(play.state, es.WatchingTraffic) and play.state.course.step == step  # type: ignore[misc]
        )
        began = play.clock.now()
        play.until(es.ShiftingTraffic)
        assert (play.clock.now() - began).total_seconds() >= STAGE.analysis.window


def test_a_target_that_cannot_divide_traffic_moves_all_of_it_at_once() -> None:
    play = Play(kind="container-instance")
    served(1, 2, play=play, stage=ALONE)
    assert play.shifts() == [{"1": 100}, {"2": 100}]
    assert play.outcomes() == [("digits:1", "serving"), ("digits:2", "serving")]


def test_without_a_soak_the_old_deployment_goes_as_soon_as_the_weights_are_read_back() -> None:
    play = served(1, 2, stage=dataclasses.replace(QUICK, soak=0))
    assert play.shifts()[1:] == [{"1": 50, "2": 50}, {"2": 100}]
    assert sum(isinstance(each, rm.ReadTraffic) for each in play.commands) == 1
    assert play.there() == {"2"}


# No traffic is touched -----------------------------------------------------------------------------------------------

UNFIT = {
    "quota": (Nature(refused="OutOfQuota: 8 cores of 6"), "OutOfQuota: 8 cores of 6"),
    "a deployment that does not start": (Nature(broken="PodOutOfMemory"), "PodOutOfMemory: it ended"),
    "a smoke test that fails": (Nature(mute=True), "smoke test: sample 1: answered 500"),
    "too much memory": (
        Nature(memory=int(1.9 * GIB)),
        "will not fit: 1.9 GiB of 1.5 GiB memory (fit.memory: 75 % of 2.0 GiB)",
    ),
    "too slow an answer": (Nature(p95=0.35), "too slow: p95 350 ms of at most 200 ms (fit.latency)"),
}


@pytest.mark.parametrize(("nature", "reason"), UNFIT.values(), ids=UNFIT.keys())
def test_what_does_not_fit_ends_with_its_reason_and_without_any_traffic(nature: Nature, reason: str) -> None:
    play = served(1, 2, play=Play({"2": nature}))
    assert play.outcomes()[1:] == [("digits:2", "failed")]
    assert play.told[1].reason == reason
    assert play.shifts() == [{"1": 100}]
    assert (play.champion(), play.there()) == ("digits:1", {"1"})
    assert not any(each.type == "Tidegate.RolledBack" for each in play.published)


def test_an_artefact_that_is_too_large_is_never_deployed() -> None:
    play = served(1)
    play.hear(wanted(2, 2, size=int(1.5 * GIB)))
    assert play.told[1].reason == "will not fit: 1.5 GiB of 1.0 GiB artefact (fit.size)"
    assert play.told[1].outcome == "failed"
    assert [what for what, _, _ in play.service.changes].count("created") == 1


def test_a_deployment_that_starts_too_slowly_does_not_fit() -> None:
    play = Play({})
    play.hear(wanted(1, stage=dataclasses.replace(STAGE, fit=dataclasses.replace(STAGE.fit, startup=30))))
    play.run()
    assert play.told[0].reason == "starts too slowly: 60 s of at most 30 s (fit.startup)"


def test_a_deployment_that_is_never_ready_is_given_up_after_an_hour() -> None:
    play = Play()
    play.service._deploy_seconds = 10 * 3600
    play.hear(wanted(1))
    play.until(es.RemovingDeployments)
    assert play.outcomes() == [("digits:1", "failed")]
    assert play.told[0].reason == "the deployment is not ready after 3600 s"
    assert 3600 < (play.clock.now() - play.service.deployments[deployment(1)].ready_at).total_seconds() + 36000 < 3700


def test_a_smoke_test_is_tried_once_more_before_it_counts() -> None:
    def recovers(play: Play) -> None:
        if isinstance(play.state, es.CreatingDeployment) and play.state.course.smokes:
            play.service._nature = {}

    play = served(1, play=Play({"1": Nature(mute=True)}, watch=recovers))
    assert play.outcomes() == [("digits:1", "serving")]


def test_an_endpoint_that_others_serve_is_left_alone() -> None:
    play = Play()
    play.service.exists = True
    play.service.weights = live((9, 100))
    play.hear(wanted(1))
    play.run()
    assert play.outcomes() == [("digits:1", "failed")]
    assert "served by others" in play.told[0].reason
    assert play.service.weights == live((9, 100))


# Worse, and inconclusive ---------------------------------------------------------------------------------------------


def test_what_is_worse_is_rolled_back_and_its_deployment_goes() -> None:
    play = served(1, 2, play=Play({"2": Nature(failures=0.1)}))
    assert play.shifts() == [{"1": 100}, {"1": 100, "~2": 20}, {"1": 100}]
    assert play.outcomes()[1:] == [("digits:2", "rolled-back")]
    assert play.told[1].reason == (
        "200 of 2000 answers failed: 10 % of at most 2 % (analysis.errors); digits:1 serves again"
    )
    assert (play.champion(), play.there()) == ("digits:1", {"1"})
    (news,) = [each for each in play.published if each.type == "Tidegate.RolledBack"]
    assert (news.subject, dict(news.data)["endpoint"]) == ("digits:2", "digits-pro")


def test_what_turns_out_worse_in_the_soak_goes_back_to_the_deployment_that_is_still_warm() -> None:
    def sours(play: Play) -> None:
        if play.shares() == {"2": 100}:
            play.service._nature = {"2": Nature(failures=0.5)}

    play = served(1, 2, play=Play(watch=sours))
    assert play.shifts()[-2:] == [{"2": 100}, {"1": 100}]
    assert play.outcomes()[1:] == [("digits:2", "rolled-back")]
    assert [what for what, name, _ in play.service.changes if name == deployment(1)] == ["created"]


def paused() -> Play:
    play = served(1, play=Play({"2": Nature(requests=40)}), stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    return play.until(es.PausedRollout)


def test_a_step_about_which_nothing_can_be_said_pauses_and_people_are_asked() -> None:
    play = paused()
    assert play.shares() == {"1": 50, "2": 50}
    (news,) = [each for each in play.published if each.type == "Tidegate.RolloutPaused"]
    assert dict(news.data)["reason"] == "20 answers of 50 (analysis.requests)"


def test_a_pause_that_is_released_goes_on_to_the_next_step() -> None:
    play = paused()
    play.hear(rm.ReleaseRequested(TARGET, "ann", "looks fine", at(9000)))
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "serving")]


def test_a_pause_that_nobody_releases_is_rolled_back() -> None:
    play = paused()
    began = play.clock.now()
    play.until(es.CreatingDeployment)
    assert (play.clock.now() - began).total_seconds() == QUICK.analysis.expires
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "rolled-back")]
    assert "nobody released it within 3600 s" in play.told[1].reason
    assert play.shares() == {"1": 100}


def test_figures_that_cannot_be_read_are_inconclusive() -> None:
    play = served(1, stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    play.run(lambda play: isinstance(play.state, es.WatchingTraffic) and play.state.reading)
    play.hear(CommandRefused(play.state.attempt, "no permission", play.clock.now()))
    assert isinstance(play.state, es.WatchingTraffic)
    assert not play.state.reading


# Who comes next ------------------------------------------------------------------------------------------------------


def rolling() -> Play:
    play = served(1, stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    return play.until(es.WatchingTraffic)


def test_a_newer_version_waits_and_supersedes_the_one_that_waits() -> None:
    play = rolling()
    play.hear(wanted(3, 3, QUICK))
    play.hear(wanted(4, 4, QUICK))
    assert play.outcomes()[1:] == [("digits:3", "superseded")]
    play.run()
    assert play.outcomes()[1:] == [("digits:3", "superseded"), ("digits:2", "serving"), ("digits:4", "serving")]
    assert play.champion() == "digits:4"


@pytest.mark.parametrize("version", [0, 1, 2])
def test_an_older_version_than_what_serves_or_comes_is_superseded_at_once(version: int) -> None:
    play = rolling()
    play.hear(wanted(3, 3, QUICK))
    if version == 2:
        play.hear(wanted(5, 5, QUICK))
        play.hear(wanted(4, 6, QUICK))
        assert play.told[-1].candidate == "digits:4"
    else:
        play.hear(wanted(version, 6, QUICK))
    assert play.told[-1].outcome == ("serving" if version == 1 else "superseded")


def test_the_champion_is_told_again_that_it_serves() -> None:
    play = served(1)
    play.hear(wanted(1, 50))
    assert play.outcomes() == [("digits:1", "serving")] * 2
    assert isinstance(play.state, es.SettledEndpoint)


def test_a_wish_that_comes_twice_changes_nothing_even_after_its_end() -> None:
    play = served(1, 2, play=Play({"2": Nature(mute=True)}))
    before = (play.state, len(play.told))
    play.hear(wanted(2, 2))
    assert (play.state, len(play.told)) == before


def test_a_failed_version_may_be_asked_for_again() -> None:
    play = served(1, 2, play=Play({"2": Nature(mute=True)}))
    play.service._nature = {}
    play.hear(wanted(2, 60))
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "failed"), ("digits:2", "serving")]


def test_a_version_made_of_other_parts_than_the_one_that_serves_is_refused() -> None:
    play = served(1)
    play.hear(wanted(1, 50, image="tidegatehealthy.azurecr.io/scoring@sha256:" + "b" * 64))
    assert play.told[-1].outcome == "failed"
    assert "register a new version" in play.told[-1].reason


# When the endpoint is changed under the flow -------------------------------------------------------------------------


def once(condition: str, act: str) -> Play:
    """A play in which somebody acts once, when the challenger has this share."""
    done: list[bool] = []

    def watch(play: Play) -> None:
        if not done and f"{play.shares()}" == condition:
            done.append(True)
            if act == "delete":
                play.service.delete_endpoint()
            else:
                play.service.divide(live((1, 100)))

    return Play(watch=watch)


def test_an_endpoint_deleted_in_mid_rollout_is_made_again_with_the_champion_and_the_rollout_begins_anew() -> None:
    play = served(1, 2, play=once("{'1': 50, '2': 50}", "delete"), stage=QUICK)
    assert play.outcomes() == [("digits:1", "serving"), ("digits:2", "serving")]
    assert play.shifts() == [
        {"1": 100},
        {"1": 50, "2": 50},
        {"1": 100},
        {"1": 50, "2": 50},
        {"2": 100},
    ]


def test_an_endpoint_deleted_in_the_first_rollout_is_made_again() -> None:
    play = once("{'1': 100}", "delete")
    play.hear(wanted(1))
    play.run()
    assert play.shares() == {"1": 100}
    assert play.champion() == "digits:1"


def test_an_endpoint_that_is_deleted_again_and_again_ends_the_rollout_as_errored() -> None:
    def deletes(play: Play) -> None:
        if isinstance(play.state, es.WatchingTraffic):
            play.service.delete_endpoint()

    play = served(1, play=Play(watch=deletes), stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "errored")]
    assert "begun 3 times" in play.told[1].reason
    assert play.shares() == {"1": 100}


def test_traffic_that_somebody_else_divides_is_divided_again() -> None:
    play = served(1, 2, play=once("{'1': 50, '2': 50}", "divide"), stage=QUICK)
    assert play.outcomes()[1:] == [("digits:2", "serving")]
    assert play.shifts().count({"1": 50, "2": 50}) >= 1


def test_traffic_that_somebody_else_keeps_dividing_ends_the_rollout() -> None:
    def fights(play: Play) -> None:
        if "2" in play.shares() and isinstance(
            play.state.course if hasattr(play.state, "course") else None, es.Rollout
        ):
            play.service.divide(live((1, 100)))

    play = served(1, 2, play=Play(watch=fights), stage=QUICK)
    assert play.outcomes()[1:] == [("digits:2", "errored")]
    assert "somebody else divides the traffic" in play.told[1].reason
    assert play.shares() == {"1": 100}


def test_a_champion_that_is_not_found_serving_is_put_back_before_the_rollout() -> None:
    play = served(1, stage=QUICK)
    play.service.delete_endpoint()
    play.hear(wanted(2, 2, QUICK))
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "serving")]
    assert play.shifts() == [{"1": 100}, {"1": 100}, {"1": 50, "2": 50}, {"2": 100}]


def test_a_settled_endpoint_is_looked_at_and_put_right() -> None:
    play = Play()
    play.hear(wanted(1))
    play.until(es.SettledEndpoint)
    play.service.delete_endpoint()
    play.run()
    assert play.shares() == {"1": 100}
    assert play.state.book.repairs == 1
    assert sum(isinstance(each, rm.SmokeTest) for each in play.commands) == 2


def test_an_endpoint_that_people_hold_is_not_put_right() -> None:
    play = Play()
    play.hear(wanted(1))
    play.until(es.SettledEndpoint)
    play.hear(rm.HoldRequested(TARGET, "ann", "audit", play.clock.now()))
    play.service.delete_endpoint()
    play.run()
    assert play.shares() == {}


def test_what_is_put_right_again_and_again_is_left_to_people() -> None:
    def deletes(play: Play) -> None:
        if isinstance(play.state, es.SettledEndpoint) and play.champion():
            play.service.delete_endpoint()

    play = Play(watch=deletes)
    play.hear(wanted(1))
    play.run()
    assert play.state.book.fault == "the endpoint was lost: it is not there"
    assert play.published[-1].type == "Tidegate.DeliveryErrored"


def test_a_command_without_an_answer_ends_the_rollout_and_puts_the_champion_back() -> None:
    play = served(1, stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    play.until(es.ShiftingTraffic)
    play.hear(CommandErrored(play.state.attempt, "timed out", play.clock.now()))
    play._outbox = [
        each for each in play._outbox if not isinstance(each[2], rm.ShiftTraffic) or each[2].weights == live((1, 100))
    ]
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "errored")]
    assert play.shares() == {"1": 100}


def test_a_deployment_that_cannot_be_deleted_is_named_and_holds_nothing_up() -> None:
    play = served(1, stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    play.until(es.RemovingDeployments)
    play.hear(CommandRefused(play.state.attempt, "locked", play.clock.now()))
    assert isinstance(play.state, es.SettledEndpoint)
    assert play.state.book.fault == f"{deployment(1)} could not be deleted: locked"
    assert play.published[-1].type == "Tidegate.DeliveryErrored"


def removals(play: Play) -> list[str]:
    return [name for what, name, _ in play.service.changes if what == "removed"]


def test_a_deployment_that_was_to_go_is_looked_for_and_holds_nothing_up() -> None:
    play = served(1)
    play.hear(wanted(2, 2))
    play.until(es.RemovingDeployments)
    play.run(lambda play: isinstance(play.state, es.SettledEndpoint))
    assert (play.state.book.going, play.there()) == ((deployment(1),), {"1", "2"})
    play.run()
    assert (play.state.book.going, play.there(), removals(play)) == ((), {"2"}, [deployment(1)])
    assert play.state.book.fault == ""


def test_a_deployment_that_stays_is_deleted_again_a_few_times_and_then_named() -> None:
    play = served(1, 2, play=Play({"1": Nature(stays=True)}))
    assert removals(play) == [deployment(1)] * 4
    fault = f"still there, though its deletion was asked for 4 times: {deployment(1)}"
    assert [dict(each.data)["reason"] for each in play.published if each.type == "Tidegate.DeliveryErrored"] == [fault]
    assert (play.state.book.fault, play.champion()) == (fault, "digits:2")
    play.hear(wanted(3, 3))
    play.run()
    assert (play.champion(), play.there()) == ("digits:3", {"1", "3"})


def test_what_is_to_go_is_looked_for_where_nobody_serves_too() -> None:
    play = served(1, play=Play({"1": Nature(stays=True)}))
    play.hear(rm.VersionRejected("digits:1", TARGET, "bob", "bias", play.clock.now()))
    play.run()
    assert (play.champion(), removals(play)) == ("", [deployment(1)] * 4)


def test_a_deployment_that_serves_again_is_not_deleted() -> None:
    play = served(1, 2, stage=QUICK)
    play.hear(wanted(3, 3, QUICK))
    play.run(lambda play: isinstance(play.state, es.SettledEndpoint))
    play.hear(rm.RollbackRequested(TARGET, "ann", "it is slow", play.clock.now()))
    play.run()
    assert (play.champion(), play.shares(), play.state.book.going) == ("digits:2", {"2": 100}, ())
    assert play.state.book.fault == ""


def test_a_smoke_test_that_is_never_answered_is_not_waited_for() -> None:
    play = served(1, stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    play.until(es.SmokeTesting)
    play.service.delete_endpoint()
    play.run()
    assert play.outcomes()[1:] == [("digits:2", "serving")]
    assert play.shifts()[1:] == [{"1": 100}, {"1": 50, "2": 50}, {"2": 100}]


def test_a_smoke_test_without_answers_ends_as_failed() -> None:
    play = served(1, stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    for _ in range(2):
        play.until(es.SmokeTesting)
        play.hear(Reminded(play.state.attempt, play.clock.now()))
    play.run()
    assert play.told[-1].reason == "smoke test: no answer within 900 s"
    assert play.outcomes()[1:] == [("digits:2", "failed")]


@pytest.mark.parametrize("share", ["{'1': 50, '2': 50}", "{'2': 100}"])
def test_figures_that_never_come_lead_to_a_look_at_the_endpoint(share: str) -> None:
    done: list[bool] = []

    def deletes(play: Play) -> None:
        is_reading = isinstance(play.state, es.WatchingTraffic) and play.state.reading
        if is_reading and not done and f"{play.shares()}" == share:
            done.append(True)
            play.service.delete_endpoint()

    play = served(1, 2, play=Play(watch=deletes), stage=QUICK)
    assert done
    assert play.outcomes()[1:] == [("digits:2", "serving")]
    assert play.shares() == {"2": 100}


def test_a_soak_does_not_wait_for_figures_for_ever() -> None:
    play = served(1, stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    play.run(lambda play: isinstance(play.state, es.WatchingTraffic) and play.state.course.is_last)
    play.run(lambda play: play.state.reading)
    late = play.state.since + (at(QUICK.soak + 1801) - at(0))
    play.hear(Reminded(play.state.attempt, late))
    assert play.outcomes()[1:] == [("digits:2", "serving")]


# For people ----------------------------------------------------------------------------------------------------------


def test_an_endpoint_is_listed_by_what_it_is_doing() -> None:
    called: list[str] = []

    def watch(play: Play) -> None:
        listing = FLOW.listing(play.state)
        assert listing is not None
        if not called or called[-1] != listing.state:
            called.append(listing.state)
        assert listing.repository == "digits-pro"

    play = served(1, 2, play=Play(watch=watch), stage=QUICK)
    assert called == [
        "CreatingDeployment",
        "SmokeTesting",
        "ShiftingTraffic",
        "Serving",
        "CreatingDeployment",
        "SmokeTesting",
        "ShiftingTraffic",
        "WatchingTraffic",
        "ShiftingTraffic",
        "Soaking",
        "RemovingDeployments",
        "Serving",
        "RemovingDeployments",  # seen gone
        "Serving",
    ]
    assert FLOW.listing(play.state) is not None


def test_looks_that_find_nothing_new_are_no_transitions() -> None:
    play = served(1, stage=QUICK)
    play.hear(wanted(2, 2, QUICK))
    step = FLOW.decide(play.state, rm.EndpointBusy(play.state.attempt, 1, play.clock.now()))
    assert step.state != play.state
    assert FLOW.explain(rm.EndpointBusy(play.state.attempt, 1, play.clock.now()), step.state) is None


def test_the_record_of_an_endpoint_is_named_without_case() -> None:
    assert key(TARGET) == "endpoint-rollout://mlw-pro/digits-pro"
    assert key(dataclasses.replace(TARGET, endpoint="Digits-Pro")) == key(TARGET)
