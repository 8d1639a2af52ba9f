"""What people are shown of a record whose next step gets no answer."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.fakes import Fault, image
from tests.runner.world import HEALTHY, STAGING, World
from tidegate.api.promotion_views import promotion_json
from tidegate.api.promotions import Promotions
from tidegate.gates import Gates
from tidegate.records import record_id


def _shown(world: World, key: str) -> dict[str, Any]:
    nothing = cast("Gates", None)
    promotions = Promotions(
        STAGING, HEALTHY, nothing, world.runner, world.registry, world.tests, world.evidence, world.clock
    )
    return promotion_json(promotions.one(record_id(key)))


@pytest.mark.parametrize(
    ("method", "state", "step"),
    [("start_import", "Importing", "ImportImage"), ("place_tag", "Tagging", "PlaceTag")],
    ids=["a step of its own", "a step of its tag's record"],
)
def test_a_promotion_says_what_is_tried_again_and_why(method: str, state: str, step: str) -> None:
    world = World(lambda port, called: Fault.FAIL_BEFORE if called == method else Fault.OK)
    key, event = world.push("training/litter", image("good"), "v1")
    world.runner.deliver(key, event)
    world.run_for(60)
    found = _shown(world, key)
    [retry] = found["retries"]
    assert (found["state"], retry["step"]) == (state, step)
    assert retry["tries"] >= 5
    assert retry["since"] < retry["next"]
    assert method in retry["reason"]
    world.inject(lambda port, called: Fault.OK)
    world.run()
    after = _shown(world, key)
    assert (after["state"], after["retries"]) == ("Promoted", [])
