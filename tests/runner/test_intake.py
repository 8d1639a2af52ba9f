"""The door: what is understood becomes a record, what is not is parked once, and every event gets its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.events.test_image_pushed import TOPIC, changed
from tests.fakes import Fault, FaultHook, healthy, image
from tests.flows.samples import GATE
from tests.runner.world import HEALTHY, STAGING, World
from tidegate.api.dead_letters import DeadLetters
from tidegate.composition import CODEC
from tidegate.errors import MalformedEvent, NotFound, TransientError
from tidegate.flows.images.image_promotion import key
from tidegate.flows.images.image_states import Inspecting, Promoted
from tidegate.gates import GateRule, Gates, ImageMatch
from tidegate.gates.globs import repository_glob, tag_glob
from tidegate.intake import Intake
from tidegate.references import ImageRef
from tidegate.runner import work_message

GATES = Gates((GateRule(ImageMatch((repository_glob("training/**"),), (tag_glob("v*"),)), GATE),))
IMAGE = image("good")
PUSH = {"data__target__repository": "training/litter", "data__target__digest": IMAGE.digest}


def door(fault: FaultHook = healthy) -> tuple[World, Intake]:
    world = World(fault)
    world.registry.push(STAGING, "training/litter", IMAGE, tag="v1")
    intake = Intake(STAGING, HEALTHY, GATES, world.runner, world.evidence, world.topic, world.clock)
    return world, intake


def parked(world: World) -> list[tuple[str, str]]:
    """Reason and body of everything that was parked."""
    return [(each.reason, each.body) for each in world.evidence.dead_letters.values()]


def test_a_push_is_durable_when_the_answer_is_given_and_promoted_in_the_end() -> None:
    world, intake = door()
    intake.image_pushed(changed(**PUSH))
    record = key(ImageRef(STAGING, "training/litter", IMAGE.digest), GATE)
    assert isinstance(world.state(record), Inspecting)
    world.run()
    assert isinstance(world.state(record), Promoted)
    assert world.healthy_tag("training/litter", "v1") == IMAGE.digest


NOTHING = {
    "no gate for the repository": changed(**PUSH | {"data__target__repository": "other/litter"}),
    "no gate for the tag": changed(**PUSH | {"data__target__tag": "latest"}),
    "our own write": changed(**PUSH | {"topic": TOPIC.replace(STAGING, HEALTHY)}),
    "another type": changed(eventType="Microsoft.ContainerRegistry.ImageDeleted"),
}


@pytest.mark.parametrize("body", NOTHING.values(), ids=NOTHING.keys())
def test_what_asks_for_nothing_leaves_nothing_behind(body: Any) -> None:
    world, intake = door()
    intake.image_pushed(body)
    assert (world.store.rows, parked(world), len(world.queue)) == ({}, [], 0)


MALFORMED: dict[str, Any] = {
    "a missing digest": changed(**PUSH | {"data__target__digest": ...}),
    "a hostile name": changed(**PUSH | {"data__target__repository": "../x"}),
    "another registry": changed(**PUSH | {"topic": TOPIC.replace(STAGING, "contoso")}),
    "a list": [1, 2],
    "text": "text",
    "null": None,
    "half a character": changed(**PUSH | {"data__target__repository": "\ud800"}),
    "characters of every kind": changed(**PUSH | {"data__target__repository": "\x00ü\u202e"}),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_event_is_parked_with_its_reason_announced_once_and_answered(body: Any) -> None:
    world, intake = door()
    for _ in range(3):
        intake.image_pushed(body)
    ((reason, text),) = parked(world)
    assert reason
    assert json.loads(text) == body
    text.encode()
    assert [(each.type, each.subject) for each in world.topic.published] == [
        ("Tidegate.EventParked", next(iter(world.evidence.dead_letters)))
    ]


def failing(port: str, method: str) -> FaultHook:
    return lambda called, name: Fault.FAIL_BEFORE if (called, name) == (port, method) else Fault.OK


def test_an_event_that_cannot_be_saved_is_not_acknowledged() -> None:
    _, intake = door(failing("StateStore", "save"))
    with pytest.raises(TransientError):
        intake.image_pushed(changed(**PUSH))


def test_an_event_that_cannot_be_parked_is_not_acknowledged() -> None:
    _, intake = door(failing("Evidence", "park"))
    with pytest.raises(TransientError):
        intake.image_pushed("text")


def test_an_event_whose_parking_cannot_be_announced_is_parked_all_the_same() -> None:
    world, intake = door(failing("OutcomeTopic", "publish"))
    intake.image_pushed("text")
    assert len(parked(world)) == 1


@pytest.mark.parametrize("message", ["", "{", '{"key":7}', '{"key":"nobody:x"}', "\x00"])
def test_a_message_that_is_not_ours_is_parked(message: str) -> None:
    world, intake = door()
    intake.work(message)
    assert [body for _, body in parked(world)] == [message]


def test_a_poisoned_message_is_parked_and_its_record_is_still_found() -> None:
    world, intake = door()
    intake.image_pushed(changed(**PUSH))
    delivery = world.queue.receive()
    assert delivery is not None
    world.queue.delete(delivery)
    intake.poisoned(delivery.text)
    assert parked(world) == [("failed as often as the host tries", delivery.text)]
    world.clock.advance(300)
    intake.resume()
    world.run()
    assert world.healthy_tag("training/litter", "v1") == IMAGE.digest


# Replay ------------------------------------------------------------------------------------------------------------


def replayed(world: World, intake: Intake) -> Callable[[], None]:
    """Let the only dead letter in again."""
    letters = DeadLetters(world.evidence, world.queue, intake, world.runner.carry_out)
    (identity,) = world.evidence.dead_letters
    return lambda: letters.replay(identity)


def test_a_dead_letter_that_can_be_taken_now_is_taken_and_leaves_the_list() -> None:
    world, intake = door()
    intake.park("the gate was wrong", json.dumps([changed(**PUSH)]))
    replayed(world, intake)()
    world.run()
    assert parked(world) == []
    assert world.healthy_tag("training/litter", "v1") == IMAGE.digest


def test_a_dead_letter_that_still_breaks_a_rule_stays() -> None:
    world, intake = door()
    intake.image_pushed("text")
    with pytest.raises(MalformedEvent):
        replayed(world, intake)()
    assert len(parked(world)) == 1


def test_a_message_and_a_command_that_were_given_up_can_be_let_in_again() -> None:
    world, intake = door()
    intake.poisoned(work_message("tag-ownership:x"))
    replayed(world, intake)()
    assert world.queue.visible() == (work_message("tag-ownership:x"),)
    assert parked(world) == []


def test_a_dead_letter_nobody_has_heard_of_is_not_found() -> None:
    world, intake = door()
    with pytest.raises(NotFound):
        DeadLetters(world.evidence, world.queue, intake, world.runner.carry_out).replay("x")


def test_a_dead_letter_that_is_no_json_cannot_be_taken() -> None:
    world, intake = door()
    intake.park("not ours", "{")
    with pytest.raises(MalformedEvent, match="not JSON"):
        replayed(world, intake)()


def test_a_command_that_was_given_up_is_carried_out_again() -> None:
    def down(port: str, method: str) -> Fault:
        return Fault.FAIL_BEFORE if port == "OutcomeTopic" else Fault.OK

    world, intake = door(down)
    intake.image_pushed(changed(**PUSH))
    world.run(5000)
    (letter,) = world.evidence.dead_letters.values()
    assert type(CODEC.decode(letter.body)).__name__ == "Publish"
    world.inject(healthy)
    replayed(world, intake)()
    assert [each.type for each in world.topic.published] == ["Tidegate.ImagePromoted"]
    assert parked(world) == []
