"""The promotion record: a pure function of what is known, in the form of in-toto."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

from tests.flows.samples import FAILED, GATE, NOW, OVERRIDDEN, PASSED, image, request
from tidegate.flows.images.promotion_record import PREDICATE_TYPE, Approval, record_annotations, statement

APPROVAL = Approval(
    image(),
    image().within("tidegatehealthy", "prod/litter"),
    GATE.name,
    GATE.version,
    PASSED,
    (request(1), request(2, "operator")),
    None,
)


def said(approval: Approval = APPROVAL) -> Any:
    return json.loads(statement(approval))


def test_it_is_a_statement_about_the_digest_at_the_destination() -> None:
    body = said()
    assert body["_type"] == "https://in-toto.io/Statement/v1"
    assert body["predicateType"] == PREDICATE_TYPE
    assert body["subject"] == [{"name": "tidegatehealthy.azurecr.io/prod/litter", "digest": {"sha256": "a" * 64}}]


def test_it_says_where_the_bytes_come_from_and_what_let_them_through() -> None:
    predicate = said()["predicate"]
    assert predicate["source"] == f"tidegatestaging.azurecr.io/training/litter@sha256:{'a' * 64}"
    assert predicate["gate"] == {"name": "training", "version": GATE.version}
    assert predicate["test"] == {
        "verdict": "passed",
        "run": "run-1",
        "startedOn": "2026-03-02T08:00:00.000Z",
        "finishedOn": "2026-03-02T08:00:30.000Z",
        "log": {"uri": PASSED.log, "digest": {"sha256": PASSED.log_sha256}},
        "reason": "",
    }


def test_it_names_everybody_who_asked_and_who_took_responsibility() -> None:
    overridden = dataclasses.replace(APPROVAL, verdict=OVERRIDDEN, override=request(3, "operator"))
    predicate = said(overridden)["predicate"]
    assert [each["who"] for each in predicate["requests"]] == ["ci", "operator"]
    assert predicate["override"] == {
        "id": "e3",
        "who": "operator",
        "why": "request 3",
        "at": "2026-03-02T08:00:00.000Z",
    }
    assert predicate["test"]["log"] is None
    assert said()["predicate"]["override"] is None


def test_the_same_approval_is_the_same_text() -> None:
    again = dataclasses.replace(APPROVAL, verdict=dataclasses.replace(PASSED))
    assert statement(again) == statement(APPROVAL)
    assert statement(dataclasses.replace(APPROVAL, verdict=FAILED)) != statement(APPROVAL)


def test_times_are_in_utc_whatever_zone_they_came_in() -> None:
    east = NOW.astimezone(datetime.timezone(datetime.timedelta(hours=2)))
    elsewhere = dataclasses.replace(APPROVAL, verdict=dataclasses.replace(PASSED, started=east))
    assert statement(elsewhere) == statement(APPROVAL)


def test_a_list_of_referrers_can_be_read_without_the_statement() -> None:
    assert dict(record_annotations(APPROVAL)) == {
        "in-toto.io/predicate-type": PREDICATE_TYPE,
        "org.opencontainers.image.created": "2026-03-02T08:00:30.000Z",
        "tidegate.gate": f"training@{GATE.version}",
        "tidegate.verdict": "passed",
    }
