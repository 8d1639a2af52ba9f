"""A delivery and the endpoints of its stages meet by events alone, and come to the same end however often these come."""

from __future__ import annotations

import dataclasses

import pytest

from tests.flows.delivery_samples import DEV, GATE, INT, gate, stage
from tests.flows.delivery_world import World
from tidegate.flows.deliveries import delivery_states as st

QUICK = gate(DEV, INT)
EVERYWHERE = {"litter-dev", "litter-int"}


def served_by(world: World, number: int) -> set[str]:
    """Endpoints at which the version serves."""
    return {endpoint for endpoint, name in world.serving().items() if name == f"litter:{number}"}


def delivered(number: int, tellings: int = 1) -> World:
    """A world in which the version was delivered."""
    world = World(gate=QUICK, tellings=tellings)
    world.register(number)
    world.run()
    return world


@pytest.mark.parametrize("tellings", [1, 2, 3])
def test_a_version_goes_through_every_stage_however_often_it_is_told(tellings: int) -> None:
    world = World(tellings=tellings)
    world.register(1)
    world.run(3600)
    assert isinstance(world.delivery(1), st.AwaitingApproval)
    assert served_by(world, 1) == EVERYWHERE
    world.approve(1)
    world.run()
    assert isinstance(world.delivery(1), st.Delivered)
    assert served_by(world, 1) == {*EVERYWHERE, "litter-pro"}
    assert world.kinds().count("StageServing") == 3
    assert world.kinds().count("ModelDelivered") == 1


@pytest.mark.parametrize("tellings", [1, 2])
def test_a_version_that_fails_its_smoke_test_goes_no_further(tellings: int) -> None:
    world = delivered(1, tellings=tellings)
    world.mute.add("2")
    world.register(2)
    world.run()
    assert isinstance(world.delivery(2), st.DeliveryFailed)
    assert "answered 500" in world.delivery(2).reason
    assert served_by(world, 1) == EVERYWHERE
    assert world.kinds()[-1] == "ModelRejected"


def test_a_version_that_does_not_fit_gets_no_traffic() -> None:
    small = stage("dev", fit=dataclasses.replace(DEV.fit, size=1 << 20))
    world = World(gate=gate(small))
    world.register(1)
    world.run()
    assert isinstance(world.delivery(1), st.DeliveryFailed)
    assert world.weights == {}


@pytest.mark.parametrize("tellings", [1, 2])
def test_a_version_that_is_worse_in_traffic_is_rolled_back_and_goes_no_further(tellings: int) -> None:
    canary = gate(stage("dev", traffic=GATE.stages[-1].traffic), INT)
    world = World(gate=canary, tellings=tellings)
    world.register(1)
    world.run()
    world.bad.add("2")
    world.register(2)
    world.run()
    assert isinstance(world.delivery(2), st.DeliveryRolledBack)
    assert served_by(world, 1) == EVERYWHERE
    assert "RolledBack" in world.kinds()


@pytest.mark.parametrize("tellings", [1, 2])
def test_a_rejection_puts_the_last_good_version_back_everywhere_and_blocks_it(tellings: int) -> None:
    world = delivered(1, tellings=tellings)
    world.register(2)
    world.run()
    assert served_by(world, 2) == EVERYWHERE
    world.reject(2)
    world.run()
    assert isinstance(world.delivery(2), st.ModelRejected)
    assert served_by(world, 1) == EVERYWHERE
    before = world.delivery(2)
    world.ask(2, "r1")
    world.run()
    assert world.delivery(2) == before


def test_a_version_that_a_person_rolled_back_is_not_delivered_any_more_and_may_be_asked_for_again() -> None:
    world = delivered(1)
    world.register(2)
    world.run()
    assert isinstance(world.delivery(2), st.Delivered)
    world.roll_back("int")
    world.run()
    assert isinstance(world.delivery(2), st.DeliveryRolledBack)
    assert served_by(world, 1) == {"litter-int"}
    world.ask(2, "r1")
    world.run(86_400)
    assert isinstance(world.delivery(2), st.RollingOut)  # the endpoint is held
    world.release("int")
    world.run()
    assert isinstance(world.delivery(2), st.Delivered)
    assert served_by(world, 2) == EVERYWHERE


def test_of_two_versions_at_once_the_newer_serves_and_the_older_is_delivered_or_superseded() -> None:
    world = World(gate=QUICK)
    world.register(1)
    world.register(2)
    world.run()
    assert isinstance(world.delivery(2), st.Delivered)
    assert isinstance(world.delivery(1), st.Delivered | st.DeliverySuperseded)
    assert served_by(world, 2) == EVERYWHERE


def test_an_older_version_that_comes_late_is_superseded() -> None:
    world = delivered(2)
    world.register(1)
    world.run()
    assert isinstance(world.delivery(1), st.DeliverySuperseded)
    assert served_by(world, 2) == EVERYWHERE


def test_asking_again_for_what_failed_is_a_rollout_of_its_own() -> None:
    world = World(gate=QUICK)
    world.mute.add("1")
    world.register(1)
    world.run()
    assert isinstance(world.delivery(1), st.DeliveryFailed)
    world.mute.clear()
    world.ask(1, "r1")
    world.run()
    assert isinstance(world.delivery(1), st.Delivered)


def test_a_version_is_compared_with_what_serves_at_the_end_of_its_way() -> None:
    world = delivered(1)
    assert world.delivery(1).delivery.champion is None
    world.register(2)
    world.run()
    assert world.delivery(2).delivery.champion.name == "litter:1"
