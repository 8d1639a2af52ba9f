"""Buttons of mails: opening one changes nothing, and only ours, in time, do what they say."""

from __future__ import annotations

import datetime
import urllib.parse

import pytest

from tests.alerts.world import KEY, LINKS, JobWorld
from tests.deliveries.world import DeliveryWorld
from tests.fakes import FakeSecrets
from tidegate import signed_links
from tidegate.api.actions import Actions
from tidegate.api.answers import Answer, Page
from tidegate.errors import MalformedEvent, NotFound, Refused
from tidegate.flows.alerts import incident
from tidegate.identity import Shown
from tidegate.job_effects import Links
from tidegate.references import JobRef
from tidegate.signed_links import Action, url

NOBODY = Shown()
"""Whoever presses a button of a mail about a run shows nothing but the link."""
NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)


def query(action: Action, subject: str, key: str = KEY, now: datetime.datetime = NOW) -> dict[str, str]:
    link = url("https://app.example", key, action, subject, now)
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query))


@pytest.mark.parametrize("field", ["subject", "expires", "signature"])
def test_a_changed_link_is_none_of_ours(field: str) -> None:
    good = query("mute", "incident:1")
    assert signed_links.check(KEY, "mute", good, NOW).subject == "incident:1"
    changed = {**good, field: "1" + good[field][1:] if good[field][0] != "1" else "2" + good[field][1:]}
    with pytest.raises((MalformedEvent, Refused)):
        signed_links.check(KEY, "mute", changed, NOW)
    with pytest.raises(MalformedEvent):
        signed_links.check(KEY, "mute", {name: value for name, value in good.items() if name != field}, NOW)


def test_a_link_is_for_one_action_one_key_and_three_days() -> None:
    good = query("mute", "incident:1")
    with pytest.raises(MalformedEvent):
        signed_links.check(KEY, "resubmit", good, NOW)
    with pytest.raises(MalformedEvent):
        signed_links.check("x" * 40, "mute", good, NOW)
    signed_links.check(KEY, "mute", good, NOW + datetime.timedelta(hours=71))
    with pytest.raises(Refused, match="expired"):
        signed_links.check(KEY, "mute", good, NOW + datetime.timedelta(hours=73))


def test_without_a_good_key_there_are_no_links_and_none_is_taken() -> None:
    assert url("https://app.example", "short", "mute", "incident:1", NOW) == ""
    assert url("", KEY, "mute", "incident:1", NOW) == ""
    for key in ("", "short"):
        with pytest.raises(MalformedEvent):
            signed_links.check(key, "mute", query("mute", "incident:1"), NOW)


def test_the_key_follows_from_the_workflow_s_address_and_does_not_give_it_away() -> None:
    address = "https://x.logic.azure.com/a?sig=s"
    keys = [
        Links(FakeSecrets({"a": each}), "a", "https://app.example").key() for each in (address, address, f"{address}2")
    ]
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) >= signed_links.LEAST_KEY
    assert "sig" not in keys[0]
    assert Links(FakeSecrets({}), "a", "https://app.example").key() == ""
    assert Links(FakeSecrets({"a": address}), "a", "").key() == ""


def actions(world: JobWorld) -> Actions:
    return Actions(world.runner, world.evidence, LINKS, world.clock, DeliveryWorld().actions.approvals)


def test_opening_a_link_a_hundred_times_changes_nothing() -> None:
    world = JobWorld()
    world.run_ends("r1", log="KeyError: 1")
    world.work()
    saves = world.store.called("save")
    for _ in range(100):
        page = actions(world).show("resubmit", query("resubmit", "vision/r1", now=world.clock.now()))
        assert isinstance(page.body, Page)
        assert "<form method" in page.body.text
    assert world.store.called("save") == saves
    assert world.jobs.submitted == []


def test_pressing_it_twice_is_pressing_it_once() -> None:
    world = JobWorld()
    world.run_ends("r1", log="KeyError: 1")
    world.work()
    for _ in range(2):
        actions(world).take("resubmit", query("resubmit", "vision/r1", now=world.clock.now()), {}, NOBODY)
        world.work()
    assert world.jobs.submitted == [JobRef("vision", "r1-attempt-1")]


def test_a_button_says_what_is_so_and_not_what_was_when_the_mail_was_sent() -> None:
    world = JobWorld()
    world.run_ends("r1", log="KeyError: 1")
    world.work()

    def take(action: Action, subject: str) -> str:
        return text_of(actions(world).take(action, query(action, subject, now=world.clock.now()), {}, NOBODY))

    for _ in range(2):
        assert "is being submitted again" in take("resubmit", "vision/r1")
    world.work()
    shown = text_of(actions(world).show("resubmit", query("resubmit", "vision/r1", now=world.clock.now())))
    for page in (shown, take("resubmit", "vision/r1")):
        assert "goes on as r1-attempt-1" in page
        assert "<form" not in page
    assert "cannot be submitted again" in take("resubmit", "vision/other")
    assert "No mail about it until" in take("mute", incident.key("run/vision/team/exp"))
    assert "nothing to mute" in take("mute", incident.key("run/vision/team/other"))


def text_of(answer: Answer) -> str:
    assert isinstance(answer.body, Page)
    return answer.body.text


def test_a_muted_incident_is_quiet_for_a_day_and_then_says_what_it_missed() -> None:
    world = JobWorld()
    world.run_ends("r1", log="KeyError: 1")
    world.work(world.later(60))
    key = incident.key("run/vision/team/exp")
    actions(world).take("mute", query("mute", key, now=world.clock.now()), {}, NOBODY)
    for number in range(2, 5):
        world.clock.advance(600)
        world.run_ends(f"r{number}", log="KeyError: 1")
        world.work(world.later(1))
    world.work(world.later(20 * 3600))
    assert len(world.email.mails) == 1
    world.work()
    assert len(world.email.mails) == 2
    assert "r2, r3, r4" in world.email.mails[1].text


def test_a_log_is_read_and_nothing_else_of_the_evidence() -> None:
    world = JobWorld()
    world.run_ends("r1", log="API_KEY=canary\nKeyError: 1")
    world.work()
    now = world.clock.now()
    read = actions(world).show("log", query("log", "runs/vision/run-r1.log", now=now))
    assert read.body == b"API_KEY=***\nKeyError: 1"
    with pytest.raises(MalformedEvent):
        actions(world).show("log", query("log", "alerts/team/00000001.json", now=now))
    with pytest.raises(NotFound):
        actions(world).show("log", query("log", "runs/vision/run-other.log", now=now))
