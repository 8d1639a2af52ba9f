"""A registration becomes a record of its version: with the gate it meets, once, and also if its event never came."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tests.events.test_model_registered import changed
from tests.fakes import Fault, FaultHook, healthy
from tests.gates.test_models import IMAGES, model
from tests.runner.world import HEALTHY, STAGING, World
from tidegate.errors import TransientError
from tidegate.flows.deliveries.delivery_states import DescribingModel, ModelIgnored, Unregistered
from tidegate.flows.models.model_facts import COPY_TAG
from tidegate.flows.models.record_keys import DELIVERY, delivery_key
from tidegate.gates import Gates, load
from tidegate.intake import RECONCILED_MODELS, Intake
from tidegate.model_ports import Models, RegisteredModel
from tidegate.references import ModelRef

DAY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Registry:
    """What the port lists of the workspaces; nothing else of it is asked for here."""

    versions: list[RegisteredModel] = dataclasses.field(default_factory=list)
    silent: tuple[str, ...] = ()
    """Workspaces that do not answer."""

    def recent(self, workspace: str, limit: int) -> Sequence[RegisteredModel]:
        if workspace in self.silent:
            raise TransientError(f"{workspace}: no answer")
        there = [each for each in self.versions if each.model.workspace == workspace]
        return sorted(there, key=lambda each: each.created, reverse=True)[:limit]


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    path = tmp_path / "gates.yaml"
    rules = [model(match={"model": "digits*", "tags": {"task": "classification"}})]
    path.write_text(yaml.safe_dump({"version": 1, "images": IMAGES, "models": rules}), encoding="utf-8")
    return load(path)


def door(gates: Gates, *listed: RegisteredModel, fault: FaultHook = healthy) -> tuple[World, Intake]:
    world = World(fault)
    door = Intake(STAGING, HEALTHY, gates, world.runner, world.evidence, world.topic, world.clock, ("vision",))
    return world, dataclasses.replace(door, models=cast("Models", Registry(list(listed))))


def event(version: Any = 7, **fields: Any) -> dict[str, Any]:
    tags = {"task": "classification"}
    return changed(data={"ModelName": "digits", "ModelVersion": version, "ModelTags": tags}, **fields)


def found(version: str, age: datetime.timedelta = DAY, copy_of: str = "") -> RegisteredModel:
    created = World().clock.now() - age
    known = {"task": "classification", **({COPY_TAG: copy_of} if copy_of else {})}
    return RegisteredModel(ModelRef("vision", "digits", version), known, {}, "", "someone", created)


def state(world: World, version: str = "7", name: str = "digits") -> object:
    return world.state(delivery_key(ModelRef("vision", name, version)))


def test_a_registration_that_meets_a_gate_is_looked_into(gates: Gates) -> None:
    world, intake = door(gates)
    intake.model_registered(event())
    after = state(world)
    assert isinstance(after, DescribingModel)
    assert after.delivery.gate == gates.models[0].gate
    assert len(world.queue) == 1


def test_one_that_meets_none_is_recorded_and_left_alone(gates: Gates) -> None:
    world, intake = door(gates)
    intake.model_registered(changed(data={"ModelName": "letters", "ModelVersion": 1}))
    assert isinstance(state(world, "1", "letters"), ModelIgnored)
    world.run()
    assert isinstance(state(world, "1", "letters"), ModelIgnored)


def test_a_duplicate_changes_nothing(gates: Gates) -> None:
    world, intake = door(gates)
    intake.model_registered(event())
    before = dict(world.store.rows)
    for body in (event(), event("7"), event(id="another", eventTime="2026-03-01T00:00:00Z")):
        intake.model_registered(body)
    assert world.store.rows == before


def test_a_copy_that_a_delivery_made_has_no_record(gates: Gates) -> None:
    world, intake = door(gates, found("9", copy_of="other/digits:9"))
    intake.model_registered(changed(data__ModelTags={"task": "classification", COPY_TAG: "other/digits:9"}))
    intake.reconcile()
    assert not [key for key in world.store.rows if key.startswith(DELIVERY)]
    assert not world.evidence.dead_letters


@pytest.mark.parametrize("body", [event(None), event("../1"), event(topic="x"), event(topic=event()["topic"] + "s")])
def test_what_is_malformed_or_of_another_workspace_is_parked(body: dict[str, Any], gates: Gates) -> None:
    world, intake = door(gates)
    intake.model_registered(body)
    assert len(world.evidence.dead_letters) == 1
    assert not [key for key in world.store.rows if key.startswith(DELIVERY)]


def test_an_event_that_cannot_be_saved_is_not_acknowledged(gates: Gates) -> None:
    def failing(port: str, method: str) -> Fault:
        return Fault.FAIL_BEFORE if (port, method) == ("StateStore", "save") else Fault.OK

    _, intake = door(gates, fault=failing)
    with pytest.raises(TransientError):
        intake.model_registered(event())


# What no event told of ---------------------------------------------------------------------------------------------


def test_a_version_whose_event_never_came_is_raised_once(gates: Gates) -> None:
    world, intake = door(gates, found("7"), found("8"))
    intake.model_registered(event("8"))
    heard = world.store.rows[delivery_key(ModelRef("vision", "digits", "8"))]
    intake.reconcile()
    before = dict(world.store.rows)
    intake.reconcile()
    assert isinstance(state(world, "7"), DescribingModel)
    assert world.store.rows == before
    assert before[delivery_key(ModelRef("vision", "digits", "8"))] == heard


def test_the_same_version_has_the_same_place_whichever_way_it_came(gates: Gates) -> None:
    by_event, intake = door(gates)
    intake.model_registered(event("7"))
    by_timer, intake = door(gates, found("7"))
    intake.reconcile()
    orders = [
        after.delivery.order for each in (by_event, by_timer) if isinstance(after := state(each), DescribingModel)
    ]
    assert len(orders) == 2
    assert len(set(orders)) == 1


def test_old_versions_do_not_begin_to_move_by_themselves(gates: Gates) -> None:
    world, intake = door(gates, found("7", RECONCILED_MODELS + datetime.timedelta(seconds=1)))
    intake.reconcile()
    assert isinstance(state(world), Unregistered)


def test_a_new_gate_moves_nothing_that_was_left_alone_before(gates: Gates) -> None:
    world, intake = door(Gates(()), found("7"))
    intake.reconcile()
    assert isinstance(state(world), ModelIgnored)
    dataclasses.replace(intake, gates=gates).reconcile()
    assert isinstance(state(world), ModelIgnored)


def test_a_workspace_that_does_not_answer_hides_nothing_of_the_others(gates: Gates) -> None:
    world, intake = door(gates)
    listed = cast("Models", Registry([found("7")], silent=("forecasting",)))
    with pytest.raises(TransientError, match="forecasting: no answer"):
        dataclasses.replace(intake, models=listed, workspaces=("forecasting", "vision")).reconcile()
    assert isinstance(state(world), DescribingModel)
