"""The model record: a pure function of what is known, in the form of in-toto."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

from tests.flows.delivery_samples import (
    ALICE,
    CHAMPION,
    FACTS,
    GATE,
    IMAGE,
    LATER,
    MEASURED,
    OTHER_SHA,
    SHA,
    TRAINER,
    delivery,
    vote,
)
from tidegate.flows.deliveries.model_record import PREDICATE_TYPE, Outcome, statement

PRO = GATE.stages[-1]
OUTCOME = Outcome("all of the traffic, and the soak is over", MEASURED, LATER)


def said(outcome: Outcome = OUTCOME, **changed: Any) -> Any:
    about = dataclasses.replace(delivery(), **changed)
    return json.loads(statement(about, PRO, FACTS, (vote(),), outcome))


def test_it_is_a_statement_about_the_bytes_of_the_version() -> None:
    body = said()
    assert body["_type"] == "https://in-toto.io/Statement/v1"
    assert body["predicateType"] == PREDICATE_TYPE
    assert body["subject"] == [{"name": "litter:7", "digest": {"sha256": SHA}}]


def test_it_says_where_the_version_comes_from_and_what_serves_it() -> None:
    predicate = said()["predicate"]
    assert predicate["source"] == {"workspace": "ml-dev", "name": "litter", "version": "7"}
    assert predicate["servingImage"] == IMAGE
    assert predicate["gate"] == {"name": "litter", "version": GATE.version}
    assert predicate["lineage"] == {
        "run": "train-1",
        "image": TRAINER,
        "data": "litter@4",
        "registeredBy": FACTS.registered_by,
    }
    assert predicate["stage"]["name"] == "pro"
    assert predicate["stage"]["endpoint"] == "litter-pro"
    assert predicate["stage"]["instance"]["memory"] == PRO.instance.memory


def test_it_says_what_the_version_was_judged_by_beside_the_champion() -> None:
    screening = said()["predicate"]["screening"]
    assert screening["verdict"] == "passed"
    assert screening["champion"] == {"name": "litter:6", "digest": {"sha256": OTHER_SHA}}
    assert screening["metrics"][0] == {
        "name": "accuracy",
        "value": 0.9,
        "champion": 0.91,
        "atLeast": 0.8,
        "atMost": None,
        "tolerance": 0.02,
    }
    assert said(champion=None)["predicate"]["screening"]["champion"] is None


def test_it_says_who_let_it_through_and_why() -> None:
    assert said()["predicate"]["approvals"] == [
        {
            "person": ALICE,
            "who": "alice@team.example",
            "why": "the figures are good",
            "at": "2026-03-02T08:00:30.000Z",
        }
    ]
    assert [each["who"] for each in said()["predicate"]["requests"]] == ["the workspace"]


def test_it_says_how_the_rollout_went_and_what_was_measured() -> None:
    rollout = said()["predicate"]["rollout"]
    assert rollout["outcome"] == OUTCOME.reason
    assert rollout["measured"] == {"memory": 900 << 20, "latency": 0.05, "startup": 12.0}
    assert [step["percent"] for step in rollout["traffic"]] == [20, 10, 50, 100]
    assert rollout["release"] == ""
    elsewhere = said(Outcome("", None, LATER, "run-9"))["predicate"]["rollout"]
    assert (elsewhere["release"], elsewhere["measured"]) == ("run-9", None)


def test_the_same_facts_are_the_same_text() -> None:
    assert said() == said(champion=dataclasses.replace(CHAMPION))
    east = LATER.astimezone(datetime.timezone(datetime.timedelta(hours=2)))
    assert said(dataclasses.replace(OUTCOME, at=east)) == said()
    assert said(dataclasses.replace(OUTCOME, reason="otherwise")) != said()
