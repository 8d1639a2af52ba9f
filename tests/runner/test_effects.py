"""What becomes of a refusal: an event where a flow waits for an answer, a line in the log where none does."""

from __future__ import annotations

import dataclasses
import json
from typing import override

import pytest

from tests.fakes import START, FakeTopic
from tests.runner.world import World
from tidegate.effects import Effects
from tidegate.errors import PermanentError
from tidegate.flows.base import CommandRefused, Publish
from tidegate.flows.images.image_messages import InspectImage
from tidegate.ports import Outcome
from tidegate.references import ImageRef


class Refusing(FakeTopic):
    @override
    def publish(self, outcome: Outcome) -> None:
        raise PermanentError("413: too large")


def effects(world: World) -> Effects:
    carry_out = world.runner.carry_out
    assert isinstance(carry_out, Effects)
    return dataclasses.replace(carry_out, topic=Refusing())


def test_a_refusal_that_no_flow_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert effects(World())(Publish("Tidegate.ImagePromoted", "a/b:v1", START, (), "one")) is None
    (record,) = caplog.records
    assert (record.levelname, json.loads(record.message)) == (
        "ERROR",
        {"refused": "Publish", "reason": "413: too large"},
    )


def test_a_refusal_of_what_a_flow_waits_for_is_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    gone = ImageRef("tidegatestaging", "a/b", "sha256:" + "0" * 64)
    answer = effects(World())(InspectImage(gone, 3))
    assert isinstance(answer, CommandRefused)
    assert answer.attempt == 3
    assert not caplog.records
