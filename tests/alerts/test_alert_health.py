"""What the health check says of alerts: the second way to hear of it when mail is what does not work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.world import JobWorld
from tests.fakes.faults import Fault
from tidegate.api.alert_health import alert_health


def health(world: JobWorld) -> dict[str, Any]:
    return alert_health(world.runner.records, ("team", "default"), world.clock.now())


def test_alerts_are_well_before_the_first_and_after_one_that_arrived() -> None:
    world = JobWorld()
    assert health(world) == {"status": "ok"}
    world.run_ends("r1", log="KeyError: 1")
    world.work()
    assert len(world.email.mails) == 1
    assert health(world) == {"status": "ok"}


def test_a_workflow_that_is_down_is_told_after_a_quarter_of_an_hour_and_forgotten_when_it_is_back() -> None:
    world = JobWorld()
    world.email.down_until = world.later(3600)
    world.run_ends("r1", log="KeyError: 1")
    world.work(world.later(600))
    assert health(world) == {"status": "ok"}
    began = world.clock.now()
    world.work(world.later(1200))
    told = health(world)
    assert (told["status"], told["mails"]) == ("late", 1)
    assert told["since"] < f"{began:%Y-%m-%dT%H:%M:%SZ}"
    world.work()
    assert health(world) == {"status": "ok"}


def test_a_workflow_that_refuses_is_told_at_once_and_until_a_mail_arrives() -> None:
    broken = True
    world = JobWorld(fault=lambda port, _: Fault.PERMANENT if broken and port == "AlertEmail" else Fault.OK)
    for number in range(3):
        world.run_ends(f"r{number}", experiment=f"exp-{number}", log="KeyError: 1")
    world.work()
    told = health(world)
    assert told["status"] == "undelivered"
    assert told["mails"] >= 2
    assert sorted(told) == ["mails", "since", "status"], "who asks may be anybody"
    broken = False
    world.run_ends("r9", experiment="exp-9", log="KeyError: 1")
    world.work()
    assert health(world) == {"status": "ok"}


def test_the_alert_rules_of_azure_find_what_the_log_says_of_mails(caplog: pytest.LogCaptureFixture) -> None:
    """The rules look for the beginning of a line, which nobody may change here alone."""
    rules = json.loads((Path(__file__).parents[2] / "infra" / "data" / "alerts.json").read_text())["alerts"]
    begins = {each["name"]: re.findall(r"Message startswith '(.*?)'", each["query"]) for each in rules}
    for name, fault in (("undelivered-mails", Fault.PERMANENT), ("late-mails", Fault.TRANSIENT)):
        caplog.clear()
        world = JobWorld(fault=lambda port, _, fault=fault: fault if port == "AlertEmail" else Fault.OK)  # type: ignore[misc]
        world.run_ends("r1", log="KeyError: 1")
        world.work(world.later(1800))
        [beginning] = begins[name]
        found = [line for line in caplog.records if line.getMessage().startswith(beginning)]
        threshold = next(each["threshold"] for each in rules if each["name"] == name)
        assert len(found) > threshold


def test_a_mail_that_waits_for_its_turn_is_not_late() -> None:
    world = JobWorld()
    for number in range(40):
        world.run_ends(f"r{number}", experiment=f"exp-{number}", log="KeyError: 1")
        world.work(world.later(5))
    world.work(world.later(1000))
    assert health(world) == {"status": "ok"}
